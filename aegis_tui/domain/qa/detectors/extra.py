"""Type checks and linters that a project configures: run beside its tests where they are installed (FLOW-7). Pure.

They are no condition: one that cannot run on the base is left out of the judgement.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.command import programs_of
from aegis_tui.domain.qa.detectors.base import Read
from aegis_tui.domain.qa.package import scripts_of

_SCRIPTS = ("typecheck", "type-check", "check-types", "tsc", "lint")
_CHANGES_FILES = re.compile(r"--fix\b|--write\b|--watch\b|\bwatch\b")


def wanted_extra(files: Collection[str]) -> list[str]:
    """Return which of setup.cfg, pyproject.toml and package.json the root has: what `detect_extra` reads."""
    return [name for name in ("setup.cfg", "pyproject.toml", "package.json") if name in files]


def detect_extra(files: Collection[str], read: Read) -> tuple[str, ...]:
    """Return the commands of the type checkers and linters that the root configures, each once.

    Empty if there are none.

    Known are ruff, flake8, mypy, pyright, and scripts such as `lint` of package.json that change no files.

    Args:
        files: All tracked paths.
        read: Gives the text of the files of `wanted_extra`.
    """
    return tuple(dict.fromkeys((*_python(files, read), *_node(files, read))))


def _python(files: Collection[str], read: Read) -> Iterator[str]:
    project = read("pyproject.toml") if "pyproject.toml" in files else ""
    setup = read("setup.cfg") if "setup.cfg" in files else ""
    if "ruff.toml" in files or ".ruff.toml" in files or re.search(r"^\[tool\.ruff\b", project, re.M):
        yield "ruff check ."
    if ".flake8" in files or re.search(r"^\[flake8\]", setup, re.M):
        yield "flake8"
    section = re.search(r"^\[tool\.mypy\]([^\[]*)", project, re.M) or re.search(r"^\[mypy\]([^\[]*)", setup, re.M)
    if section and re.search(r"^(?:files|packages|modules)\s*=", section[1], re.M):
        yield "mypy"
    if "pyrightconfig.json" in files or re.search(r"^\[tool\.pyright\]", project, re.M):
        yield "pyright"


def _node(files: Collection[str], read: Read) -> Iterator[str]:
    scripts = scripts_of(read("package.json")) if "package.json" in files else {}
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
    manager = next((name for lock, name in locks.items() if lock in files), "npm")
    for name in _SCRIPTS:
        script = scripts.get(name, "")
        if programs_of(script) and not _CHANGES_FILES.search(script):
            yield f"{manager} run {name}{' --silent' if manager == 'npm' else ''}"
