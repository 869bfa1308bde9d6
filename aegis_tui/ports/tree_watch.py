"""A watch on the files of worktrees, and the list of worktrees that there are (HUB-10)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

ChangeType = Literal["created", "modified", "deleted", "moved"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that has changed."""

    path: str
    """Relative to its worktree, with `/`."""
    change_type: ChangeType
    worktree: str
    """The name under which the worktree was added."""
    oid: str | None = None
    """The blob id of its bytes, without git's filters; None when the file is gone or too large."""
    changed_ns: int = 0
    """The time of the change according to the file system, in nanoseconds since the epoch; 0 when not known."""


class ReadyWorktree(NamedTuple):
    """A worktree whose folder exists and that git has finished creating."""

    folder: Path
    inode: int
    """The folder's inode number; a different one means that the folder was deleted and created again."""


FindCheckouts = Callable[[], Sequence[ReadyWorktree]]
"""Returns the complete worktrees of one repository. Blocks; raises `GitError` or `GitUnavailable`."""


class TreeWatch(Protocol):
    """Reports file changes in the worktrees that were added; ignored files and repeated events are left out."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the worktrees that are watched."""
        ...

    async def add(self, name: str, root: Path) -> None:
        """Watch the worktree at `root` under `name`; `changes` reports what changes relative to its present state.

        If another worktree is watched under that name, it is replaced; after an error, neither is watched.

        Raises:
            GitError: `root` is not a worktree.
            GitUnavailable: git is missing or does not answer.
        """
        ...

    async def remove(self, name: str) -> None:
        """Stop watching a worktree; does nothing if it is not watched."""
        ...

    async def close(self) -> None:
        """Stop watching all worktrees; `changes` then yields nothing more, but does not end."""
        ...

    async def made_by_git(self, name: str, changes: Iterable[FileChange]) -> frozenset[str]:
        """Return the paths of those changes in the worktree `name` that git itself made, for example by a checkout.

        Empty if git fails, or if no worktree is watched under that name.
        """
        ...

    def changes(self) -> AsyncIterator[list[FileChange]]:
        """Yield changes as they occur, without end (must-deliver); each list is not empty and concerns one worktree.

        Call it once. While git fails in a worktree, its changes are reported later.
        """
        ...
