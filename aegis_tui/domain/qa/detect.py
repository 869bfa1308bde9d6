"""Which QA commands a repository has, by its build files; one detector for each tool. Pure.

A detector that is not sure says nothing: a run without `qa:` is refused with a hint, and nothing is guessed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from aegis_tui.domain.qa.command import programs_of
from aegis_tui.domain.qa.package import PLACEHOLDER, scripts_of

Read = Callable[[str], str]
"""The text of a tracked file; empty for one that is not at hand."""

TESTS_READ = 60
"""How many test files are looked into."""

_MANIFESTS = frozenset(
    {"package.json", "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", ".pytest.ini", "noxfile.py"}
) | {"Pipfile", "environment.yml", "manage.py"}
_ASIDE = frozenset({"node_modules", "vendor", "third_party", "testdata", "fixtures", "examples", "example", "docs"})
_REQUIREMENTS = re.compile(r"(?:^|/)[\w.-]*requirements[\w.-]*\.(?:txt|in)$|(?:^|/)requirements/[\w./-]+\.(?:txt|in)$")
_PLAIN_TEST = re.compile(r"^(?:async )?def test\w*\(", re.M)
_UNITTEST = re.compile(r"^[ \t]*(?:import unittest\b|from unittest\b)", re.M)
_PYTEST = re.compile(r"\bpytest\b")
_PYTEST_SECTION = re.compile(r"^\[(?:tool:pytest|pytest)\]", re.M)
_WATCH = re.compile(r"--watch(?:All)?\b(?!=false)|\bwatch\b|\bdev\b")


class Detector(Protocol):
    """Finds the commands of one ecosystem."""

    def __call__(self, files: Collection[str], read: Read) -> Iterator[str]:
        """The commands; none when it is not sure."""
        ...


def is_wanted(path: str) -> bool:
    """True for a file that a detector may read."""
    return path in _MANIFESTS or bool(_REQUIREMENTS.search(path)) or is_python_test(path) or path == "Cargo.toml"


def wanted_files(files: Collection[str]) -> list[str]:
    """What to read: every build file, then test files up to `TESTS_READ`, spread over the whole list."""
    manifests = sorted(path for path in files if is_wanted(path) and not is_python_test(path))[:100]
    tests = sorted(path for path in files if is_python_test(path) and not _is_aside(path))
    step = max(1, -(-len(tests) // TESTS_READ))
    return [*manifests, *tests[::step]]


def detect_qa(files: Collection[str], read: Read) -> tuple[str, ...]:
    """The QA commands of a repository; empty when none is sure.

    Args:
        files: All tracked paths.
        read: As `wanted_files` asks for.
    """
    return tuple(command for detector in DETECTORS for command in detector(files, read))


def detect_node(files: Collection[str], read: Read) -> Iterator[str]:
    """The test script of package.json, by the package manager that the repository uses."""
    script = scripts_of(read("package.json")).get("test") if "package.json" in files else None
    if script is None or PLACEHOLDER in script or not script.strip():
        return
    manager = _package_manager(files, read)
    programs = [words for words in programs_of(script) if words]
    if not _WATCH.search(script):
        if programs and programs[-1] == ("vitest",):
            # `vitest` alone watches for changes where it is not told otherwise.
            yield f"{manager}{' --' if manager.startswith('npm') else ''} --run"
        else:
            yield manager
    elif len(programs) == 1 and programs[0][0] in ("vitest", "jest"):
        yield "npx --no-install vitest run" if programs[0][0] == "vitest" else "npx --no-install jest"


def _package_manager(files: Collection[str], read: Read) -> str:
    try:
        named = str(json.loads(read("package.json")).get("packageManager", "")).partition("@")[0]
    except (ValueError, AttributeError, RecursionError):
        named = ""
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
    name = named or next((manager for lock, manager in locks.items() if lock in files), "npm")
    return {"pnpm": "pnpm test", "yarn": "yarn test", "bun": "bun run test"}.get(name, "npm test --silent")


def detect_go(files: Collection[str], read: Read) -> Iterator[str]:
    """Every Go module that has tests, the root first."""
    for folder in _folders(files, "go.mod"):
        below = [path for path in files if path.endswith(".go") and path.startswith(folder)]
        if not below:
            continue
        inside = f" -C {folder.rstrip('/')}" if folder else ""
        yield f"go{inside} vet ./..."
        if any(path.endswith("_test.go") for path in below):
            yield f"go{inside} test ./..."


def detect_cargo(files: Collection[str], read: Read) -> Iterator[str]:
    """The root crate or workspace; else every crate below it."""
    folders = [""] if "Cargo.toml" in files else _folders(files, "Cargo.toml")
    for folder in folders:
        yield f"cargo test --manifest-path {folder}Cargo.toml" if folder else "cargo test"


def detect_python(files: Collection[str], read: Read) -> Iterator[str]:
    """Find pytest where something names it or tests are plain functions; unittest where all use it; else nothing."""
    tests = [path for path in files if is_python_test(path) and not _is_aside(path)]
    if not tests:
        return
    if names_pytest(files, read):
        yield "python3 -m pytest -q"
        return
    texts = [text for path in tests if (text := read(path))]
    if any(_PYTEST.search(text) for text in texts) or any(_PLAIN_TEST.search(text) for text in texts):
        yield "python3 -m pytest -q"
        return
    all_use_it = bool(texts) and all(_UNITTEST.search(text) or not text.strip() for text in texts)
    if all_use_it and "manage.py" not in files and (command := _discovery(files, tests)):
        yield command


def _discovery(files: Collection[str], tests: Sequence[str]) -> str | None:
    """The discovery from the one folder where it reaches every test file; None when there is none.

    It walks packages only, and takes files by one pattern.
    """
    names = {path.rsplit("/", 1)[-1] for path in tests}
    if all(name.startswith("test") for name in names):
        pattern = ""
    elif all(name.endswith("_test.py") for name in names):
        pattern = " -p '*_test.py'"
    else:
        return None
    tops = {path.partition("/")[0] for path in tests if "/" in path}
    if all(_reaches("", path, files) for path in tests):
        return f"python3 -m unittest discover{pattern}"
    for top in sorted(tops):
        if re.fullmatch(r"[\w.+-]+", top) and all(_reaches(f"{top}/", path, files) for path in tests):
            return f"python3 -m unittest discover -s {top}{pattern}"
    return None


def _reaches(start: str, path: str, files: Collection[str]) -> bool:
    """True if every folder between the start and the file is a package."""
    if not path.startswith(start):
        return False
    folders = path[len(start) :].split("/")[:-1]
    return all(f"{start}{'/'.join(folders[: n + 1])}/__init__.py" in files for n in range(len(folders)))


def names_pytest(files: Collection[str], read: Read) -> bool:
    """True when a build file, a list of requirements or a conftest says that pytest runs the tests."""
    names = {path.rsplit("/", 1)[-1] for path in files if not _is_aside(path)}
    if names & {"conftest.py", "pytest.ini", ".pytest.ini"} or _PYTEST_SECTION.search(read("setup.cfg")):
        return True
    if "pyproject.toml" in files and _toml_names_pytest(read("pyproject.toml")):
        return True
    others = [name for name in _MANIFESTS if name in files and name not in ("pyproject.toml", "package.json")]
    others += [path for path in files if _REQUIREMENTS.search(path)]
    return any(_PYTEST.search(read(path)) for path in others)


def _toml_names_pytest(text: str) -> bool:
    try:
        plain: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return bool(_PYTEST.search(text))
    tool = plain.get("tool")
    return (isinstance(tool, dict) and "pytest" in tool) or bool(_PYTEST.search(json.dumps(plain, default=str)))


def is_python_test(path: str) -> bool:
    """True for `test_*.py` and `*_test.py`."""
    name = path.rsplit("/", 1)[-1]
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _folders(files: Collection[str], manifest: str) -> list[str]:
    """Folders of a manifest, at most two levels down, with a slash at their end; the root is empty."""
    found = [path.removesuffix(manifest) for path in files if path == manifest or path.endswith(f"/{manifest}")]
    near = [folder for folder in found if folder.count("/") <= 2 and not _is_aside(folder)]
    return sorted(folder for folder in near if re.fullmatch(r"[\w./@+-]*", folder))[:4]


def _is_aside(path: str) -> bool:
    return any(part in _ASIDE for part in path.split("/")[:-1])


DETECTORS: tuple[Detector, ...] = (detect_node, detect_go, detect_cargo, detect_python)
