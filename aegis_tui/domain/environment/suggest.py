"""Which set-up command would make the environment of a project, by its lock files: a suggestion only (GIT-1). Pure."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Collection, Iterator, Mapping

_NODE = {
    "package-lock.json": "npm ci",
    "npm-shrinkwrap.json": "npm ci",
    "pnpm-lock.yaml": "pnpm install --frozen-lockfile",
    "bun.lock": "bun install --frozen-lockfile",
    "bun.lockb": "bun install --frozen-lockfile",
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


def suggest_setup(files: Collection[str]) -> str:
    """Return a set-up command that may make the environment of a project; empty if its files name none.

    All of the commands in it need the network, unless their packages are stored on the machine. A person may copy it
    into a shell, so the names of folders in it are quoted; a folder whose name has a control character is left out.

    Args:
        files: All tracked paths.
    """
    folders = sorted({posixpath.dirname(path) for path in files if path.count("/") <= _DEEPEST})
    commands = []
    for folder in folders:
        names = {posixpath.basename(path) for path in files if posixpath.dirname(path) == folder}
        inside = list(_of_folder(names))
        if not folder:
            commands += inside
        elif folder.isprintable():
            place = shlex.quote(f"./{folder}" if folder.startswith("-") else folder)
            commands += [f"(cd {place} && {command})" for command in inside]
    return " && ".join(commands)


def _of_folder(names: set[str]) -> Iterator[str]:
    if python := next((command for lock, command in _PYTHON.items() if lock in names), None):
        yield python
    elif "requirements.txt" in names:
        yield f"{_VENV} && .venv/bin/pip install -r requirements.txt"
    elif "pyproject.toml" in names and not names & {"package.json", "Cargo.toml", "go.mod"}:
        yield f"{_VENV} && .venv/bin/pip install -e ."
    if "yarn.lock" in names:
        yield "yarn install --immutable" if ".yarnrc.yml" in names else "yarn install --frozen-lockfile"
    elif node := next((command for lock, command in _NODE.items() if lock in names), None):
        yield node
    yield from (command for lock, command in _OTHERS.items() if lock in names)
