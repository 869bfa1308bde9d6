"""Lockfiles of package managers: known by their names, made by a command from the files that a person writes (GIT-3).

Two changes of such a file cannot be merged by lines, even where git finds no conflict: the result may fit no manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Lockfile(NamedTuple):
    """A kind of lockfile."""

    command: str
    """What makes it again from its manifest, in the folder that holds it; the versions in it stay where they can."""
    manifests: tuple[str, ...]
    """The names of the files that decide its content, beside it."""
    offline: tuple[str, ...] = ()
    """The program, with its arguments, that makes it again without a network; empty if that is not known."""


_NPM: Final = ("npm", "install", "--package-lock-only", "--ignore-scripts", "--offline", "--no-audit", "--no-fund")


LOCKFILES: Final[Mapping[str, Lockfile]] = MappingProxyType(
    {
        "Cargo.lock": Lockfile(
            "cargo update --workspace", ("Cargo.toml",), ("cargo", "update", "--workspace", "--offline")
        ),
        "Gemfile.lock": Lockfile("bundle lock", ("Gemfile",)),
        "Package.resolved": Lockfile("swift package resolve", ("Package.swift",)),
        "Pipfile.lock": Lockfile("pipenv lock", ("Pipfile",)),
        "Podfile.lock": Lockfile("pod install", ("Podfile",)),
        ".terraform.lock.hcl": Lockfile("terraform providers lock", ("main.tf", "versions.tf")),
        "bun.lock": Lockfile("bun install --lockfile-only", ("package.json",)),
        "bun.lockb": Lockfile("bun install --lockfile-only", ("package.json",)),
        "composer.lock": Lockfile("composer update --lock", ("composer.json",)),
        "conda-lock.yml": Lockfile("conda-lock lock", ("environment.yml",)),
        "deno.lock": Lockfile("deno install", ("deno.json", "deno.jsonc")),
        "flake.lock": Lockfile("nix flake lock", ("flake.nix",)),
        "go.sum": Lockfile("go mod tidy", ("go.mod",)),
        "gradle.lockfile": Lockfile("gradle dependencies --write-locks", ("build.gradle", "build.gradle.kts")),
        "mix.lock": Lockfile("mix deps.get", ("mix.exs",)),
        "npm-shrinkwrap.json": Lockfile("npm install --package-lock-only", ("package.json",), _NPM),
        "package-lock.json": Lockfile("npm install --package-lock-only", ("package.json",), _NPM),
        "packages.lock.json": Lockfile("dotnet restore --force-evaluate", ()),
        "pdm.lock": Lockfile("pdm lock --update-reuse", ("pyproject.toml",)),
        "pixi.lock": Lockfile("pixi lock", ("pixi.toml", "pyproject.toml")),
        "pnpm-lock.yaml": Lockfile("pnpm install --lockfile-only", ("package.json",)),
        "poetry.lock": Lockfile("poetry lock", ("pyproject.toml",)),
        "pubspec.lock": Lockfile("dart pub get", ("pubspec.yaml",)),
        "pylock.toml": Lockfile("pip lock .", ("pyproject.toml",)),
        "uv.lock": Lockfile("uv lock", ("pyproject.toml",), ("uv", "lock", "--offline")),
        "yarn.lock": Lockfile("yarn install", ("package.json",)),
    }
)
"""Every known lockfile by its name, in any folder."""


def lockfile_of(path: str) -> Lockfile | None:
    """Return what is known of the lockfile at a path, by its name; None if it is no lockfile.

    Args:
        path: A POSIX path relative to the repository root.
    """
    return LOCKFILES.get(path.rpartition("/")[2])


def how_to_make(path: str) -> str:
    """Return the command that makes a lockfile again, with its folder if that is not the root; empty if it is none."""
    known, folder = lockfile_of(path), path.rpartition("/")[0]
    if known is None:
        return ""
    return f"`{known.command}` in {folder}" if folder else f"`{known.command}`"
