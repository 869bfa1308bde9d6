"""Every write of the built-in agent: partition first, then the lock where one is needed, then the file (PART-3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aegis_tui.agent.files import Worktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.screen import Screen
from aegis_tui.errors import PartitionRefused, StaleToken, UsageError
from aegis_tui.ports.hub_link import HubLink, LockGrant

LOCK_WAIT_S = 60.0
"""Seconds that an edit waits for the lock of a joint file."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after. `before` is None for a new file."""

    path: str
    before: str | None
    after: str


class Writer:
    """Changes files of the worktree, or says why not. The only place of the agent that writes a file of the model's."""

    def __init__(
        self,
        worktree: Worktree,
        git: Git,
        scope: WriteScope,
        locks: HeldLocks,
        link: HubLink,
        progress: Progress,
        screen: Screen,
    ) -> None:
        self.worktree = worktree
        self.locks = locks
        self._git = git
        self._scope = scope
        self._link = link
        self._progress = progress
        self._screen = screen

    def check(self, path: str) -> tuple[str, bool]:
        """The real relative path and whether writing it needs a lock.

        Raises:
            PartitionRefused: It is not this instance's to write; `data['owner']` names whose it is.
            Refused: It is outside the worktree.
        """
        real = self.worktree.locate(path)
        verdict = self._scope.verdict(real)
        if not verdict.allowed:
            raise PartitionRefused(
                verdict.message,
                "Ask with lock action=request and a reason, or report blocked and say what you need",
                owner=verdict.owner,
                path=real,
            )
        return real, verdict.needs_lock

    async def acquire(self, path: str, *, wait_s: float) -> LockGrant:
        """Take the lock of `path`, a real path, and show the wait.

        Raises:
            LockHeld: Not granted in `wait_s` seconds.
        """
        before = self._progress.state

        async def on_wait() -> None:
            await self._progress.enter("waiting", f"for the lock of {path}")

        try:
            return await self.locks.acquire(path, wait_s=wait_s, on_wait=on_wait)
        finally:
            if self._progress.state == "waiting":
                await self._progress.enter(before)

    async def change(self, path: str, make: Callable[[str | None], str]) -> Change:
        """Replace the file's text by `make(text before)`, under its lock if it needs one.

        Raises:
            PartitionRefused: Not this instance's to write.
            LockHeld: The lock was not granted within `LOCK_WAIT_S`.
            StaleToken: The lock lapsed meanwhile; the file is as it was before.
            UsageError: `make` refused.
        """
        real, needs_lock = self.check(path)
        if not needs_lock and self.locks.find(real) is None:
            return self._apply(real, make)
        async with self._locked(real) as grant:
            return await self._apply_fenced(real, make, grant)

    def _apply(self, path: str, make: Callable[[str | None], str]) -> Change:
        before = self._load(path)
        after = make(before)
        self.worktree.save(path, after)
        return Change(path, before, after)

    def _load(self, path: str) -> str | None:
        place = self.worktree.root / path
        return self.worktree.load(path) if place.exists() else None

    @asynccontextmanager
    async def _locked(self, path: str) -> AsyncIterator[LockGrant]:
        held = self.locks.find(path)
        grant = held or await self.acquire(path, wait_s=LOCK_WAIT_S)
        try:
            yield grant
        finally:
            if held is None and self.locks.find(path):
                await self.locks.release(path)

    async def _apply_fenced(self, path: str, make: Callable[[str | None], str], grant: LockGrant) -> Change:
        base_oid = await self._git.hash_file(path)
        make(self._load(path))
        await self._broadcast("code:writing", file=path, token=grant.token)
        change = self._apply(path, make)
        new_oid = await self._git.hash_file(path)
        try:
            await self._broadcast("code:written", file=path, token=grant.token, base_oid=base_oid, new_oid=new_oid)
        except StaleToken:
            self._undo(change)
            self.locks.forget([grant.lock_id])
            raise
        self.locks.mark_used(grant.token)
        return change

    async def _broadcast(self, event: str, **data: object) -> None:
        await self._link.command("broadcast", event=event, data=data)

    def _undo(self, change: Change) -> None:
        if change.before is None:
            (self.worktree.root / change.path).unlink(missing_ok=True)
        else:
            self.worktree.save(change.path, change.before)
        self._screen.problem(f"the lock of {change.path} lapsed; the change was undone")


def must_exist(path: str, text: str | None) -> str:
    """The text of a file that an edit needs.

    Raises:
        UsageError: There is no such file.
    """
    if text is None:
        raise UsageError(f"there is no file {path}", "Create it with write")
    return text
