"""What changes in the files of worktrees, and which worktrees there are (HUB-10)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

ChangeType = Literal["created", "modified", "deleted", "moved"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is different now."""

    path: str
    """Relative to its worktree, with `/`."""
    change_type: ChangeType
    worktree: str
    """The name the worktree was added under."""
    oid: str | None = None
    """The blob id of its bytes, unfiltered; None when it is gone or too large."""
    changed_ns: int = 0
    """When it was changed, as the file system says, in nanoseconds since the epoch; 0 when that is not known."""


class Checkout(NamedTuple):
    """A worktree whose folder exists and whose making git has finished."""

    folder: Path
    inode: int
    """Another one means that the folder was made anew."""


FindCheckouts = Callable[[], Sequence[Checkout]]
"""The worktrees of one repository that are there and complete. Blocks; raises `GitError` or `GitUnavailable`."""


class TreeWatch(Protocol):
    """Tells what changed in the worktrees it was given; ignored files and repeated events are left out."""

    @property
    def names(self) -> frozenset[str]:
        """The worktrees that are watched."""
        ...

    async def add(self, name: str, root: Path) -> None:
        """Watch the worktree at `root` under `name`, from its state as it is now.

        Raises:
            GitError: It is no worktree.
            GitUnavailable: git is missing or does not answer.
        """
        ...

    async def remove(self, name: str) -> None:
        """Stop to watch a worktree; one that is not watched is no error."""
        ...

    async def close(self) -> None:
        """Watch nothing any more."""
        ...

    async def made_by_git(self, name: str, changes: Iterable[FileChange]) -> frozenset[str]:
        """The paths of those changes in a worktree that git itself made; none where git cannot say."""
        ...

    def changes(self) -> AsyncIterator[list[FileChange]]:
        """Changes as they come, for ever; each item holds at least one, and all are of one worktree."""
        ...
