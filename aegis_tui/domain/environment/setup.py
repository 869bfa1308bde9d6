"""The set-up command of a project: what its result depends on, and the key that a person allows (GIT-1, contract 1).

A person allows one command for one content of the files that decide what it does. A changed command, or a changed lock
file, is asked for again. All files are those of the base commit.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping

MANIFESTS = frozenset(
    {"pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "environment.yml", "package.json", "deno.json", "go.mod"}
) | {"Cargo.toml", "build.rs", "Gemfile", "composer.json", "pom.xml", "build.gradle", "build.gradle.kts"}
"""Files that say what a project needs. They count beside their lock files, because they can name programs to start."""

LOCKS = frozenset(
    {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "conda-lock.yml", "package-lock.json"}
) | {
    *("npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "deno.lock", "go.sum"),
    *("Cargo.lock", "Gemfile.lock", "composer.lock", "gradle.lockfile"),
}
"""Files that say exactly which packages a project gets."""

_SETTINGS = frozenset({".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".python-version", ".nvmrc"}) | {
    *("rust-toolchain", "rust-toolchain.toml", ".tool-versions", "mise.toml", ".mise.toml", "uv.toml", ".pypirc"),
    *("Makefile", "makefile", "GNUmakefile", "justfile"),
}
_REQUIREMENTS = re.compile(r"(?:^|/)(?:requirements|constraints)[^/]*(?:/[^/]+)?\.(?:txt|in)\Z")
_BETWEEN = re.compile(r"[\s'\"`;&|<>()=$]+")
_QUOTES = re.compile(r"[\\'\"]")
_DEEPEST = 4


def input_files(command: str, files: Collection[str]) -> tuple[str, ...]:
    """Return the tracked files that decide what a set-up command does, sorted.

    They are lock files, manifests, lists of requirements and settings of package managers, at most four folders deep,
    and files that the command names.

    Args:
        command: The set-up command.
        files: All tracked paths.
    """
    names = MANIFESTS | LOCKS | _SETTINGS
    near = (path for path in files if path.count("/") <= _DEEPEST)
    inputs = {path for path in near if posixpath.basename(path) in names or _REQUIREMENTS.search(path)}
    return tuple(sorted({*inputs, *_named(command, files)}))


def setup_key(command: str, inputs: Mapping[str, str], *, network: bool) -> str:
    """Return a hash of these arguments, 16 hex digits, under which a person allows the set-up.

    Another value gives another.

    Args:
        command: The set-up command.
        inputs: Path -> blob id of its input files.
        network: Whether it may use the network.
    """
    plain = json.dumps([1, command, network, sorted(inputs.items())], ensure_ascii=True)
    return hashlib.sha256(plain.encode("ascii")).hexdigest()[:16]


def _named(command: str, files: Collection[str]) -> Iterator[str]:
    """Yield the tracked files whose path is a word of the command, or ends in `/` and a word that has a dot in it.

    So a script that the command runs is found also in a folder that it enters; a word that begins with `.`, `/` or `-`
    does not count as such an end. A path, or the name of its file, that a shell would split, such as one with a space,
    counts as soon as the command contains it, however it is quoted.
    """
    words = {posixpath.normpath(word) for word in _BETWEEN.split(command) if word}
    ends = tuple(f"/{word}" for word in words if "." in word and not word.startswith((".", "/", "-")))
    unquoted = _QUOTES.sub("", command)
    for path in files:
        split = [name for name in (path, posixpath.basename(path)) if _BETWEEN.search(name)]
        if path in words or path.endswith(ends) or any(_QUOTES.sub("", name) in unquoted for name in split):
            yield path
