"""Large worktrees, which an agent can use before all of their files are there (PERF-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Filling(Protocol):
    """Adds the missing files to worktrees, in the background."""

    async def completed(self, path: Path) -> None:
        """Return when no files are being added to the worktree at `path` any longer; raises nothing."""
        ...

    async def continue_filling(self) -> None:
        """Go on to complete worktrees, in the background, that a process which was killed has left incomplete."""
        ...

    async def stop_filling(self) -> None:
        """Give up to complete worktrees, until `continue_filling`; to be awaited before the event loop is closed."""
        ...
