"""The present content of worktrees, uncommitted work included, and how two of them would merge (GIT-2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from aegis_tui.ports.merge import MergePreview


class LiveTrees(Protocol):
    """Looks at worktrees in which agents work, without touching them: nothing is written to them or the repository.

    What an agent wrote is read and compared, but never followed or started. The methods do not block the event loop.
    """

    async def look(self, root: Path, head: str, paths: Iterable[str], *, whole: bool = False) -> str | None:
        """Return the id of a commit of a worktree's present content with `head` as its parent, for `compare`.

        Equal content on an equal head gives an equal id. Files that git ignores are left out. A file of more than 4 MiB
        is known to differ from others, but is not read. The first call for a worktree starts from the content of
        `head`.

        Args:
            root: The worktree.
            head: The commit that is checked out there, which must be in the repository.
            paths: The files, relative to the worktree and in written form, that may have changed since the last call.
            whole: Also find out what else has changed, from the file times; slower by far in a large repository.

        Returns:
            The id; None if the worktree is gone, or while git works in it or another commit is checked out there, but
            not longer than 30 s. `paths` are then read at the next call.

        Raises:
            GitError: `head` is not in the repository, or git fails.
            GitUnavailable: git cannot be started.
            OSError: The hub's own folder cannot be written.
        """
        ...

    async def compare(self, pairs: Sequence[tuple[str, str]], merged: str | None = None) -> list[MergePreview | None]:
        """Return what merging each pair would give, in the same order; None for a pair that cannot be compared.

        Conflicts raise nothing. `tree` of a result is None. What a side holds only because it is based on merged work
        is not counted as changed by it.

        Args:
            pairs: Ids that `look` returned, or of commits in the repository.
            merged: The commit with all that is merged; None if nothing is.

        Raises:
            GitError: git fails.
            GitUnavailable: git cannot be started.
            OSError: The hub's own folder cannot be written.
        """
        ...

    async def judge(self) -> bool:
        """Check files that `compare` called free of conflicts because their lines do not clash (GIT-3).

        Slower than `compare`; each version of a file is checked once.

        Returns:
            Whether one of them is a conflict nevertheless: `compare` will say so from now on.

        Raises:
            GitError: git fails.
            GitUnavailable: git cannot be started.
        """
        ...

    async def forget(self, root: Path) -> None:
        """Drop what is known about a worktree; no effect if nothing is. A later `look` starts from its head again."""
        ...

    async def close(self) -> None:
        """End git's processes, and delete what was stored; a later call starts anew."""
        ...
