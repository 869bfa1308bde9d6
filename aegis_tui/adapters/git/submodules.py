"""Fills the submodules of a scratch worktree from those that the person has set up; fetches nothing, starts no filter.

Their content is that of the recorded commit, whatever the person's own checkout of them contains.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from aegis_tui.adapters.git.filters import LIST_FILTERS, switched_off
from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import GitError
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

_SUBMODULE = "160000 "
_DEADLINE_S = 600.0


class Submodules:
    """The submodules of one repository. Its methods raise `GitError` if git fails in the repository itself.

    They raise `GitUnavailable` if git cannot be started.

    Args:
        common_dir: The repository's git folder; `modules` in it holds the submodules that are set up.
        runner: Runs git there.
    """

    def __init__(self, common_dir: Path, runner: GitRunner) -> None:
        self._common_dir, self._runner = common_dir, runner

    async def _links(self, commit: str) -> list[tuple[str, str]]:
        """Return path and commit of each submodule of a commit; empty if it has none.

        Raises:
            GitError: There is no such commit, or git fails.
        """
        tree = (await self._runner.run("ls-tree", "-r", "-z", "--full-tree", commit)).fields()
        rows = (row.partition("\t") for row in tree if row.startswith(_SUBMODULE))
        return [(path, head.split()[2]) for head, _, path in rows]

    async def fill_empty(self, worktree: Path, commit: str) -> list[str]:
        """Check out the submodules of a commit whose folders are empty in a worktree; return the paths of those filled.

        A folder that is missing, a link, or below a link is left alone: the worktree may be one of an agent's commit.
        So is a submodule that is not set up or in which git fails. Empty if none was filled.

        Raises:
            GitError: The commit cannot be read.
            OSError: The worktree cannot be opened.
        """
        names, filled = await self._names(commit), []
        for path, oid in await self._links(commit):
            is_empty = await asyncio.to_thread(_is_empty_folder, worktree, path)
            if is_empty and await self._fill(worktree / path, names.get(path), oid):
                filled.append(path)
        return filled

    async def fill(self, worktree: Path, commit: str) -> tuple[str, ...]:
        """Check out the submodules of a commit in a fresh worktree of it; do nothing if it has no `.gitmodules`.

        Args:
            worktree: The worktree.
            commit: The commit that is checked out there.

        Returns:
            The written forms of the paths of those that stay empty: they are not set up, their commit is missing, or
            git fails in them.

        Raises:
            GitError: The commit cannot be read.
        """
        if not await asyncio.to_thread((worktree / ".gitmodules").is_file):
            return ()
        names = await self._names(commit)
        return tuple(
            [
                write_name(path)
                for path, oid in await self._links(commit)
                if not await self._fill(worktree / path, names.get(path), oid)
            ]
        )

    async def _names(self, commit: str) -> dict[str, str]:
        """Return the submodules' names by path, as the commit's `.gitmodules` says; empty if it cannot be read."""
        pattern = r"^submodule\..*\.path$"
        arguments = ("config", "-z", "--blob", f"{commit}:.gitmodules", "--get-regexp", pattern)
        answer = await self._runner.run(*arguments, ok=(0, 1, 128))
        pairs = (field.partition("\n") for field in answer.fields())
        return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in pairs}

    async def _fill(self, place: Path, name: str | None, oid: str) -> bool:
        if name is None or not {".", "..", ""}.isdisjoint(name.split("/")):
            return False
        store = self._common_dir / "modules" / name
        if not await asyncio.to_thread(_is_own_folder, store, self._common_dir):
            return False
        git = GitRunner(git_dir=store, cwd=place)
        try:
            env = switched_off((await git.run(*LIST_FILTERS, ok=(0, 1))).fields())
            with scratch_folder() as folder:
                env["GIT_INDEX_FILE"] = str(folder / "index")
                options = ("-c", "core.sparseCheckout=false", "read-tree", "--reset", "-u", f"{oid}^{{commit}}")
                await git.run(*options, work_tree=place, env=env, deadline_s=_DEADLINE_S)
        except GitError:
            return False
        return True


def _is_empty_folder(worktree: Path, path: str) -> bool:
    """Return whether a path in a worktree is an empty folder, reached without a link; False if it does not exist.

    Raises:
        OSError: The worktree cannot be opened.
    """
    with UntrustedFolder(worktree) as folder:
        status = folder.status(path)
        return status is not None and stat.S_ISDIR(status.st_mode) and next(folder.names(path), None) is None


def _is_own_folder(path: Path, top: Path) -> bool:
    """Return whether a path is a git folder that is below `top`, also after resolving links."""
    return (path / "HEAD").is_file() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top))
