"""What a Python project says in its own files that it and its tests need (GIT-1). Reads text and starts nothing.

What cannot be read, such as a list that `setup.py` computes, is not known: then nothing is said about it.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

Read = Callable[[str], str]
"""Takes a tracked path; returns the text of the file, empty if it cannot be read."""

PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_TEST_NAMES = ("test", "tests", "testing", "dev", "develop", "development")
"""How an extra, a dependency group or a list of requirements for the tests is named, the likeliest name first."""

_LISTS = tuple(
    form.format(name)
    for name in _TEST_NAMES
    for form in (
        "requirements-{}.txt",
        "requirements_{}.txt",
        "{}-requirements.txt",
        "{}_requirements.txt",
        "requirements/{}.txt",
        "requirements.{}.txt",
        "{}/requirements.txt",
    )
)
_MOST = 100


@dataclass(frozen=True, slots=True)
class PythonProject:
    """One project, in one folder."""

    is_package: bool
    """Whether pip can install the folder, as far as the text of its files is known."""
    is_declared: bool
    """Whether its files declare a package, beyond settings of tools that stand in `pyproject.toml` or `setup.cfg`."""
    needs: tuple[str, ...]
    """The requirements of the package itself, as they are written."""
    test_extra: str
    """The extra with which the package can be tested; empty if there is none."""
    test_needs: tuple[str, ...]
    """The requirements of its tests that belong to no extra, as they are written."""
    test_list: str
    """The path, relative to the folder, of the list of what its tests need; empty if there is none."""


def python_project(names: Collection[str], read: Read) -> PythonProject:
    """Return what the files of a folder say about the Python project in it; nothing at all if they say nothing.

    Args:
        names: The paths of the tracked files, relative to the folder.
        read: Returns the text of a file, by its path relative to the folder.
    """
    pyproject = _toml(read("pyproject.toml")) if "pyproject.toml" in names else {}
    config = _ini(read("setup.cfg")) if "setup.cfg" in names else {}
    call = _setup_call(read("setup.py")) if "setup.py" in names else {}
    project, options = _table(pyproject.get("project")), config.get("options", {})
    extras = [
        *_table(project.get("optional-dependencies")),
        *config.get("options.extras_require", {}),
        *_keys(call.get("extras_require")),
    ]
    needs = [
        *_texts(project.get("dependencies")),
        *_lines(options.get("install_requires", "")),
        *_literals(call.get("install_requires")),
    ]
    groups = {_plain(name): value for name, value in _table(pyproject.get("dependency-groups")).items()}
    extra, group, listed = _likeliest(extras), _likeliest(groups), next((name for name in _LISTS if name in names), "")
    best = min((_rank(extra), 0, "extra"), (_rank(group), 1, "group"), (_rank(listed), 2, "list"))[2]
    always = [*_lines(options.get("tests_require", "")), *_literals(call.get("tests_require"))]
    declared = "setup.py" in names or bool(project) or "build-system" in pyproject or "metadata" in config
    poetry = _table(_table(pyproject.get("tool")).get("poetry"))
    return PythonProject(
        is_package=declared or bool(poetry) or ("pyproject.toml" in names and not pyproject),
        is_declared=declared or bool(poetry),
        needs=tuple(_requirements(needs)),
        test_extra=extra if best == "extra" else "",
        test_needs=tuple(_requirements([*always, *(_group(groups, group) if best == "group" else ())])),
        test_list=listed if best == "list" else "",
    )


def _requirements(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts that begin as the name of a package does, each once, 100 at most; no option of pip is one."""
    named = (text for text in dict.fromkeys(texts) if re.match(r"[A-Za-z0-9]", text) and text.isprintable())
    yield from islice(named, _MOST)


def _likeliest(names: Collection[str]) -> str:
    """Return the name that the tests' needs most likely have; empty if none of the names is one of those."""
    return next((name for name in _TEST_NAMES if name in names), "")


def _rank(name: str) -> int:
    """Return the place of the first likely name in a name or path; behind all of them if it is empty."""
    words = re.split(r"[^a-z]+", name)
    return next((number for number, likely in enumerate(_TEST_NAMES) if likely in words), len(_TEST_NAMES))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _setup_call(text: str) -> dict[str, ast.expr]:
    """Return the named arguments of the call of `setup` in a setup.py; empty if there is none, or it has none.

    A variable that was given a literal before is replaced by it.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == "setup":
            named = {item.arg: item.value for item in node.keywords if item.arg}
            return {
                name: values.get(value.id, value) if isinstance(value, ast.Name) else value
                for name, value in named.items()
            }
    return {}


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _literals(node: ast.expr | None) -> Iterator[str]:
    """Yield the texts in the literal list or tuple of an argument; nothing if it is none."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        yield from (item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str))


def _keys(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Dict):
        yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _lines(text: str) -> list[str]:
    lines = (re.split(r"(?:^|\s)#", line)[0].strip() for line in re.split(r"[\n]", text))
    return [line for line in lines if line]


def _group(groups: Mapping[str, Any], name: str) -> list[str]:
    """Return the requirements of a dependency group, with those of the groups that it includes.

    Source: the specification of dependency groups of the Python Packaging User Guide (PEP 735).
    """
    requirements: list[str] = []
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        items = groups.get(name) if name not in seen else None
        seen.add(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, str):
                requirements.append(item)
            elif isinstance(item, dict) and isinstance(item.get("include-group"), str):
                waiting.append(_plain(item["include-group"]))
    return requirements
