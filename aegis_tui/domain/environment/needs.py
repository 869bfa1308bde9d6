"""What a project says that it needs, compared with what is installed (FLOW-7). Texts and names only; starts nothing.

Only what is certain is reported: a requirement with a condition, an address or a path is passed over.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis_tui.domain.environment.python_project import PROJECT_FILES, Read, python_project
from aegis_tui.domain.qa.command import programs_of

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~].*)?$")
_NODE_NAME = re.compile(r"(?=.{1,214}\Z)(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*", re.ASCII)
"""A name that npm accepts, also of the time when capitals were allowed; any other would be a path of one's choice."""
_DEEPEST = 3
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class PackageNeed:
    """What one file of the project asks for."""

    kind: str
    """Where the packages are installed: `python` for site-packages, `node` for node_modules."""
    folder: str
    """The folder of the file, relative to the top; empty for the top."""
    source: str
    """The path of the file that asks for them, such as `web/package.json`, relative to the top."""
    names: tuple[str, ...]
    """The packages, each once, sorted; those of Python in their normal form (PEP 503)."""


def wanted_files(files: Collection[str]) -> list[str]:
    """Return those of the files that say which packages a project needs, sorted.

    They are `pyproject.toml`, `setup.cfg`, `setup.py`, `package.json` and `requirements.txt`, at most three folders
    deep.
    """
    names = ("package.json", "requirements.txt", *PROJECT_FILES)
    return sorted(path for path in files if posixpath.basename(path) in names and path.count("/") <= _DEEPEST)


def needs_of(files: Collection[str], read: Read, *, checks: Sequence[str] = ()) -> list[PackageNeed]:
    """Return what the files and the checks of a project ask for, in this order; only needs with at least one package.

    Requirements with a condition, an address or a path are passed over, and so is a file that cannot be parsed.

    Args:
        files: All tracked paths; those of `wanted_files` are read.
        read: Returns the text of a file.
        checks: The QA commands of the project; of what they start, only pytest is a need.
    """
    needs = []
    for path in wanted_files(files):
        folder, name = posixpath.split(path)
        kind = "node" if name == "package.json" else "python"
        if names := tuple(sorted(set(_READERS[name](read(path))))):
            needs.append(PackageNeed(kind, folder, path, names))
    return [
        *needs,
        *(PackageNeed("python", pytest_folder(check), check, ("pytest",)) for check in checks if runs_pytest(check)),
    ]


def runs_pytest(check: str) -> bool:
    """Return whether a QA command starts pytest itself."""
    return any(words[:1] == ("pytest",) for words in programs_of(check))


def pytest_folder(check: str) -> str:
    """Return the folder that a QA command enters by `cd FOLDER && `, as detected ones do; empty for the top folder."""
    entered = re.match(r"cd ([\w./@+-]+) && ", check)
    return entered[1].rstrip("/") if entered else ""


def missing_words(need: PackageNeed, absent: Collection[str], *, where: str) -> str:
    """Return the sentence, without a full stop, that packages of a need are not installed, and what to do about it.

    Args:
        need: The need.
        absent: The packages that are not installed; the first four by name are listed, the others counted.
        where: Where they were looked for; empty if there is no place at all.
    """
    listed = sorted(absent)
    named = ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")
    place = f"{need.folder}/" if need.folder else ""
    what = f"{need.source} asks for {named}"
    if need.kind == "node":
        lack = f"which {where} does not have" if where else f"but there is no {place}node_modules"
        return f"{what}, {lack}; run your package manager in {need.folder or 'your checkout'}, or set environment.setup"
    lack = f"which {where} does not have" if where else "but there is no virtual environment"
    packages = "it" if len(listed) == 1 else "them"
    return f"{what}, {lack}; install {packages} into {place}.venv, or set environment.setup"


def normal_name(name: str) -> str:
    """Return the name of a Python package in lower case with `-` for each run of `-`, `_` and `.` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of_pyproject(text: str) -> Iterator[str]:
    try:
        plain: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    project = plain.get("project")
    dependencies = project.get("dependencies") if isinstance(project, dict) else None
    for item in dependencies if isinstance(dependencies, list) else ():
        yield from _plain_name(item)
    tool = plain.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    table = poetry.get("dependencies") if isinstance(poetry, dict) else None
    for name, value in table.items() if isinstance(table, dict) else ():
        if isinstance(value, str) and name != "python":
            yield normal_name(name)


def _of_setup(name: str) -> Callable[[str], Iterator[str]]:
    """Return a reader of `setup.cfg` or `setup.py`, which yields the packages that the text of the file asks for."""

    def read(text: str) -> Iterator[str]:
        for requirement in python_project({name}, lambda _: text).needs:
            yield from _plain_name(requirement)

    return read


def _of_requirements(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        line = re.split(r"(?:^|\s)#|\s--", line)[0].strip()
        if line and not line.startswith("-"):
            yield from _plain_name(line)


def _plain_name(requirement: object) -> Iterator[str]:
    if isinstance(requirement, str) and ";" not in requirement and (match := _NAME.match(requirement)):
        yield normal_name(match[1])


def _of_package(text: str) -> Iterator[str]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return
    for part in ("dependencies", "devDependencies"):
        table: Mapping[str, Any] = plain.get(part, {}) if isinstance(plain, dict) else {}
        for name, version in table.items() if isinstance(table, dict) else ():
            near = ("file:", "link:", "workspace:", "portal:")
            if _NODE_NAME.fullmatch(name) and isinstance(version, str) and not version.startswith(near):
                yield name


_READERS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "pyproject.toml": _of_pyproject,
    "setup.cfg": _of_setup("setup.cfg"),
    "setup.py": _of_setup("setup.py"),
    "package.json": _of_package,
    "requirements.txt": _of_requirements,
}
