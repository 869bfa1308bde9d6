"""Reads files of results: regular files only, no links followed, bounded in size and number."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from aegis_tui.domain.glob import Glob, compile_glob
from aegis_tui.domain.qa.outcome import ResultFile
from aegis_tui.domain.qa.readers.base import Wanted

MAX_BYTES = 16 * 1024 * 1024
"""Of one file, and of all of one command together."""

MAX_TEXT_BYTES = 1024 * 1024

MAX_FILES = 2_000
MAX_ENTRIES = 200_000
"""Names of a worktree that are looked at; folders of dependencies are not entered."""

_NOT_ENTERED = frozenset({".git", "node_modules", ".venv", "venv", ".gradle", ".m2"})


class LocalResultFiles:
    """The `ResultFiles` port on this machine's file system."""

    def read_text(self, path: Path) -> str:
        """See `ResultFiles`."""
        return (_read(path, MAX_TEXT_BYTES, 0) or b"").decode("utf-8", "replace")

    async def collect(self, wanted: Sequence[Wanted], *, root: Path, since_ns: int) -> tuple[ResultFile, ...]:
        """See `ResultFiles`."""
        return await asyncio.to_thread(lambda: tuple(_collect(wanted, root, since_ns))) if wanted else ()


def _collect(wanted: Sequence[Wanted], root: Path, since_ns: int) -> Iterator[ResultFile]:
    room = MAX_BYTES
    for tool, path in _paths(wanted, root):
        content = _read(path, room, since_ns)
        if content is not None:
            room -= len(content)
            yield ResultFile(tool, content)


def _paths(wanted: Sequence[Wanted], root: Path) -> list[tuple[str, Path]]:
    found = [(item.tool, Path(item.pattern)) for item in wanted if item.pattern.startswith("/")]
    globs = [(item.tool, compile_glob(item.pattern)) for item in wanted if not item.pattern.startswith("/")]
    if globs:
        found += sorted(_matching(globs, root), key=lambda item: item[1])[:MAX_FILES]
    return found


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


def _read(path: Path, room: int, since_ns: int) -> bytes | None:
    """A regular file that is not larger than the room and not older than the command; None otherwise."""
    if path.parent.is_symlink():
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > room or facts.st_mtime_ns < since_ns:
            return None
        with open(handle, "rb", closefd=False) as file:  # an open handle, not a path
            content = file.read(room + 1)
    except OSError:
        return None
    finally:
        os.close(handle)
    return content if len(content) <= room else None
