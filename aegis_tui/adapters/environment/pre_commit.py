"""The environments of the hooks that pre-commit has installed for the person, for commits in another HOME (GIT-6).

Without them, each hook of another repository would be installed again, for which a sandbox has no network. Only those
that the project's configuration names are shown, read-only. Source: `pre_commit.store` of pre-commit 2 to 4.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from aegis_tui.adapters.environment.active import program_folders
from aegis_tui.adapters.environment.virtualenv import base_prefixes, is_virtualenv

CONFIGURATION: Final = ".pre-commit-config.yaml"
_DATABASE: Final = "db.db"
_MOST_BYTES: Final = 1 << 20
_INSTALLED: Final = ("pre-commit", "commit-msg", "prepare-commit-msg")
_PYTHON = re.compile(r"^INSTALL_PYTHON=(['\"]?)(/.+)\1$", re.MULTILINE)


def show_environments(root: Path, home: Path, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders that a sandbox must show so that the hooks of pre-commit run in it; blocking.

    Creates a store of pre-commit in the HOME of the commands, unless there is one, that lists what is shown. Empty if
    the checkout is not configured for pre-commit.

    Args:
        root: The person's checkout.
        home: The HOME of the commands, in which no program runs now.
        environ: The person's environment, with HOME, XDG_CACHE_HOME and PRE_COMMIT_HOME.

    Raises:
        OSError: The store cannot be created.
    """
    configuration = _read(root / CONFIGURATION)
    if not configuration:
        return []
    shown = list(_programs(root))
    store = _store(environ)
    if not (store / _DATABASE).is_file():
        return shown
    with contextlib.suppress(sqlite3.Error):
        kept = _installed(store / _DATABASE, configuration)
        folders = [Path(str(row[2])) for row in kept]
        shown += [folder for folder in folders if folder.parent == store and folder.is_dir()]
        _write_store(home, kept)
    return shown


_Row = tuple[str, str, str]
"""Repository, revision and folder of one hook's environments."""


def _installed(database: Path, configuration: str) -> list[_Row]:
    """Return those rows of the person's store that the configuration names.

    Raises:
        sqlite3.Error: It is no store that can be read.
    """
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT repo, ref, path FROM repos").fetchall()
    return [(str(repo), str(ref), str(path)) for repo, ref, path in rows if _is_named(str(repo), configuration)]


def _write_store(home: Path, rows: Sequence[_Row]) -> None:
    """Create a store of these rows in a HOME; nothing happens if there is something in its place.

    Raises:
        OSError: It cannot be created.
        sqlite3.Error: It cannot be written.
    """
    target = home / ".cache" / "pre-commit"
    with contextlib.suppress(FileExistsError):
        target.parent.mkdir(mode=0o700)
    if target.parent.is_symlink():
        return
    try:
        target.mkdir(mode=0o700)
    except FileExistsError:
        return
    with contextlib.closing(sqlite3.connect(target / _DATABASE)) as connection, connection:
        connection.execute(
            "CREATE TABLE repos (repo TEXT NOT NULL, ref TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (repo, ref))"
        )
        connection.executemany("INSERT INTO repos VALUES (?, ?, ?)", rows)


def _is_named(repo: str, configuration: str) -> bool:
    """Return whether a row of the store is of a repository that the configuration names.

    Its name is followed by a colon and the additional packages of a hook, if it has any.
    """
    places = [at for at, char in enumerate(repo) if char == ":" and repo[at : at + 3] != "://"]
    return any(repo[:end] in configuration for end in (*places, len(repo)))


def _store(environ: Mapping[str, str]) -> Path:
    if given := environ.get("PRE_COMMIT_HOME"):
        return Path(given)
    cache = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".cache")
    return Path(os.path.realpath(Path(cache) / "pre-commit"))


def _programs(root: Path) -> Iterator[Path]:
    """Yield the virtual environment of each Python that the installed hooks start, and what it is based on."""
    for name in _INSTALLED:
        named = _PYTHON.search(_read(root / ".git" / "hooks" / name))
        prefix = Path(named[2]).parent.parent if named else None
        if prefix is not None and is_virtualenv(prefix) and not prefix.is_relative_to(root):
            yield prefix
            yield from program_folders(base_prefixes(prefix))


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        if path.is_file() and path.stat().st_size <= _MOST_BYTES:
            return path.read_text("utf-8", "replace")
    return ""
