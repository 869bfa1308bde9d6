"""Reads result files of checks; size and number are limited, because a tested tree may write anything there."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from aegis_tui.domain.glob.pattern import Glob, compile_glob
from aegis_tui.domain.qa.outcome import ResultFile
from aegis_tui.domain.qa.readers.base import Wanted
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MAX_BYTES = 16 * 1024 * 1024
"""The limit for one file, and for all files of one command together."""

MAX_TEXT_BYTES = 1024 * 1024

MAX_FILES = 2_000
MAX_ENTRIES = 200_000
"""How many names of a worktree are examined at most; folders of dependencies are skipped."""

_NOT_ENTERED = frozenset({".git", "node_modules", ".venv", "venv", ".gradle", ".m2"})


class LocalResultFiles:
    """Implements the port `ResultFiles` on the local file system."""

    def read_text(self, root: Path, name: str) -> str:
        """Return the text of a regular file below `root`; empty if there is none, or it has more than 1 MiB.

        Symbolic links are not followed in any part of the path: empty then too, and for a path with `..`. Bytes that
        are not UTF-8 are replaced. Never raises.
        """
        with contextlib.suppress(OSError), UntrustedFolder(root) as folder:
            return (folder.read(name, limit=MAX_TEXT_BYTES) or b"").decode("utf-8", "replace")
        return ""

    async def collect(self, wanted: Sequence[Wanted], *, root: Path, since_ns: int) -> tuple[ResultFile, ...]:
        """Return the result files that match, with their content; missing, unreadable and old ones are left out.

        First those with an absolute path, then those of globs in the order of their paths; empty if there are none. Of
        files that match globs, those after the first 2,000 are left out, and every file that would make more than 16
        MiB in all. Folders such as `.git` and `node_modules` are not entered, and 200,000 names are examined at most.

        Args:
            wanted: Absolute paths, or globs below `root`, which find only names that end in `.xml`.
            root: The worktree.
            since_ns: Older files (`st_mtime_ns`) are left out.

        Raises:
            Refused: A pattern is not a glob (code `glob`).
        """
        return await asyncio.to_thread(lambda: tuple(_collect(wanted, root, since_ns))) if wanted else ()


def _collect(wanted: Sequence[Wanted], root: Path, since_ns: int) -> Iterator[ResultFile]:
    room = MAX_BYTES
    for tool, place, name in _paths(wanted, root):
        content = _read(place, name, room, since_ns)
        if content is not None:
            room -= len(content)
            yield ResultFile(tool, content)


def _paths(wanted: Sequence[Wanted], root: Path) -> list[tuple[str, Path, str]]:
    """Return the tool, a folder and a path below it for each file that may hold results; it may not exist.

    Raises:
        Refused: A pattern is not a glob (code `glob`).
    """
    own = [(item.tool, Path(item.pattern)) for item in wanted if item.pattern.startswith("/")]
    places = [(tool, path.parent, path.name) for tool, path in own]
    globs = [(item.tool, compile_glob(item.pattern)) for item in wanted if not item.pattern.startswith("/")]
    if globs:
        matching = sorted(_matching(globs, root), key=lambda item: item[1])[:MAX_FILES]
        places += [(tool, root, path.relative_to(root).as_posix()) for tool, path in matching]
    return places


def _matching(globs: Sequence[tuple[str, Glob]], root: Path) -> Iterator[tuple[str, Path]]:
    seen = 0
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if name not in _NOT_ENTERED]
        seen += len(names) + len(folders)
        if seen > MAX_ENTRIES:
            return
        for name in names:
            path = Path(folder) / name
            for tool, glob in globs if name.endswith(".xml") else ():
                with contextlib.suppress(UnicodeError):
                    if glob.matches(path.relative_to(root).as_posix()):
                        yield tool, path


def _read(place: Path, name: str, room: int, since_ns: int) -> bytes | None:
    """Return the content of a regular file of at most `room` bytes that is not older than `since_ns`; else None.

    None also if the folder `place` or a part of the path `name` below it is a link.
    """
    with contextlib.suppress(OSError), UntrustedFolder(place) as folder, folder.open(name) as file:
        if file is not None and os.fstat(file.fileno()).st_mtime_ns >= since_ns:
            content = file.read(room + 1)
            return content if len(content) <= room else None
    return None
