"""QA commands on the tree under test, whatever the person's environment leads to (FLOW-7).

The checkout says 1, the tree under test says 2. Every install is written by hand, as its installer writes it.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.domain.qa.assess import assess
from aegis_tui.orchestrator.qa_results import keep_run
from aegis_tui.orchestrator.qa_run import CommandRun
from aegis_tui.ports.sandbox import SandboxMode
from tests.orchestrator.qa_lab import Lab

FINDER = """import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path

MAPPING: dict[str, str] = {{'shop': '{place}'}}


class _EditableFinder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            return spec_from_file_location(fullname, Path(MAPPING[fullname]) / "__init__.py")
        return None


def install():
    sys.meta_path.{add}
"""
LATE, EARLY = "append(_EditableFinder)", "insert(0, _EditableFinder)"
SANDBOXES: list[SandboxMode] = ["off", "auto"]
ASK = "-c 'import shop; print(shop.price())'"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def words(result: CommandRun) -> list[str]:
    assert result.outcome.obstacles == ()
    assert result.outcome.exit_code == 0, result.outcome.output
    return result.outcome.output.split()


def setuptools_pth(lab: Lab, site: Path) -> None:
    (site / "__editable__.shop-1.0.pth").write_text(f"{lab.root}/src\n")


def setuptools_finder(lab: Lab, site: Path, add: str = LATE) -> None:
    (site / "__editable___shop_1_0_finder.py").write_text(FINDER.format(place=lab.root / "src/shop", add=add))
    line = "import __editable___shop_1_0_finder; __editable___shop_1_0_finder.install()"
    (site / "__editable__.shop-1.0.pth").write_text(line)


def eager_loader(lab: Lab, site: Path) -> None:
    """Finders of scikit-build-core and meson-python come before the import path."""
    (site / "_shop_editable_loader.py").write_text(FINDER.format(place=lab.root / "src/shop", add=EARLY))
    (site / "shop-editable.pth").write_text("import _shop_editable_loader; _shop_editable_loader.install()\n")


def develop(lab: Lab, site: Path) -> None:
    (site / "easy-install.pth").write_text(f"{lab.root}/src\n")
    (site / "shop.egg-link").write_text(f"{lab.root}/src\n.")


def hatch(lab: Lab, site: Path) -> None:
    (site / "_shop.pth").write_text(f"{lab.root}/src")


def path_insert(lab: Lab, site: Path) -> None:
    (site / "shop.pth").write_text(f'import sys; sys.path.insert(0, "{lab.root}/src")\n')


def flit_link(lab: Lab, site: Path) -> None:
    (site / "shop").symlink_to(lab.root / "src/shop")


def plain_copy(lab: Lab, site: Path) -> None:
    shutil.copytree(lab.root / "src/shop", site / "shop")


def another_clone(lab: Lab, site: Path) -> None:
    clone = lab.folder / "clone"
    lab.git("clone", "-q", str(lab.root), str(clone))
    (site / "shop.pth").write_text(f"{clone}/src\n")


INSTALLS = [
    *(setuptools_pth, setuptools_finder, eager_loader, develop, hatch),
    *(path_insert, flit_link, plain_copy, another_clone),
]


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize("install", INSTALLS)
def test_every_way_to_start_python_imports_the_tree_under_test(
    lab: Lab, install: Callable[[Lab, Path], None], sandbox: SandboxMode
) -> None:
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    venv, site = lab.virtualenv()
    install(lab, site)
    script = venv / "bin" / "shop"
    script.write_text(f"#!{venv}/bin/python\nimport shop\nprint(shop.price())\n")
    script.chmod(0o755)
    forms = [
        f"python {ASK}",
        f".venv/bin/python {ASK}",
        f"PYTHONPATH= python {ASK}",
        f"python -I {ASK}",
        "shop",
        f". .venv/bin/activate && python {ASK}",
    ]
    [result] = lab.run(oid, " && ".join(f"({form})" for form in forms), sandbox=sandbox)
    assert words(result) == ["2"] * len(forms)
    assert subprocess.run([venv / "bin/python", "-c", "import shop; print(shop.price())"], stdout=-1).stdout == b"1\n"


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_flat_package_and_an_active_environment_elsewhere(lab: Lab, sandbox: SandboxMode) -> None:
    oid = lab.commit_change("shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    venv, site = lab.virtualenv("../environments/shop")
    (site / "__editable__.shop-1.0.pth").write_text(f"{lab.root}\n")
    (site / "dependency.py").write_text("VALUE = 'there'\n")
    lab.environ |= {"VIRTUAL_ENV": str(venv)}
    command = f"python -c 'import dependency; print(dependency.VALUE)' && cd tests && python -I {ASK} && python {ASK}"
    lab.write("tests/x", "")
    [result] = lab.run(oid, command.replace("cd tests", "cd /"), sandbox=sandbox)
    assert words(result) == ["there", "2", "2"]


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_the_only_environment_of_a_project_counts_also_in_a_subfolder(lab: Lab, sandbox: SandboxMode) -> None:
    oid = lab.commit_change("api/src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    lab.git("checkout", "-q", oid)
    lab.write("api/pyproject.toml", "")
    lab.git("add", "-A")
    lab.git("commit", "-qm", "pyproject")
    _, site = lab.virtualenv("api/.venv")
    (site / "__editable__.shop-1.0.pth").write_text(f"{lab.root}/api/src\n")
    [result] = lab.run("HEAD", f"cd api && python {ASK} && .venv/bin/python {ASK}", sandbox=sandbox)
    assert words(result) == ["2", "2"]


def test_the_checkout_by_its_own_name_is_the_tree_under_test_in_a_sandbox(lab: Lab) -> None:
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    _, site = lab.virtualenv()
    setuptools_pth(lab, site)
    command = (
        f"cd {lab.root} && .venv/bin/python {ASK} && grep -o '[12]' src/shop/__init__.py && git log -1 --format=%s"
    )
    [result] = lab.run(oid, command + " 2>&1 | head -1", sandbox="strict")
    assert words(result)[:2] == ["2", "2"]


@pytest.mark.parametrize("by", ["command", "Makefile", "link"])
def test_without_a_sandbox_what_names_the_checkout_does_not_count(lab: Lab, by: str) -> None:
    text = f"cd {lab.root} && true" if by == "command" else "true"
    lab.write("Makefile", f"test:\n\tcd {lab.root}/src\n" if by == "Makefile" else "test:\n\ttrue\n")
    if by == "link":
        (lab.root / "lib").symlink_to(lab.root / "src")
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    [result] = lab.run(oid, text, sandbox="off")
    [obstacle] = result.outcome.obstacles
    assert (obstacle.kind, str(lab.root) in obstacle.reason, bool(obstacle.remedy)) == ("wrong_tree", True, True)
    assert words(lab.run(oid, "true", sandbox="strict")[0]) == []


def test_an_install_outside_of_a_virtual_environment_that_a_command_would_import_does_not_count(lab: Lab) -> None:
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    conda, site = lab.virtualenv("../conda")
    (conda / "conda-meta").mkdir()
    (conda / "pyvenv.cfg").unlink()
    setuptools_pth(lab, site)
    lab.environ["CONDA_PREFIX"] = str(conda)
    good, bad = lab.run(oid, f"{sys.executable} {ASK}", f"PYTHONPATH= python {ASK}", sandbox="off")
    assert words(good) == ["2"]
    assert [item.kind for item in bad.outcome.obstacles] == ["wrong_tree"]
    assert f"{lab.root}/src, to which {site} leads," in bad.outcome.obstacles[0].reason


def test_nothing_is_written_through_a_link_of_the_tree_under_test(lab: Lab) -> None:
    outside = lab.folder / "outside"
    outside.mkdir()
    lab.write(".gitignore", "")
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    lab.git("checkout", "-q", oid)
    for name in (".venv", "node_modules", "packages"):
        (lab.root / name).symlink_to(outside)
    lab.git("add", "-A")
    lab.git("commit", "-qm", "links")
    linked = lab.git("rev-parse", "HEAD")
    lab.git("checkout", "-q", oid)
    lab.virtualenv()
    lab.write("node_modules/a/index.js", "")
    lab.write("packages/p/node_modules/a/index.js", "")
    (outside / "p").mkdir()
    (outside / "p" / "package.json").write_text("{}")
    lab.run(linked, "true", sandbox="off")
    assert sorted(path.name for path in outside.rglob("*")) == ["p", "package.json"]


@pytest.mark.skipif(shutil.which("node") is None, reason="missing: node")
@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_node_resolves_workspaces_to_the_tree_under_test(lab: Lab, sandbox: SandboxMode) -> None:
    lab.write("package.json", '{"name": "whole", "workspaces": ["packages/*"]}')
    lab.write("packages/shop/package.json", '{"name": "@x/shop", "main": "index.js"}')
    lab.write("packages/site/package.json", '{"name": "site"}')
    lab.write("packages/site/test.js", "console.log(require('@x/shop').price, require('dep'), require('inner'))\n")
    oid = lab.commit_change("packages/shop/index.js", "exports.price = 1\n", "exports.price = 2\n")
    lab.write("node_modules/dep/index.js", "module.exports = require('@x/shop/package.json').name\n")
    lab.write("node_modules/.cache/old", "theirs")
    lab.write("packages/site/node_modules/inner/index.js", "module.exports = 'inner'\n")
    (lab.root / "node_modules/@x").mkdir()
    (lab.root / "node_modules/@x/shop").symlink_to("../../packages/shop")
    (lab.root / "node_modules/site").symlink_to("../packages/site")
    command = (
        "cd packages/site && node test.js && mkdir ../../node_modules/.cache && touch ../../node_modules/.cache/new"
    )
    [result] = lab.run(oid, command, sandbox=sandbox)
    assert words(result) == ["2", "@x/shop", "inner"]
    assert sorted(path.name for path in (lab.root / "node_modules/.cache").iterdir()) == ["old"]


def test_what_a_python_that_hangs_has_printed_is_there(lab: Lab) -> None:
    oid = lab.commit_change("shop.py", "1", "2")
    [result] = lab.run(oid, """python3 -c 'import os; print("begun"); os.kill(os.getpid(), 9)'""", sandbox="off")
    assert result.outcome.output == "begun\n"


def test_a_sandbox_shows_the_environment_read_only(lab: Lab) -> None:
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    venv, site = lab.virtualenv()
    (site / "dependency.py").write_text("VALUE = 1\n")
    lab.write("node_modules/dep/index.js", "1\n")
    writes = [
        f"echo 2 > {path}" for path in (site / "dependency.py", lab.root / "node_modules/dep/index.js", venv / "x")
    ]
    writes += ["echo 2 > .venv/lib/python3*/site-packages/dependency.py", "echo 2 > node_modules/dep/index.js"]
    [result] = lab.run(oid, "; ".join(writes) + "; true", sandbox="strict")
    assert result.outcome.output.count("Read-only file system") == len(writes)
    assert (site / "dependency.py").read_text() == "VALUE = 1\n"


@pytest.mark.parametrize("is_ignored", [True, False])
def test_an_agent_gets_the_environment_where_it_cannot_be_committed(lab: Lab, is_ignored: bool) -> None:
    lab.write(".gitignore", ".venv/\nnode_modules\n" if is_ignored else "")
    oid = lab.commit_change("src/shop/__init__.py", "def price(): return 1\n", "def price(): return 2\n")
    _, site = lab.virtualenv()
    setuptools_pth(lab, site)
    lab.write("node_modules/dep/index.js", "")
    worktree, home = lab.folder / "worktree", lab.folder / "home"
    home.mkdir()
    lab.git("worktree", "add", "-q", "--detach", str(worktree), oid)
    environment = ProjectEnvironment(lab.root, lab.root / ".git", lab.environ)
    around = asyncio.run(environment.prepare(worktree, home, (), confined=False, committed=True))
    again = asyncio.run(environment.prepare(worktree, home, (), confined=False, committed=True))
    assert again.environment == around.environment
    assert Path(around.environment["VIRTUAL_ENV"]) == (worktree / ".venv" if is_ignored else home / "venv")
    assert (worktree / "node_modules" / "dep").exists() == is_ignored
    argv = ["python", "-IB", "-c", "import shop; print(shop.price())"]
    seen = subprocess.run(argv, env=dict(around.environment), capture_output=True, text=True, check=False)
    assert seen.stdout == "2\n", seen.stderr
    git = ["git", "-C", str(worktree), "status", "--short"]
    assert subprocess.run(git, capture_output=True, text=True, check=True).stdout == ""


def test_borrowed_objects_are_shown_to_a_check(lab: Lab) -> None:
    lab.commit_change("shop.py", "1", "2")
    clone = lab.folder / "clone"
    lab.git("clone", "-q", "--shared", "--branch", "main", str(lab.root), str(clone))
    lab.root = clone
    [result] = lab.run("HEAD", "git log -1 --format=%s && git show HEAD:shop.py", sandbox="strict")
    assert words(result) == ["after", "2"]


@pytest.mark.parametrize("kind", ["subfolder", "active", "conda", "path", "node", "npm"])
def test_an_install_changes_what_the_result_of_a_base_is_remembered_by(lab: Lab, kind: str) -> None:
    lab.write("api/pyproject.toml", "")
    lab.write("web/package.json", "{}")
    place = {"subfolder": "api/.venv", "node": "web/node_modules", "npm": "web/node_modules"}.get(kind, "../python")
    installed = lab.root / place
    if "node_modules" in place:
        lab.write("web/node_modules/.package-lock.json", "{}")
    else:
        _, installed = lab.virtualenv(place)
    top = lab.folder / "python"
    for name in {"conda": ("conda-meta",), "path": ()}.get(kind, ()):
        (top / name).mkdir()
    if kind in ("conda", "path"):
        (top / "pyvenv.cfg").unlink()
    own = {"active": {"VIRTUAL_ENV": str(top)}, "conda": {"CONDA_PREFIX": str(top)}}.get(kind, {})
    if kind == "path":
        (top / "bin" / "python").unlink()
        shutil.copy(shutil.which("true") or "", top / "bin" / "python")
        own = {"PATH": f"{top}/bin"}
    environment = ProjectEnvironment(lab.root, lab.root / ".git", {**lab.environ, **own})
    before = asyncio.run(environment.stamp())
    assert asyncio.run(environment.stamp()) == before
    if kind == "npm":
        lab.write("web/node_modules/.package-lock.json", '{"packages": {}}')
    else:
        (installed / "added").mkdir()
    assert asyncio.run(environment.stamp()) != before


def with_submodule(lab: Lab) -> str:
    """A commit whose submodule says 1, while the person's checkout of it says something else."""
    library = lab.folder / "library"
    library.mkdir()
    own, lab.root = lab.root, library
    lab.write("shop.py", "def price(): return 1\n")
    lab.git("init", "-q", "-b", "main")
    lab.git("add", "-A")
    lab.git("commit", "-qm", "library")
    lab.root = own
    lab.git("init", "-q", "-b", "main")
    lab.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/library")
    lab.git("commit", "-qm", "with a submodule")
    lab.write("vendor/library/shop.py", "def price(): return 3\n")
    return lab.git("rev-parse", "HEAD")


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_submodule_that_is_set_up_is_there_as_it_is_recorded(lab: Lab, sandbox: SandboxMode) -> None:
    oid = with_submodule(lab)
    [result] = lab.run(oid, f"cd vendor/library && python3 {ASK}", sandbox=sandbox)
    assert (words(result), result.empty) == (["1"], ())
    assert (lab.root / "vendor/library/shop.py").read_text() == "def price(): return 3\n"
    assert lab.git("-C", "vendor/library", "diff", "--cached", "--name-only") == ""


def test_a_submodule_that_is_not_set_up_is_named_with_what_sets_it_up(lab: Lab) -> None:
    oid = with_submodule(lab)
    environment = ProjectEnvironment(lab.root, lab.root / ".git", lab.environ)
    before = asyncio.run(environment.stamp())
    shutil.rmtree(lab.root / ".git" / "modules")
    assert asyncio.run(environment.stamp()) != before
    [result] = lab.run(oid, f"cd vendor/library && python3 {ASK}", sandbox="off")
    kept = keep_run(result, assess("python3 x", result.outcome)).result
    assert (result.empty, "git submodule update --init" in kept.note) == (("vendor/library",), True)
