"""Which set-up command would make the environment of a project, by its own files: a suggestion only (GIT-1). Pure."""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Collection, Iterator, Mapping

from aegis_tui.domain.environment.needs import pytest_folder, runs_pytest
from aegis_tui.domain.environment.python_project import PythonProject, Read, python_project

_NODE = {
    "package-lock.json": "npm ci",
    "npm-shrinkwrap.json": "npm ci",
    "pnpm-lock.yaml": "pnpm install --frozen-lockfile",
    "bun.lock": "bun install --frozen-lockfile",
    "bun.lockb": "bun install --frozen-lockfile",
}
_NODE_WITHOUT_LOCK = {
    "npm": "npm install --no-package-lock",
    "pnpm": "pnpm install --no-lockfile",
    "yarn": "yarn install --no-lockfile",
    "bun": "bun install --no-save",
}
_PYTHON = {
    "uv.lock": "uv sync --frozen",
    "poetry.lock": "POETRY_VIRTUALENVS_IN_PROJECT=1 poetry install",
    "pdm.lock": "pdm sync --dev",
    "Pipfile.lock": "PIPENV_VENV_IN_PROJECT=1 pipenv sync --dev",
}
_OTHERS: Mapping[str, str] = {
    "go.sum": "go mod download",
    "Cargo.lock": "cargo fetch --locked",
    "composer.lock": "composer install",
}
_VENV = "python3 -m venv .venv"
_DEEPEST = 2


def _nothing(path: str) -> str:
    return ""


def suggest_setup(files: Collection[str], read: Read = _nothing, *, checks: Collection[str] = ()) -> str:
    """Return a set-up command that may make the environment of a project; empty if its files name none.

    It also installs what the files say that the tests need. All of the commands in it need the network, unless their
    packages are stored on the machine. A person may copy it into a shell, so names in it are quoted; a folder whose
    name has a control character is left out.

    Args:
        files: All tracked paths.
        read: Returns the text of a tracked file: of manifests and lists of requirements; empty if it is not known.
        checks: The QA commands of the project; pytest is installed where one of them runs it.
    """
    folders = sorted({posixpath.dirname(path) for path in files if path.count("/") <= _DEEPEST})
    commands: list[str] = []
    for folder in folders:
        inside = list(_of_folder(folder, files, read, checks))
        if not folder:
            commands += inside
        elif folder.isprintable():
            place = shlex.quote(f"./{folder}" if folder.startswith("-") else folder)
            commands += [f"(cd {place} && {command})" for command in inside]
    return " && ".join(commands)


def _of_folder(folder: str, files: Collection[str], read: Read, checks: Collection[str]) -> Iterator[str]:
    prefix = f"{folder}/" if folder else ""
    names = {posixpath.basename(path) for path in files if posixpath.dirname(path) == folder}
    if python := next((command for lock, command in _PYTHON.items() if lock in names), None):
        yield python
    elif names & {"requirements.txt", "pyproject.toml", "setup.py", "setup.cfg"}:
        inside = {path.removeprefix(prefix) for path in files if path.startswith(prefix)}
        has_pytest = any(runs_pytest(check) and pytest_folder(check) == folder for check in checks)
        project = python_project(inside, lambda name: read(f"{prefix}{name}"))
        if words := list(_pip_words(names, project, lambda name: read(f"{prefix}{name}"), has_pytest=has_pytest)):
            yield f"{_VENV} && .venv/bin/pip install {shlex.join(words)}"
    if "yarn.lock" in names:
        yield "yarn install --immutable" if ".yarnrc.yml" in names else "yarn install --frozen-lockfile"
    elif node := next((command for lock, command in _NODE.items() if lock in names), None):
        yield node
    elif "package.json" in names and not _is_below_a_package(folder, files):
        yield from _of_package(read(f"{prefix}package.json"))
    yield from (command for lock, command in _OTHERS.items() if lock in names)


def _pip_words(names: set[str], project: PythonProject, read: Read, *, has_pytest: bool) -> Iterator[str]:
    """Yield what pip has to install, as its arguments; nothing if that is not known."""
    lists = [*(["requirements.txt"] if "requirements.txt" in names else []), *filter(None, [project.test_list])]
    if any("--hash" in read(name) for name in lists):  # then pip accepts nothing that has no hash
        yield from (word for name in lists for word in ("-r", name))
        return
    is_of_another = bool(names & {"package.json", "Cargo.toml", "go.mod"}) and not project.is_declared
    is_installed = project.is_package and not is_of_another and (project.is_declared or "requirements.txt" not in names)
    yield from (word for name in lists for word in ("-r", name))
    if is_installed:
        yield from ("-e", f".[{project.test_extra}]" if project.test_extra else ".")
    if is_installed or lists:
        yield from project.test_needs
        yield from ("pytest",) * has_pytest


def _is_below_a_package(folder: str, files: Collection[str]) -> bool:
    """Return whether a folder above has a package.json, so that the package may belong to its workspace."""
    parts = folder.split("/")
    above = ["/".join(parts[:count]) for count in range(len(parts))] if folder else []
    return any(posixpath.join(place, "package.json") in files for place in above)


def _of_package(text: str) -> Iterator[str]:
    """Yield the command that installs the packages of a package.json without a lock file; nothing if it names none."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(plain, dict) and any(plain.get(name) for name in ("dependencies", "devDependencies")):
        manager = str(plain.get("packageManager", "")).partition("@")[0]
        yield _NODE_WITHOUT_LOCK.get(manager, _NODE_WITHOUT_LOCK["npm"])
