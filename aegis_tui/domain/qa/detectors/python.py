"""Python: pytest where something names it or needs it, unittest where every test uses it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from aegis_tui.domain.qa.detectors.base import Read, is_aside

_BUILD_FILES = frozenset(
    {"pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", ".pytest.ini", "noxfile.py"}
) | {"Pipfile", "environment.yml", "manage.py"}
_REQUIREMENTS = re.compile(r"(?:^|/)[\w.-]*requirements[\w.-]*\.(?:txt|in)$|(?:^|/)requirements/[\w./-]+\.(?:txt|in)$")
_PLAIN_TEST = re.compile(r"^(?:async )?def test\w*\(", re.M)
_UNITTEST = re.compile(r"^[ \t]*(?:import unittest\b|from unittest\b)", re.M)
_PYTEST = re.compile(r"\bpytest\b")
_PYTEST_SECTION = re.compile(r"^\[(?:tool:pytest|pytest)\]", re.M)


class PythonDetector:
    """Finds pytest where something names it or tests are plain functions; unittest where all use it; else nothing."""

    name = "python"

    def wants(self, path: str) -> bool:
        """True for build files and lists of requirements, which may name pytest, and for test files."""
        return path in _BUILD_FILES or bool(_REQUIREMENTS.search(path)) or self.is_test(path)

    def is_test(self, path: str) -> bool:
        """True for `test_*.py` and `*_test.py`, except in folders of examples, test data or the code of others."""
        name = path.rsplit("/", 1)[-1]
        return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py")) and not is_aside(path)

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the run of all tests, by pytest or by unittest's discovery; nothing if there are none or in doubt."""
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
        all_use_it = bool(texts) and all(_UNITTEST.search(text) or not text.strip() for text in texts)
        if all_use_it and "manage.py" not in files and (command := _discovery(files, tests)):
            yield command


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
    """True when a build file or a list of requirements names pytest, or there is a conftest.py or a pytest.ini."""
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
