"""Removes what a killed hub, agent or command leaves behind, without losing anybody's work (PANE-8).

A leftover is something that this program created and that no process uses any more: a worktree whose instance has
ended, a scratch worktree, a temporary folder of a killed process. Work in a worktree is saved to a rescue ref before
removal.
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.errors import AegisError
from aegis_tui.ports.repository import Repository, RescueName, WorktreeEntry

Measure = Callable[[Path], int]
"""Returns the bytes that a folder takes on disk; blocking, never raises."""

FindClaimed = Callable[[], Awaitable[Collection[str]]]
"""Returns the paths of the worktrees that are in use or are being made; they are left alone."""

FindScratch = Callable[[], list[Path]]
"""Returns temporary folders of this program whose process is dead; blocking, never raises."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One leftover that was removed, or could not be."""

    kind: str
    """`worktree`, `scratch worktree`, `kept checkout` or `temporary folder`."""
    path: str
    rescue_ref: str | None = None
    """The ref that its work was saved to; None if there was none to save."""
    kept: str | None = None
    """Why it could not be removed; None if it was."""


class Leftovers:
    """Removes the leftovers of one workspace.

    Args:
        repository: The workspace's repository.
        worktrees_dir: The folder of the instances' worktrees.
        scratch_dir: The folder of the checks' worktrees.
        kept_dir: A checkout that stays on disk between runs, beside `scratch_dir`; there may be none.
        find_scratch: Returns temporary folders of dead processes.
        measure: Measures a worktree.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        worktrees_dir: Path,
        scratch_dir: Path,
        kept_dir: Path,
        find_scratch: FindScratch,
        measure: Measure,
    ) -> None:
        self._repository, self._find_scratch, self._measure = repository, find_scratch, measure
        self._worktrees_dir, self._scratch_dir = worktrees_dir.resolve(), scratch_dir.resolve()
        self._kept_dir = kept_dir.resolve()

    async def remove(
        self, claimed: Collection[str], *, only: str | None = None, is_running: bool = False
    ) -> list[Removed]:
        """Remove leftovers and return them all; for one that git cannot remove, `kept` gives the reason.

        Work in an instance's worktree is saved to a rescue ref first (`Removed.rescue_ref`). A temporary folder is
        returned as removed even if a part of it could not be deleted.

        Args:
            claimed: Paths of worktrees that are in use; they are left alone.
            only: The short id of the one instance whose worktree to remove; None: all worktrees and temporary folders.
            is_running: Whether a hub runs: its checks may be using scratch worktrees, so these are left alone, and so
                is the kept checkout, which they will use.

        Raises:
            GitError: git cannot list the worktrees; nothing was removed.
            OSError: A folder of worktrees cannot be read, or a worktree cannot be moved away; earlier ones are removed.
        """
        mine = await asyncio.to_thread(lambda: {Path(path).resolve() for path in claimed})
        removed = []
        for path, entry in (await self._worktrees()).items():
            is_used = path in mine or (is_running and path.parent == self._scratch_dir)
            if not is_used and only in (None, path.name):
                removed.append(await self._remove(path, entry))
        if only is None:
            if not is_running and self._kept_dir.is_dir():
                removed.append(await self._remove_kept())
            for folder in await asyncio.to_thread(self._find_scratch):
                await asyncio.to_thread(shutil.rmtree, folder, True)
                removed.append(Removed("temporary folder", str(folder)))
        return removed

    async def sizes(self) -> dict[Path, int]:
        """Return the bytes on disk of each worktree of the workspace, scratch ones and the kept checkout among them.

        Raises:
            GitError: git cannot list the worktrees.
            OSError: A folder of worktrees cannot be read.
        """
        kept = [self._kept_dir] if self._kept_dir.is_dir() else []
        return {path: await asyncio.to_thread(self._measure, path) for path in [*await self._worktrees(), *kept]}

    async def shrink(self, find_claimed: FindClaimed, budget_bytes: int) -> tuple[list[Removed], int]:
        """Remove the kept checkout, then unused worktrees, oldest first, until all take no more than the budget.

        Worktrees with uncommitted content stay, and the commits of the others stay on their branches. All are counted:
        scratch worktrees and those in use too.

        Args:
            find_claimed: Asked after the worktrees were listed, so that no worktree that is added meanwhile is removed.
            budget_bytes: How much they may take.

        Returns:
            An entry for each worktree whose removal was tried, with the reason in `kept` if git could not remove it,
            which raises nothing; and the bytes that are still taken.

        Raises:
            GitError: git cannot list the worktrees; nothing was removed.
            OSError: A folder of worktrees cannot be read, or a worktree cannot be moved away; earlier ones are removed.
        """
        sizes, entries = await self.sizes(), await self._worktrees()
        claimed = await find_claimed()
        mine = await asyncio.to_thread(lambda: {Path(path).resolve() for path in claimed})
        unused = [path for path in sizes if path not in mine and path.parent == self._worktrees_dir]
        left, removed = sum(sizes.values()), list[Removed]()
        if left > budget_bytes and self._kept_dir in sizes:
            removed.append(await self._remove_kept())
            left -= sizes[self._kept_dir] if removed[-1].kept is None else 0
        for path in await asyncio.to_thread(sorted, unused, key=_changed):
            if left > budget_bytes and await self._is_saved(path, entries.get(path)):
                removed.append(await self._remove(path, entries[path]))
                left -= sizes[path] if removed[-1].kept is None else 0
        return removed, left

    async def _is_saved(self, path: Path, entry: WorktreeEntry | None) -> bool:
        """Return whether everything in a worktree is committed on its branch; False for what cannot be determined."""
        if entry is None or entry.branch is None or entry.head_oid is None:
            return False
        try:
            head = await self._repository.tree_of(entry.head_oid)
            return head == await self._repository.snapshot_tree(path)
        except AegisError:
            return False

    async def clear_scratch(self) -> None:
        """Remove the scratch worktrees and spare checkouts that a killed hub left.

        Call it when no hub is running, or before the first check of a new hub.

        One that git cannot remove is left where it is, without an error.

        Raises:
            GitError: git cannot list the worktrees.
            OSError: A folder of worktrees cannot be read, or a worktree cannot be moved away.
        """
        for path, entry in (await self._worktrees()).items():
            if path.parent == self._scratch_dir:
                await self._remove(path, entry)
        for folder in (self._worktrees_dir, self._scratch_dir):
            for path in await asyncio.to_thread(_spares, folder):
                await asyncio.to_thread(shutil.rmtree, path, True)

    async def _worktrees(self) -> dict[Path, WorktreeEntry | None]:
        """Return the path of every worktree and scratch worktree of the workspace -> git's entry.

        The entry is None for a folder that git does not know.

        Raises:
            GitError: git cannot list the worktrees.
            OSError: A folder of worktrees cannot be read.
        """
        worktrees: dict[Path, WorktreeEntry | None] = {}
        for folder in (self._worktrees_dir, self._scratch_dir):
            for path in await asyncio.to_thread(_folders, folder):
                worktrees[path] = None
        for entry in await self._repository.list_worktrees():
            path = entry.path.resolve()
            if path.parent in (self._worktrees_dir, self._scratch_dir):
                worktrees[path] = entry
        return worktrees

    async def _remove(self, path: Path, entry: WorktreeEntry | None) -> Removed:
        is_scratch = path.parent == self._scratch_dir
        if is_scratch and entry is None:
            await asyncio.to_thread(shutil.rmtree, path, True)
            return Removed("temporary folder", str(path))
        kind = "scratch worktree" if is_scratch else "worktree"
        parts = (entry.branch or "").split("/") if entry else []
        run = parts[1] if len(parts) == 3 else "none"
        try:
            saved = await self._repository.remove_worktree(
                path, rescue=None if is_scratch else RescueName(run, path.name)
            )
        except AegisError as error:
            return Removed(kind, str(path), kept=error.message)
        return Removed(kind, str(path), saved.ref if saved else None)

    async def _remove_kept(self) -> Removed:
        """Remove the kept checkout; it is moved away first, because a run may take it at any moment."""
        aside = self._scratch_dir / f"kept-{uuid.uuid4().hex}"
        try:
            await asyncio.to_thread(self._scratch_dir.mkdir, parents=True, exist_ok=True)
            await asyncio.to_thread(self._kept_dir.rename, aside)
        except OSError as error:
            return Removed("kept checkout", str(self._kept_dir), kept=str(error))
        await asyncio.to_thread(shutil.rmtree, aside, True)
        return Removed("kept checkout", str(self._kept_dir))


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _spares(parent: Path) -> list[Path]:
    """Return the folders that this program hides in `parent`: checkouts kept for later, and what is being deleted."""
    return sorted(parent.glob(".aegis-*")) if parent.is_dir() else []


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
