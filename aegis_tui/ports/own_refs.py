"""The refs that runs have made in a repository (CLI-2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class OwnRefStore(Protocol):
    """All refs of runs in one repository, except the branches of results. Raises `GitError` if git fails."""

    async def list_all(self, *, unused: bool = False) -> dict[str, str]:
        """Return ref -> id of what it points to.

        Args:
            unused: Leave out the branches that a worktree has checked out.

        Raises:
            GitError: git fails.
        """
        ...

    async def save(self, refs: Mapping[str, str], bundle: Path) -> list[str]:
        """Write the refs that lead to commits which nothing else in the repository keeps to a bundle; return these.

        Without such refs, nothing is written.

        Args:
            refs: Ref -> object id, as `list_all` returns them.
            bundle: A file that does not exist.

        Raises:
            GitError: git fails, or the bundle that it wrote is not complete.
        """
        ...

    async def delete(self, refs: Mapping[str, str]) -> None:
        """Delete all these refs, or none of them.

        Raises:
            GitError: One has changed since it was listed, or git fails.
        """
        ...
