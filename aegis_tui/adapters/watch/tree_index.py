"""What is known of the files of one worktree, so that a change is told once and a touch is not a change."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

ChangeType = Literal["created", "modified", "deleted", "moved"]

HASHED_BYTES = 16 << 20
"""Larger files are compared by size, time and inode only."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is different now."""

    path: str
    """Relative to its worktree, with `/`."""
    change_type: ChangeType
    worktree: str
    """The name the worktree was added under."""


class _Known(NamedTuple):
    size: int
    mtime_ns: int
    inode: int
    digest: bytes | None


class TreeIndex:
    """The files of one worktree as they were last seen. Blocking; used from one thread at a time."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self._known: dict[str, _Known] = {}

    def learn(self, paths: Iterable[str]) -> None:
        """Take the files as they are, without telling anybody."""
        for path in paths:
            if seen := self._look(path):
                self._known[path] = seen

    def compare(self, paths: Iterable[str], *, moved: frozenset[str] = frozenset()) -> list[FileChange]:
        """What changed at these paths, a few of them or a few that do not exist.

        Args:
            paths: Relative to the worktree.
            moved: Those of them that a rename made.
        """
        found = []
        for path in paths:
            if change := self._compare_one(path):
                is_move = change == "created" and path in moved
                found.append(FileChange(path, "moved" if is_move else change, self.name))
        return found

    def compare_all(self, listed: Iterable[str]) -> list[FileChange]:
        """What changed in the whole tree, given all files that it should have."""
        return self.compare(sorted({*listed, *self._known}))

    def forget(self, paths: Iterable[str]) -> None:
        """Paths that no longer matter."""
        for path in paths:
            self._known.pop(path, None)

    def _compare_one(self, path: str) -> ChangeType | None:
        known, seen = self._known.get(path), self._look(path)
        if seen is None:
            return "deleted" if self._known.pop(path, None) else None
        if known is not None and seen[:3] == known[:3] and known.digest is None:
            return None
        seen = seen._replace(digest=self._digest(path, seen.size))
        self._known[path] = seen
        if known is None:
            return "created"
        is_same = seen.digest is not None and seen.digest == known.digest and seen.size == known.size
        return None if is_same or seen == known else "modified"

    def _look(self, path: str) -> _Known | None:
        try:
            status = (self.root / path).lstat()
        except (OSError, ValueError):
            return None
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return None
        return _Known(status.st_size, status.st_mtime_ns, status.st_ino, None)

    def _digest(self, path: str, size_bytes: int) -> bytes | None:
        full = self.root / path
        try:
            if full.is_symlink():
                return hashlib.blake2b(bytes(full.readlink()), digest_size=16).digest()
            if size_bytes > HASHED_BYTES:
                return None
            with full.open("rb") as file:
                return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
        except OSError:
            return None
