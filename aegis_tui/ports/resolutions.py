"""Resolutions of conflicts that are recorded, and proposed when the same conflict comes again (GIT-3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ConflictVersions:
    """The three versions of a file that cannot be merged by lines."""

    base: bytes
    ours: bytes
    theirs: bytes


class Resolutions(Protocol):
    """The workspace's own record. Nothing is read from, or written to, that of the person's repository.

    The methods raise only `GitError` and `GitUnavailable`.
    """

    async def record(self, versions: ConflictVersions, resolved: bytes) -> bool:
        """Record how a conflict was resolved; an earlier resolution of it is replaced.

        Args:
            versions: The file, as both sides had it.
            resolved: What it became.

        Returns:
            False, with nothing recorded, if there is no conflict of lines, or it was left unresolved.
        """
        ...

    async def replay(self, versions: ConflictVersions) -> bytes | None:
        """Return the file with all its conflicts resolved as recorded; None if one of them is not known.

        Lines outside of the conflicts may differ from those when it was recorded. Nothing is staged or committed.
        """
        ...
