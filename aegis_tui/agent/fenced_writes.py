"""Changes files of the worktree under locks and tells the hub what was written under which token (LOCK-3)."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.locks import HeldLocks, name_of, resource_of
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.screen import Screen
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.errors import AegisError, StaleToken
from aegis_tui.ports.hub_link import HubLink, LockGrant

_STALE_HINT = "The change was undone and the lock is lost: acquire it again, read the file again, then edit"
GONE = blob_id(b"")
"""The content id that is sent for a deleted file; of such a file the hub checks only the token."""


class FileState(NamedTuple):
    """What a path of the worktree holds: the blob id, and what git records of its mode. Both are None for nothing."""

    oid: str | None
    kind: str | None
    """`file`, `executable` or `link`."""


NOTHING = FileState(None, None)


class FencedWrites:
    """The locks and fenced writes of one instance, built-in or hosted.

    Args:
        worktree: The instance's worktree.
        locks: Its locks.
        link: The connection to the hub.
        progress: Reports its state.
        screen: Shows problems.
    """

    def __init__(
        self, worktree: OwnWorktree, locks: HeldLocks, link: HubLink, progress: Progress, screen: Screen
    ) -> None:
        self.worktree, self.locks = worktree, locks
        self._link, self._progress, self._screen = link, progress, screen
        self.recorded: dict[str, FileState] = {}
        """What each path held when the hub was last told of a write there."""

    async def acquire(self, wanted: Resource, *, wait_s: float, text: str = "") -> LockGrant:
        """Acquire the lock of a file or a region, and return it; one that is held already and covers it is returned.

        While that takes longer than 0.4 s, the state `waiting` is reported, and then the state before.

        Args:
            wanted: The file or region.
            wait_s: Seconds to wait in the hub's queue.
            text: The content of the file in which a region's lines were found.

        Raises:
            LockHeld: It was not granted within `wait_s` seconds.
            UsageError: The file has no such lines or symbol.
            PartitionRefused: This instance may not lock the path.
            HubUnavailable: The hub does not answer.
        """
        before = self._progress.state

        async def on_wait() -> None:
            await self._progress.enter("waiting", f"for the lock on {wanted}")

        try:
            return await self.locks.acquire(wanted, wait_s=wait_s, on_wait=on_wait, text=text)
        finally:
            if self._progress.state == "waiting":
                await self._progress.enter(before)

    @asynccontextmanager
    async def locked(self, wanted: Resource, *, wait_s: float, text: str = "") -> AsyncIterator[LockGrant]:
        """Yield a lock that covers `wanted`; release it at the end unless it was held before.

        Raises:
            LockHeld: It was not granted within `wait_s` seconds.
            AegisError: The hub refused or does not answer. A failure to release it is only shown.
        """
        kept = {grant.lock_id for grant in self.locks.grants()}
        grant = await self.acquire(wanted, wait_s=wait_s, text=text)
        try:
            yield grant
        finally:
            if grant.lock_id not in kept:
                await self._give_back(grant)

    async def _give_back(self, grant: LockGrant) -> None:
        if grant.lock_id not in {held.lock_id for held in self.locks.grants()}:
            return
        try:
            await self.locks.release(grant.path, grant.lock_id)
        except AegisError as error:
            self.locks.forget([grant.lock_id])
            self._screen.problem(f"{error}; the lock on {name_of(grant)} will expire")

    async def change(self, grants: Mapping[str, LockGrant], make: Callable[[], None], *, others: Sequence[str]) -> None:
        """Run `make`, which changes files, and tell the hub the new content of those that need a lock.

        If it fails, or the hub refuses, all files have their old content again.

        Args:
            grants: The paths that need a lock, each with the lock that covers it.
            make: Changes files at these paths and at `others` only.
            others: Paths that it changes and that need no lock.

        Raises:
            StaleToken: A lock has expired meanwhile.
            Refused: The hub refused the write.
            HubUnavailable: The hub did not answer.
            AegisError: What `make` raises.
            OSError: A file cannot be read or changed.
        """
        try:
            for path, grant in grants.items():
                await self._broadcast("code:writing", path, grant)
            with self._undone_on_failure([*grants, *others]):
                bases = {path: self.worktree.find_blob(path) for path in grants}
                make()
                for path, grant in grants.items():
                    await self.tell_written(path, grant, base_oid=bases[path])
        except StaleToken as error:
            for grant in grants.values():
                await self.locks.give_up(grant)
            error.hint = _STALE_HINT
            raise

    async def tell_written(self, path: str, grant: LockGrant, *, base_oid: str | None) -> None:
        """Tell the hub what a path holds now, as written under a lock, and remember the token for the submission.

        Args:
            path: The file; it need not exist.
            grant: The lock, which is still held.
            base_oid: The blob id before; None if there was no file, or it is not known.

        Raises:
            AegisError: The hub refused or does not answer.
            OSError: The file cannot be read.
        """
        state = state_of(self.worktree.place(path))
        new_oid = state.oid or GONE
        await self._broadcast("code:written", path, grant, base_oid=base_oid, new_oid=new_oid)
        self.recorded[path] = state
        self.locks.mark_used(grant.token)

    async def _broadcast(self, event: str, path: str, grant: LockGrant, **fields: object) -> None:
        data = {"file": resource_of(path).path, "token": grant.token, **fields}
        await self._link.command("broadcast", event=event, data=data)

    @contextmanager
    def _undone_on_failure(self, paths: Sequence[str]) -> Iterator[None]:
        """Restore files byte for byte if the block fails, because the hub has not recorded the change then.

        A file that did not exist is deleted. That a change was undone is shown, or why it could not be; the block's
        error is raised again in both cases.

        Raises:
            OSError: A file cannot be read before the block, which then does not run.
        """
        before = {path: (self.worktree.find_bytes(path), _mode(self.worktree.place(path))) for path in paths}
        try:
            yield
        except BaseException:
            for path, (raw, mode) in before.items():
                try:
                    if self.worktree.restore(path, raw):
                        self._screen.problem(f"the change of {path} was undone")
                    if mode is not None:
                        self.worktree.place(path).chmod(mode)
                except OSError as error:
                    self._screen.problem(f"{path} could not be restored: {error.strerror}")
            raise


def state_of(place: Path) -> FileState:
    """Return what a path holds, without following a link; `NOTHING` for a folder, and for nothing.

    Raises:
        OSError: It cannot be read.
    """
    try:
        status = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    if stat.S_ISLNK(status.st_mode):
        return FileState(blob_id(os.fsencode(place.readlink())), "link")
    if not stat.S_ISREG(status.st_mode):
        return NOTHING
    is_executable = bool(status.st_mode & stat.S_IXUSR)
    return FileState(blob_id(place.read_bytes()), "executable" if is_executable else "file")


def _mode(place: Path) -> int | None:
    return stat.S_IMODE(place.stat().st_mode) if place.is_file() else None
