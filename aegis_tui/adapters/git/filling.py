"""Completes large worktrees in the background, while their agents work already in the folders they need first (PERF-6).

Until then the index has every file of the commit, and those that are missing in the worktree have git's skip-worktree
bit, so that no git command takes them for deleted. A mark in the worktree's git folder says that it is incomplete; with
a sandbox, the instance sees it in its own copy of that folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.pour import pour
from aegis_tui.adapters.git.private import OwnGit
from aegis_tui.adapters.git.spare import Checkouts, Spare, discard, install_index
from aegis_tui.domain.filling import FILLING_NAME, WANTED_NAME
from aegis_tui.errors import AegisError
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, read_file

_log = logging.getLogger(__name__)

_INDEX_LOCK = "index.lock"
_OURS = b"aegis-tui\n"
"""Content of that file of git's while we replace the index; a hub that was killed may have left it."""

_LOCK_POLL_S = 0.05

PAUSE_S = 15.0
"""How long the files of an instance wait that only reads, or that asks for them: it may have ended by then."""

_PAUSE_POLL_S = 0.2


def mark_filling(admin: Path, commit: str) -> None:
    """Mark a new worktree as incomplete: some files of this commit are missing in it.

    Args:
        admin: The worktree's folder in the common git folder; it has its index already.
        commit: The commit's id.

    Raises:
        OSError: The index cannot be read, or the mark cannot be written.
    """
    digest = hashlib.sha256((admin / "index").read_bytes()).hexdigest()
    (admin / FILLING_NAME).write_text(f"{commit} {digest}\n", "ascii")


def _mark_of(admin: Path) -> tuple[str, str] | None:
    """Return the commit in a worktree's mark and the digest of the index that it was created with; None without one."""
    raw = read_file(admin / FILLING_NAME, limit=1000)
    if raw is None:
        return None
    commit, _, digest = raw.decode("ascii", "replace").strip().partition(" ")
    return commit, digest


def is_filling(admin: Path) -> bool:
    """Return whether a worktree is marked as incomplete: then files of its commit are missing in it.

    Args:
        admin: The worktree's folder in the common git folder.
    """
    return _mark_of(admin) is not None


