"""The key under which a person allows a set-up command, and what a project asks for (GIT-1, contract 1)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from aegis_tui.domain.environment.needs import PackageNeed, missing_words, needs_of
from aegis_tui.domain.environment.ports import FIRST, LAST, choose_ports
from aegis_tui.domain.environment.setup import input_files, setup_key
from aegis_tui.domain.environment.suggest import suggest_setup

TREE = ["pyproject.toml", "uv.lock", "src/a.py", "web/package.json", "scripts/setup.sh", "requirements/dev.in"]


@pytest.mark.parametrize(
    ("files", "inputs"),
    [
        (TREE, ["pyproject.toml", "requirements/dev.in", "uv.lock", "web/package.json"]),
        (["a/go.mod", "go.sum", "main.go", "Cargo.lock"], ["Cargo.lock", "a/go.mod", "go.sum"]),
        (["requirements.txt", "docs/notes.txt", "requirements-dev.txt"], ["requirements-dev.txt", "requirements.txt"]),
        (["a/b/c/d/e/package-lock.json"], []),
    ],
)
def test_lock_files_and_manifests_count(files: list[str], inputs: list[str]) -> None:
    assert list(input_files("npm ci", files)) == inputs


@pytest.mark.parametrize(
    "command",
    [
        "bash scripts/setup.sh",
        "./scripts/setup.sh; true",
        "(scripts/setup.sh)",
        "sh 'scripts/setup.sh' '",
        "cd scripts && bash setup.sh",
        "SCRIPT=scripts/setup.sh; bash $SCRIPT",
    ],
)
def test_a_script_that_the_command_names_counts(command: str) -> None:
    assert "scripts/setup.sh" in input_files(command, TREE)
    assert "src/a.py" not in input_files(command, TREE)


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ('bash "my tools/set up.sh"', "my tools/set up.sh"),
        ("bash my\\ tools/set\\ up.sh", "my tools/set up.sh"),
        ("cd 'my tools' && bash './set up.sh'", "my tools/set up.sh"),
        ("bash my' 'tools/install", "my tools/install"),
        ("bash 'it'\"'\"'s.sh'", "it's.sh"),
    ],
)
def test_a_script_whose_name_a_shell_would_split_counts(command: str, script: str) -> None:
    files = ["my tools/set up.sh", "my tools/install", "my tools/other.py", "it's.sh", "it's not.sh"]
    assert input_files(command, files) == (script,)


def test_the_key_changes_with_command_content_and_network_and_with_nothing_else() -> None:
    first = setup_key("npm ci", {"package-lock.json": "1", "b": "2"}, network=False)
    assert first == setup_key("npm ci", {"b": "2", "package-lock.json": "1"}, network=False)
    others = [
        setup_key("npm  ci", {"package-lock.json": "1", "b": "2"}, network=False),
        setup_key("npm ci", {"package-lock.json": "3", "b": "2"}, network=False),
        setup_key("npm ci", {"package-lock.json": "1"}, network=False),
        setup_key("npm ci", {"package-lock.json": "1", "b": "2"}, network=True),
    ]
    assert len({first, *others}) == 5 and all(len(key) == 16 for key in others)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (["uv.lock", "pyproject.toml"], "uv sync --frozen"),
        (["requirements.txt", "a.py"], "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"),
        (["pyproject.toml", "src/a.py"], "python3 -m venv .venv && .venv/bin/pip install -e ."),
        (["package.json", "yarn.lock", ".yarnrc.yml"], "yarn install --immutable"),
        (
            ["api/uv.lock", "web/pnpm-lock.yaml", "web/package.json"],
            "(cd api && uv sync --frozen) && (cd web && pnpm install --frozen-lockfile)",
        ),
        (["go.sum", "go.mod", "main.go"], "go mod download"),
        (["pyproject.toml", "Cargo.toml", "Cargo.lock"], "cargo fetch --locked"),
        (["README.md", "a/b/c/d/uv.lock"], ""),
    ],
)
def test_a_set_up_command_is_suggested_by_lock_files(files: list[str], command: str) -> None:
    assert suggest_setup(files) == command


NONE = "[build-system]\n"
GROUPS = """[project]
name = "x"
[dependency-groups]
Test = ["pytest>=7", {include-group = "more"}, "--index-url=https://elsewhere"]
more = ["attrs; python_version > '3'", {include-group = "test"}]
dev = ["black"]
"""
SETUP = """needs = ['six>=1']
from setuptools import setup, find_packages
setup(install_requires=needs, extras_require={'docs': [], 'dev': ['x']}, tests_require=['mock'], version=f())
"""
CONFIG = (
    "[metadata]\nname = x\n[options]\ninstall_requires =\n    six>=1  # old\n[options.extras_require]\ntesting = x\n"
)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (
            {"pyproject.toml": '[project]\n[project.optional-dependencies]\ntests = ["a"]\ndev = ["b"]\n'},
            "-e '.[tests]' pytest",
        ),
        ({"pyproject.toml": GROUPS}, "-e . 'pytest>=7' 'attrs; python_version > '\"'\"'3'\"'\"'' pytest"),
        ({"setup.py": SETUP}, "-e '.[dev]' mock pytest"),
        ({"setup.py": "setup(", "requirements/test.txt": ""}, "-r requirements/test.txt -e . pytest"),
        ({"setup.cfg": CONFIG, "setup.py": "setup()"}, "-e '.[testing]' pytest"),
        ({"requirements.txt": "six", "pyproject.toml": "[tool.ruff]\n"}, "-r requirements.txt pytest"),
        (
            {"requirements.txt": "six", "dev-requirements.txt": "", "pyproject.toml": NONE},
            "-r requirements.txt -r dev-requirements.txt -e . pytest",
        ),
        ({"requirements.txt": "six==1 --hash=sha256:1", "pyproject.toml": NONE}, "-r requirements.txt"),
        ({"setup.cfg": "[flake8]\n"}, ""),
    ],
)
def test_what_the_tests_of_a_python_project_need_is_suggested_too(texts: dict[str, str], wanted: str) -> None:
    suggested = suggest_setup([*texts, "a.py"], lambda name: texts.get(name, ""), checks=["python3 -m pytest -q"])
    assert suggested == (f"python3 -m venv .venv && .venv/bin/pip install {wanted}" if wanted else "")


def test_pytest_is_suggested_where_a_check_runs_it() -> None:
    files, checks = ["a/setup.py", "b/setup.py"], ["cd b && python3 -m pytest -q", "npm test"]
    install = "python3 -m venv .venv && .venv/bin/pip install -e ."
    assert suggest_setup(files, checks=checks) == f"(cd a && {install}) && (cd b && {install} pytest)"
    assert needs_of(files, lambda _: "", checks=checks) == [PackageNeed("python", "b", checks[0], ("pytest",))]


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ({"devDependencies": {"tape": "1"}}, "npm install --no-package-lock"),
        ({"dependencies": {"a": "1"}, "packageManager": "pnpm@9"}, "pnpm install --no-lockfile"),
        ({"dependencies": {"a": "1"}, "packageManager": "other@9"}, "npm install --no-package-lock"),
        ({"scripts": {"test": "x"}}, ""),
        ([], ""),
    ],
)
def test_a_node_project_without_a_lock_file_is_suggested_its_package_manager(package: object, command: str) -> None:
    assert suggest_setup(["package.json", "p/a/package.json"], lambda _: json.dumps(package)) == command


@pytest.mark.parametrize("folder", ["my folder", "$(touch pwned)", "a;touch pwned;", "it's", "-dash", "한글", "a&b"])
def test_a_suggestion_enters_the_folder_whatever_its_name_is(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    suggested = suggest_setup([f"{folder}/uv.lock"])
    assert "uv sync --frozen" in suggested
    shown = subprocess.run(
        ["bash", "-c", suggested.replace("uv sync --frozen", "pwd")], cwd=tmp_path, capture_output=True, text=True
    )
    assert shown.stdout == f"{tmp_path / folder}\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [folder]


def test_a_folder_whose_name_hides_something_is_not_suggested() -> None:
    assert suggest_setup(["a\nb/uv.lock", "c\x1b[2K/uv.lock", "uv.lock"]) == "uv sync --frozen"


PYPROJECT = """[project]
dependencies = ["Requests>=2", "typing_extensions; python_version < '3.11'", "rich[all] ~= 13", "x @ file:///x", "./y"]
[tool.poetry.dependencies]
python = "^3.11"
Flask = "^3"
local = {path = "../local"}
"""
PACKAGE = '{"dependencies": {"left": "^1", "mine": "workspace:*"}, "devDependencies": {"@a/b": "2"}}'
REQUIREMENTS = "# all\n-r base.txt\nzope.interface==5 --hash=sha256:1\nhttps://example.org/x.whl\nattrs  # why\n"


def test_only_certain_needs_are_read() -> None:
    texts = {"pyproject.toml": PYPROJECT, "web/package.json": PACKAGE, "requirements.txt": REQUIREMENTS}
    assert needs_of(
        {"a/setup.py": SETUP, "a/setup.cfg": CONFIG}, {"a/setup.py": SETUP, "a/setup.cfg": CONFIG}.__getitem__
    ) == [PackageNeed("python", "a", f"a/{name}", ("six",)) for name in ("setup.cfg", "setup.py")]
    assert needs_of(texts, texts.__getitem__) == [
        PackageNeed("python", "", "pyproject.toml", ("flask", "requests", "rich")),
        PackageNeed("python", "", "requirements.txt", ("attrs", "zope-interface")),
        PackageNeed("node", "web", "web/package.json", ("@a/b", "left")),
    ]


@pytest.mark.parametrize("text", ["[", "project = 1", '{"dependencies": 1}', "[]", "[project]\ndependencies = 1\n"])
def test_a_file_that_is_not_what_it_seems_asks_for_nothing(text: str) -> None:
    assert needs_of(["pyproject.toml", "package.json"], lambda _: text) == []


def test_a_missing_package_is_named_with_its_place_and_what_to_do() -> None:
    need = PackageNeed("python", "api", "api/pyproject.toml", tuple("abcdef"))
    assert missing_words(need, list("fedcba"), where=".venv") == (
        "api/pyproject.toml asks for a, b, c, d and 2 more, which .venv does not have; "
        "install them into api/.venv, or set environment.setup"
    )


def test_ports_are_exclusive_and_end_where_they_end() -> None:
    taken: list[range] = []
    while (ports := choose_ports(1000, taken, start=7, is_free=lambda _: True)) is not None:
        taken.append(ports)
    assert len(taken) == 12 and len({ports.start for ports in taken}) == 12
    assert min(ports.start for ports in taken) == FIRST and max(ports.stop for ports in taken) <= LAST + 1
    free = choose_ports(10, [range(FIRST, FIRST + 995)], start=0, is_free=lambda ports: ports.start != FIRST + 1000)
    assert free == range(FIRST + 1010, FIRST + 1020)


def test_a_name_that_no_package_can_have_is_passed_over() -> None:
    """A folder is looked for under it: it must not lead elsewhere, nor be longer than a file's name may be."""
    names = ["..", "../../etc", "/etc", "a/b", "x" * 300, "a\x1bb", "", "Good.one", "@scope/good"]
    text = json.dumps({"dependencies": dict.fromkeys(names, "1")})
    assert needs_of(["package.json"], lambda _: text)[0].names == ("@scope/good", "Good.one")
