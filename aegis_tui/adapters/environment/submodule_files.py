"""Fills the submodules of an agent's worktree with what the person has of them, for reading and tests (GIT-7).

No commit of the repository can hold a change in them, so each file is marked as given: changed ones are found.
"""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.submodules import Submodules
from aegis_tui.sdk.given_files import mark_given
from aegis_tui.sdk.untrusted_folder import UntrustedFolder


class SubmoduleFiles:
    """The submodules of one repository.

    Args:
        common_dir: The git folder of the repository.
    """

    def __init__(self, common_dir: Path) -> None:
        self._submodules = Submodules(common_dir, GitRunner(git_dir=common_dir, cwd=common_dir))

    async def fill(self, worktree: Path, base_oid: str) -> None:
        """Check out the submodules of the base in a new worktree, as far as the person has set them up.

        One whose folder is missing, a link, or not empty is left alone.

        Raises:
            GitError: The base cannot be read.
            OSError: A file cannot be read.
        """
        if await asyncio.to_thread((worktree / ".gitmodules").is_file):
            filled = await self._submodules.fill_empty(worktree, base_oid)
            await asyncio.to_thread(_mark, worktree, filled)


def _mark(worktree: Path, paths: list[str]) -> None:
    with UntrustedFolder(worktree) as folder:
        waiting = list(paths)
        while waiting:
            place = waiting.pop()
            for entry, status in folder.statuses(place):
                name = f"{place}/{entry}"
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(name)
                elif stat.S_ISREG(status.st_mode):
                    with folder.open(name) as file:
                        if file is not None:
                            mark_given(file.fileno())
