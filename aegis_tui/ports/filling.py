"""Large worktrees, which an agent can use before all of their files are there (PERF-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Filling(Protocol):
    """Adds the missing files to worktrees, in the background."""

    async def begin_scratch(self, parent: Path, oid: str) -> None:
        """Begin, in the background, to check out the files of the next worktree for checks; return at once.

        Nothing happens in a small repository, and a failure is only logged.

        Args:
            parent: The folder for such worktrees.
            oid: A commit of the person, which most likely is checked.
        """
        ...

    async def completed(self, path: Path) -> None:
        """Return when the missing files of the worktree at `path` are added, or that was given up; at once if none are.

        Raises nothing, so files may still be missing, for example after an error of the disk.
        """
        ...

    async def continue_filling(self) -> None:
        """Start to add the missing files, in the background, to worktrees that an ended process left incomplete.

        Returns at once. A failure later on is only logged.
        """
        ...

    async def stop_filling(self) -> None:
        """Stop adding files to worktrees; `continue_filling` resumes it. Await it before the event loop is closed.

        Checkouts that stand ready for other worktrees are deleted. It returns when the files that are being moved into
        a worktree at present are all moved.
        """
        ...
