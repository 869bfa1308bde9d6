"""Removes what the program keeps of one repository; work that exists nowhere else is saved first (CLI-2)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.application.leftovers import Leftovers
from aegis_tui.application.setup import Setup
from aegis_tui.errors import GitError, Refused
from aegis_tui.ports.own_refs import OwnRefStore

BUNDLE = "aegis-tui-saved.bundle"


@dataclass(frozen=True, slots=True)
class KeptState:
    """What the program keeps of one repository now."""

    state_dir: Path
    state_bytes: int
    """What the state takes on disk, with the worktrees."""
    worktrees: int
    refs: int
    written_by_init: bool


class Uninstall:
    """Removes the worktrees, refs and files of one repository, whose hub and agents have ended.

    Args:
        leftovers: Removes worktrees, and saves the work in them.
        refs: The refs of runs.
        setup: Takes back what `init` has written.
        common_dir: The common git folder; a bundle of the saved work is written there.
        folders: The state folder of the workspace, then others that are deleted with it; they may not exist.
        measure: Returns the bytes that a folder takes on disk; blocking.
    """

    def __init__(
        self,
        *,
        leftovers: Leftovers,
        refs: OwnRefStore,
        setup: Setup,
        common_dir: Path,
        folders: tuple[Path, ...],
        measure: Callable[[Path], int],
    ) -> None:
        self._leftovers, self._refs, self._setup = leftovers, refs, setup
        self._common_dir, self._folders, self._measure = common_dir, folders, measure

    async def look(self) -> KeptState:
        """Return what there is; nothing is changed.

        Raises:
            Refused: A folder is a symbolic link, which is not followed.
            GitError: git cannot list worktrees or refs.
            OSError: A folder of worktrees cannot be read.
        """
        self._check_no_link()
        state = self._folders[0]
        return KeptState(
            state_dir=state,
            state_bytes=await asyncio.to_thread(self._measure, state),
            worktrees=len(await self._leftovers.sizes()),
            refs=len(await self._refs.list_all()),
            written_by_init=self._setup.was_written,
        )

    async def remove(self) -> Path | None:
        """Remove everything, and return the bundle with what only the removed refs led to; None if that is nothing.

        Uncommitted work in worktrees is committed to rescue refs first, and so is part of the bundle. A branch of a run
        that the person has checked out stays.

        Raises:
            Refused: A folder is a symbolic link; nothing was removed.
            GitError: A worktree could not be removed, or git fails; the state and the remaining refs are kept.
            OSError: A file cannot be written or deleted; what was removed before that stays removed, and the message
                names the bundle, if there is one.
        """
        self._check_no_link()
        stuck = [item for item in await self._leftovers.remove(()) if item.kept is not None]
        if stuck:
            raise GitError(f"{stuck[0].path} was not removed: {stuck[0].kept}")
        refs = await self._refs.list_all(unused=True)
        bundle = await asyncio.to_thread(self._free_name)
        saved = await self._refs.save(refs, bundle)
        if refs:
            await self._refs.delete(refs)
        try:
            await asyncio.to_thread(self._delete_files)
        except OSError as error:
            if saved:
                raise OSError(f"{error}; the work of runs was saved in {bundle}") from error
            raise
        return bundle if saved else None

    def _delete_files(self) -> None:
        if self._setup.was_written:
            self._setup.undo()
        for folder in self._folders:
            if folder.exists():
                shutil.rmtree(folder)

    def _check_no_link(self) -> None:
        """Refuse folders that are links: the other end may be a folder of somebody else."""
        for folder in self._folders:
            if folder.is_symlink():
                raise Refused(
                    f"{folder} is a link to {folder.resolve()}", "put the folder itself there, then try again"
                )

    def _free_name(self) -> Path:
        first = self._common_dir / BUNDLE
        number = 1
        while (path := first if number == 1 else first.with_stem(f"{first.stem}-{number}")).exists():
            number += 1
        return path
