"""Reads files of an agent's worktree as git would store them, without git and without following a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aegis_tui.adapters.git.tree_object import EXECUTABLE, LINK, REGULAR
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MAX_FILE_BYTES = 4 << 20
"""A larger file is not read; a text about its size and times stands for its content."""

_BINARY_PROBE = 8000
_NEVER = frozenset({b"", b".", b"..", b".git"})


class FileNow(NamedTuple):
    """What git would store of a file or link in a worktree, before it converts line ends."""

    mode: bytes
    """`REGULAR`, `EXECUTABLE` or `LINK`, as the file system has it."""
    content: bytes
    """The bytes of the file, or what stands for them if it is too large; the target of a link."""


def may_be_stored(path: bytes) -> bool:
    """Return whether a path relative to a worktree can be in a tree: no part is empty, `.`, `..` or `.git`."""
    return b"\0" not in path and all(part.lower() not in _NEVER for part in path.split(b"/"))


def read_file_now(folder: UntrustedFolder, path: bytes) -> FileNow | None:
    """Return a regular file or a link; None if there is neither, or a part of the path is a link; blocking.

    The content of a file that is larger than `MAX_FILE_BYTES`, or cannot be read, is a binary text that changes with
    it.

    Args:
        folder: The worktree.
        path: Relative to it.
    """
    name = os.fsdecode(path)
    status = folder.status(name)
    if status is None:
        return None
    if stat.S_ISLNK(status.st_mode):
        target = folder.read_link(name)
        return None if target is None else FileNow(LINK, target)
    if not stat.S_ISREG(status.st_mode):
        return None
    content = folder.read(name, limit=MAX_FILE_BYTES) if status.st_size <= MAX_FILE_BYTES else None
    if content is None:
        about = f"{status.st_size} bytes, changed at {status.st_mtime_ns}, inode {status.st_ino}\n"
        content = b"\0" + about.encode("ascii")
    return FileNow(EXECUTABLE if status.st_mode & stat.S_IXUSR else REGULAR, content)


def is_text(content: bytes) -> bool:
    """Return whether git would treat the content as text: there is no NUL at its beginning."""
    return b"\0" not in content[:_BINARY_PROBE]


@dataclass(frozen=True, slots=True)
class FileRules:
    """What the repository's settings say about how files are stored."""

    has_modes: bool
    """Whether the file system's mode says that a file can be executed (`core.fileMode`)."""
    converts_line_ends: bool
    """Whether git converts line ends of new text files (`core.autocrlf`)."""

    def as_stored(self, now: FileNow, was_mode: bytes | None, was: Callable[[], bytes | None]) -> FileNow:
        """Return mode and content as git would store them, so that a file is compared with how others have stored it.

        CRLF becomes LF in a text whose stored form has no CRLF: git has converted it when it was checked out.

        Args:
            now: The file on disk.
            was_mode: The mode of its stored form; None if there is none.
            was: Returns the content of its stored form; None if it cannot be read.
        """
        is_file = was_mode in (REGULAR, EXECUTABLE)
        mode, content = now
        if mode != LINK and not self.has_modes:
            mode = was_mode if was_mode is not None and is_file else REGULAR
        if mode != LINK and b"\r\n" in content and is_text(content):
            stored = was() if is_file else None
            if self.converts_line_ends if stored is None else b"\r\n" not in stored:
                content = content.replace(b"\r\n", b"\n")
        return FileNow(mode, content)
