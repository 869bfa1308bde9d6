"""Work that was saved before its worktree was removed: listed, looked at, written out, deleted (GIT-1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RescuedWork:
    """One rescue ref."""

    ref: str
    """`refs/aegis/rescue/<run>/<instance>/<n>`."""
    oid: str
    run: str
    instance: str
    saved_unix: int
    """When it was saved, in seconds since 1970."""
    size_bytes: int
    """Disk space of the objects that only it needs."""
    is_merged: bool
    """Whether a checkout or a result has all of it: each file that it changes, with the same content."""


@dataclass(frozen=True, slots=True)
class RescuedFiles:
    """What one rescue ref holds. Paths are in their written form."""

    changed: tuple[tuple[str, str], ...]
    """Letter of the status and path of each file that differs from the commit that the work started from."""
    ignored: tuple[str, ...]
    """Files that git ignores, and files in the folders of submodules."""
    staged: tuple[str, ...]
    """Files whose staged content differs from the content in the worktree."""
    not_saved: tuple[str, ...]
    """Ignored files that were too large or too many."""


class RescueStore(Protocol):
    """The rescue refs of one repository. Raises `GitError` if git fails."""

    async def list_all(self) -> tuple[RescuedWork, ...]:
        """Return all rescue refs, oldest first; empty if there are none.

        Raises:
            GitError: git fails.
        """
        ...

    async def files_of(self, work: RescuedWork) -> RescuedFiles:
        """Return the paths of the files that a rescue ref holds, by kind; see `RescuedFiles`.

        Raises:
            GitError: The saved commit does not exist any more, or has no history to compare with.
        """
        ...

    async def diff_of(self, work: RescuedWork) -> str:
        """Return the unified diff from the commit that the work started from to the saved files; without ignored files.

        Raises:
            GitError: The saved commit does not exist any more, or the diff is too large (code `git.output`).
        """
        ...

    async def write_out(self, work: RescuedWork, folder: Path) -> None:
        """Write all files of the work into a folder, the ignored ones too; no filter and no hook is started.

        Args:
            work: The work.
            folder: An empty folder; created if it does not exist. Files of the same name in it would be replaced.

        Raises:
            GitError: The saved commit does not exist any more, or a file cannot be written.
            OSError: The folder cannot be created.
        """
        ...

    async def make_branch(self, work: RescuedWork, name: str) -> None:
        """Create a branch that points to the saved commit; the rescue ref stays, and nothing is checked out.

        Args:
            work: The work.
            name: The short name of the branch.

        Raises:
            Conflict: There is a branch of that name.
            GitError: It is no valid name of a branch, or the saved commit does not exist any more.
        """
        ...

    async def delete(self, work: RescuedWork) -> None:
        """Delete a rescue ref; git drops its objects some time later.

        Raises:
            Conflict: It points elsewhere by now, or was deleted.
            GitError: git fails for another reason.
        """
        ...
