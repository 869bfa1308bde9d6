"""Lock files of package managers: they are generated anew from both sides' manifests, never merged by lines (GIT-3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.environment.setup import LOCKS

_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "package-lock.json": "npm install --package-lock-only",
        "npm-shrinkwrap.json": "npm install --package-lock-only",
        "yarn.lock": "yarn install",
        "pnpm-lock.yaml": "pnpm install --lockfile-only",
        "bun.lock": "bun install --lockfile-only",
        "deno.lock": "deno install",
        "poetry.lock": "poetry lock",
        "uv.lock": "uv lock",
        "pdm.lock": "pdm lock",
        "Pipfile.lock": "pipenv lock",
        "conda-lock.yml": "conda-lock lock",
        "Cargo.lock": "cargo update --workspace",
        "Gemfile.lock": "bundle lock",
        "composer.lock": "composer update --lock",
        "go.sum": "go mod tidy",
        "gradle.lockfile": "gradle dependencies --write-locks",
    }
)
"""Name of a lock file -> the command that generates it after the manifests were merged."""


def is_lock_file(path: str) -> bool:
    """Whether a file is a lock file, by its name."""
    return PurePosixPath(path).name in LOCKS


def regenerating(path: str) -> str:
    """Return why a lock file is not merged, and what to do instead."""
    command = _COMMANDS.get(PurePosixPath(path).name)
    how = f"with `{command}`" if command else "with its package manager"
    return f"a lock file is generated, not merged: merge the manifests, then regenerate it {how}"
