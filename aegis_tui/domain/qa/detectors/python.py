"""Python: pytest where something names it or needs it, Django's tests, or unittest where every test uses it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

from aegis_tui.domain.qa.detectors.base import Read, folders_of, is_aside
from aegis_tui.domain.qa.detectors.python_declared import declared_commands

_BUILD_FILES = frozenset(
    {"pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", ".pytest.ini", "noxfile.py"}
) | {"Pipfile", "environment.yml", "manage.py"}
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "manage.py")
_REQUIREMENTS = re.compile(r"(?:^|/)[\w.-]*requirements[\w.-]*\.(?:txt|in)$|(?:^|/)requirements/[\w./-]+\.(?:txt|in)$")
_PLAIN_TEST = re.compile(r"^(?:async )?def test\w*\(", re.M)
_UNITTEST = re.compile(r"^[ \t]*(?:import unittest\b|from unittest\b)", re.M)
_PYTEST = re.compile(r"\bpytest\b")
_PYTEST_SECTION = re.compile(r"^\[(?:tool:pytest|pytest)\]", re.M)


class PythonDetector:
    """Finds pytest where something names it or tests are plain functions; Django's or unittest's tests elsewhere."""

    name = "python"

    def wants(self, path: str) -> bool:
        """True for build files and lists of requirements, which may name pytest, and for test files."""
        return _is_build_file(path) or bool(_REQUIREMENTS.search(path)) or self.is_test(path)

    def is_test(self, path: str) -> bool:
        """True for `test_*.py` and `*_test.py`, except in folders of examples, test data or the code of others."""
        name = path.rsplit("/", 1)[-1]
        return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py")) and not is_aside(path)

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the one command that runs all tests; nothing if there are no tests, or it is not certain how they run.

        The first of these that the files show: pytest, Django's tests, the only command that tox, hatch, nox or the
        like name, unittest's discovery. Where the root is no project and all tests are in projects below it, there may
        be one command for each of these, `cd FOLDER && COMMAND`.
        """
        projects = self._projects(files)
        if not projects:
            yield from self._of_project(files, read)
        for folder in projects:
            inside = [path.removeprefix(folder) for path in files if path.startswith(folder)]
            for command in self._of_project(inside, partial(_read_below, read, folder)):
                yield f"cd {folder.rstrip('/')} && {command}"

    def _projects(self, files: Collection[str]) -> list[str]:
        """Return the folders of the projects below a root that is none itself, each with a slash at its end, sorted.

        Empty if the root is a project, or a test is in none of them.
        """
        if any(name in files for name in _PROJECT_FILES) or any(name in files for name in _BUILD_FILES):
            return []
        folders = sorted({folder for name in _PROJECT_FILES for folder in folders_of(files, name)})
        tests = [path for path in files if self.is_test(path)]
        return folders if all(any(path.startswith(folder) for folder in folders) for path in tests) else []

    def _of_project(self, files: Collection[str], read: Read) -> Iterator[str]:
        tests = [path for path in files if self.is_test(path)]
        if not tests:
            return
        if _names_pytest(files, read):
            yield "python3 -m pytest -q"
            return
        texts = [text for path in tests if (text := read(path))]
        if any(_PYTEST.search(text) for text in texts) or any(_PLAIN_TEST.search(text) for text in texts):
            yield "python3 -m pytest -q"
            return
        command = _django(files, read) or _declared(files, read)
        all_use_it = bool(texts) and all(_UNITTEST.search(text) or not text.strip() for text in texts)
        if command is None and all_use_it and "manage.py" not in files:
            command = _discovery(files, tests)
        if command is not None:
            yield command


def _is_build_file(path: str) -> bool:
    return path.rpartition("/")[2] in _BUILD_FILES and path.count("/") <= 2 and not is_aside(path)


def _read_below(read: Read, folder: str, path: str) -> str:
    return read(f"{folder}{path}")


def _django(files: Collection[str], read: Read) -> str | None:
    """Return the run of Django's tests, if the root has a manage.py that names Django; else None."""
    return "python3 manage.py test" if "manage.py" in files and "django" in read("manage.py") else None


def _declared(files: Collection[str], read: Read) -> str | None:
    """Return the one command by which the project says itself that it is tested; None for none or several.

    Only commands of unittest and Django count (see `declared_commands`).
    """
    commands = declared_commands(files, read)
    return commands[0] if len(commands) == 1 else None


def _discovery(files: Collection[str], tests: Sequence[str]) -> str | None:
    """Return the unittest command whose discovery, from one folder, reaches every test file; None when there is none.

    Discovery walks packages only, and takes files by one pattern.

    Args:
        files: All tracked paths.
        tests: The test files among them.
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
    """Return whether every folder between `start` and a file is a package; False if the file is not below `start`.

    Args:
        start: A folder with a slash at its end, or empty for the root; it need not be a package itself.
        path: The file, relative to the root.
        files: All files; a folder is a package if its `__init__.py` is one of them.
    """
    if not path.startswith(start):
        return False
    folders = path[len(start) :].split("/")[:-1]
    return all(f"{start}{'/'.join(folders[: n + 1])}/__init__.py" in files for n in range(len(folders)))


def _names_pytest(files: Collection[str], read: Read) -> bool:
    """Return whether a build file or a list of requirements names pytest, or there is a conftest.py or a pytest.ini.

    Those two count in any folder but those of examples, test data and the like.
    """
    names = {path.rsplit("/", 1)[-1] for path in files if not is_aside(path)}
    if names & {"conftest.py", "pytest.ini", ".pytest.ini"} or _PYTEST_SECTION.search(read("setup.cfg")):
        return True
    if "pyproject.toml" in files and _toml_names_pytest(read("pyproject.toml")):
        return True
    others = [name for name in _BUILD_FILES if name in files and name != "pyproject.toml"]
    others += [path for path in files if _REQUIREMENTS.search(path)]
    return any(_PYTEST.search(read(path)) for path in others)


def _toml_names_pytest(text: str) -> bool:
    try:
        plain: dict[str, Any] = tomllib.loads(text)
        values = json.dumps(plain, default=str)
    except (tomllib.TOMLDecodeError, RecursionError):
        return bool(_PYTEST.search(text))
    tool = plain.get("tool")
    return (isinstance(tool, dict) and "pytest" in tool) or bool(_PYTEST.search(values))