class Filler:
    """Completes worktrees of one repository.

    Args:
        checkouts: Makes checkouts.
        lock: Returns the lock for changes to the worktrees of the repository.
    """

    def __init__(self, checkouts: Checkouts, lock: Callable[[], asyncio.Lock]) -> None:
        self._checkouts, self._lock = checkouts, lock
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._moving: set[Path] = set()
        self._leaving: set[Path] = set()
        self._wanted: set[Path] = set()

    def begin(self, path: Path, admin: Path, *, pause_s: float = 0.0) -> None:
        """Start to add the files that a worktree lacks, in the background, unless that is under way.

        Call it in a running event loop. A failure is only logged. A worktree without the mark of `mark_filling` is left
        as it is.

        Args:
            path: The worktree.
            admin: Its folder in the common git folder.
            pause_s: Wait so long before, unless `wait` is called or the instance asks for the files. The time in which
                another checkout is written does not count.
        """
        if path not in self._tasks:
            task = asyncio.create_task(self._fill(path, admin, pause_s), name=f"fill {path.name}")
            self._tasks[path] = task
            task.add_done_callback(lambda _: self._tasks.pop(path, None))

    async def wait(self, path: Path) -> None:
        """Return when no files are being added to the worktree at `path` any longer, whether or not all could be.

        If its files wait, they are added at once.
        """
        if task := self._tasks.get(path):
            self._wanted.add(path)
            await asyncio.wait({task})

    async def leave(self, path: Path) -> None:
        """Stop adding missing files to the worktree at `path`, and return when that has ended.

        Files that are being moved into the worktree are moved to the end; before that, they are given up. If git is
        writing the index then, the worktree stays marked as incomplete.
        """
        if task := self._tasks.get(path):
            self._leaving.add(path)
            if path not in self._moving:
                task.cancel()
            await asyncio.wait({task})
            self._leaving.discard(path)

    async def stop(self) -> None:
        """Stop adding missing files to all worktrees, each as `leave` does; call it before the event loop ends."""
        await asyncio.gather(*(self.leave(path) for path in list(self._tasks)))
        await asyncio.sleep(0.05)  # asyncio closes the pipes of killed programs in the next rounds of its loop

    async def _fill(self, path: Path, admin: Path, pause_s: float) -> None:
        spare: Spare | None = None
        try:
            await self._pause(path, admin, pause_s)
            if (mark := _mark_of(admin)) is None:
                return
            async with self._checkouts.turn:
                is_ahead = not self._is_wanted(path, admin)
                spare = await self._checkouts.make_rest(path.parent, mark[0], admin / "index", is_ahead=is_ahead)
                self._moving.add(path)
                await asyncio.to_thread(pour, spare.tree, path)
            await self._tell(spare.index, path, admin, mark[1])
        except (AegisError, OSError) as error:
            _log.warning("a worktree could not be completed: %s", error, extra={"aegis_path": str(path)})
        finally:
            self._moving.discard(path)
            self._wanted.discard(path)
            if spare is not None:
                discard(spare)

    async def _pause(self, path: Path, admin: Path, pause_s: float) -> None:
        left_s = pause_s
        while left_s > 0 and not self._is_wanted(path, admin):
            await asyncio.sleep(min(_PAUSE_POLL_S, left_s))
            if not self._checkouts.turn.locked():
                left_s -= _PAUSE_POLL_S

    def _is_wanted(self, path: Path, admin: Path) -> bool:
        return path in self._wanted or OwnGit.of(admin).status(WANTED_NAME) is not None

    async def _tell(self, full: Path, path: Path, admin: Path, digest: str) -> None:
        """Let the worktree's index say that all files are there, and delete the mark that it is incomplete.

        While git is writing the index, wait and try again; return with nothing changed if `leave` is called meanwhile.

        Raises:
            GitError: git fails.
            OSError: The index cannot be written.
        """
        while True:
            async with self._lock():
                own = await asyncio.to_thread(OwnGit.of, admin)
                if await self._is_told(own, full, digest):
                    break
            if path in self._leaving:
                return
            await asyncio.sleep(_LOCK_POLL_S)
        if own.folder != admin:
            await asyncio.to_thread(install_index, full, admin)
        for folder in {admin, own.folder}:
            with UntrustedFolder(folder) as opened:
                await asyncio.to_thread(opened.unlink, FILLING_NAME)
                await asyncio.to_thread(opened.unlink, WANTED_NAME)

    async def _is_told(self, own: OwnGit, full: Path, digest: str) -> bool:
        """Replace an instance's index by one that has all files.

        Return False, to be tried again, if git is writing it now.

        One that the instance has changed is kept; then only the skip-worktree bits in it are cleared. If the instance
        has no index that can be copied, return True with nothing changed.

        Args:
            own: The instance's git folder.
            full: The index with all files.
            digest: Of the index that the worktree was created with.

        Raises:
            GitError: The instance's index is damaged.
            OSError: It cannot be written.
        """
        async with _locked(own.folder) as opened:
            if opened is None:
                return False
            with scratch_folder() as scratch:
                copy = scratch / "index"
                if not await asyncio.to_thread(own.copy_index, copy):
                    return True
                if hashlib.sha256(copy.read_bytes()).hexdigest() != digest:
                    missing = await self._checkouts.missing_in(copy)
                    await self._checkouts.mark_present(copy, missing, work_tree=scratch)
                    full = copy
                await asyncio.to_thread(opened.write, "index", full.read_bytes(), mode=0o644)
                changed_ns = full.stat().st_mtime_ns
                os.utime(own.folder / "index", ns=(changed_ns, changed_ns), follow_symlinks=False)
        return True


@contextlib.asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[UntrustedFolder | None]:
    """Hold git's lock of the index in a git folder; yields None if git holds it.

    Raises:
        OSError: The folder cannot be opened or written.
    """
    with UntrustedFolder(folder) as opened:
        if opened.read(_INDEX_LOCK, limit=100) == _OURS:
            opened.unlink(_INDEX_LOCK)
        if not opened.claim(_INDEX_LOCK, _OURS):
            yield None
            return
        try:
            yield opened
        finally:
            opened.unlink(_INDEX_LOCK)
