"""Every write of the built-in agent: partition first, then the lock where one is needed, then the file (PART-3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.files import Worktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.screen import Screen
from aegis_tui.domain.lock import Region, Resource
from aegis_tui.domain.region import Span, View, blob_id, line_hunks, rewrite_of
from aegis_tui.domain.symbol import hull
from aegis_tui.errors import PartitionRefused, StaleToken, UsageError
from aegis_tui.ports.hub_link import HubLink, LockGrant
from aegis_tui.ports.symbols import SymbolReader

LOCK_WAIT_S = 60.0
"""Seconds that an edit waits for the lock of a joint file."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after. `before` is None for a new file."""

    path: str
    before: str | None
    after: str
    note: str = ""
    """What the model should know of the lock it was written under; mostly empty."""


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
        symbols: SymbolReader | None = None,
    ) -> None:
        self.worktree = worktree
        self.locks = locks
        self._git = git
        self._scope = scope
        self._link = link
        self._progress = progress
        self._screen = screen
        self._symbols = symbols or FileSymbols()

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

    async def acquire(self, wanted: Resource, *, wait_s: float) -> LockGrant:
        """Take the lock of a file or a region, whose path is a real one, and show the wait.

        Raises:
            LockHeld: Not granted in `wait_s` seconds.
        """
        before = self._progress.state

        async def on_wait() -> None:
            await self._progress.enter("waiting", f"for the lock of {wanted}")

        try:
            return await self.locks.acquire(wanted, wait_s=wait_s, on_wait=on_wait)
        finally:
            if self._progress.state == "waiting":
                await self._progress.enter(before)

    async def place(self, path: str, *, lines: Span | None = None, symbol: str | None = None) -> Resource:
        """What a lock on that part of a file is taken on, with the lines that it has in the worktree now.

        Raises:
            UsageError: Both lines and a symbol, or an impossible one.
        """
        if lines is None and symbol is None:
            return Resource(path=path)
        try:
            region = Region(lines=lines, symbol=symbol)
        except ValueError as error:
            raise UsageError("give lines or a symbol of the file", "lines [first, last] or symbol Name.name") from error
        text = self._load(path) or ""
        spans: tuple[Span, ...] | None = (lines,) if lines else None
        if symbol and (outline := await asyncio.to_thread(self._symbols.outline, path, text)):
            found = outline.find(symbol)
            spans = found.spans if found else None
        return Resource(path=path, region=region, views=_views(text, spans))

    async def change(self, path: str, make: Callable[[str | None], str], *, whole: bool = False) -> Change:
        """Replace the file's text by `make(text before)`, under a lock if it needs one.

        Args:
            path: As a model names it.
            make: The new text from the old one, None for no file.
            whole: Lock the file instead of the function, class or lines that the change lies in.

        Raises:
            PartitionRefused: Not this instance's to write.
            LockHeld: The lock was not granted within `LOCK_WAIT_S`.
            StaleToken: The lock lapsed meanwhile; the file is as it was before.
            UsageError: `make` refused.
        """
        real, needs_lock = self.check(path)
        if not needs_lock and self.locks.find(real) is None:
            return self._apply(real, make)
        before = self._load(real)
        wanted, note = Resource(path=real), ""
        if before is not None and not whole:
            wanted, note = await self._part(real, before, make(before))
        async with self._locked(wanted) as grant:
            return await self._apply_fenced(real, make, grant, note if grant.region is None else "")

    async def _part(self, path: str, before: str, after: str) -> tuple[Resource, str]:
        """The smallest part of a file that a change lies in, and what to say when that is all of it."""
        outline = await asyncio.to_thread(self._symbols.outline, path, before)
        if outline is None:
            return Resource(path=path), "under the lock of the whole file: it cannot be parsed"
        hunks = line_hunks(before, after)
        if not hunks or not outline.line_count:
            return Resource(path=path), ""
        if symbol := outline.enclosing(hunks):
            return Resource(path=path, region=Region(symbol=symbol.name), views=_views(before, symbol.spans)), ""
        lines = hull(hunks, outline.line_count)
        return Resource(path=path, region=Region(lines=lines), views=_views(before, (lines,))), ""

    def _apply(self, path: str, make: Callable[[str | None], str]) -> Change:
        before = self._load(path)
        after = make(before)
        self.worktree.save(path, after)
        return Change(path, before, after)

    def _load(self, path: str) -> str | None:
        place = self.worktree.root / path
        return self.worktree.load(path) if place.exists() else None

    @asynccontextmanager
    async def _locked(self, wanted: Resource) -> AsyncIterator[LockGrant]:
        held = self.locks.find_over(wanted)
        grant = held or await self.acquire(wanted, wait_s=LOCK_WAIT_S)
        try:
            yield grant
        finally:
            if held is None and grant in self.locks.grants():
                await self.locks.release(grant.path, grant.lock_id)

    async def _apply_fenced(self, path: str, make: Callable[[str | None], str], grant: LockGrant, note: str) -> Change:
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
        if change.before is not None:
            self.locks.follow(path, rewrite_of(change.before, change.after))
        return replace(change, note=note)

    async def _broadcast(self, event: str, **data: object) -> None:
        await self._link.command("broadcast", event=event, data=data)

    def _undo(self, change: Change) -> None:
        if change.before is None:
            (self.worktree.root / change.path).unlink(missing_ok=True)
        else:
            self.worktree.save(change.path, change.before)
        self._screen.problem(f"the lock of {change.path} lapsed; the change was undone")


def _views(text: str, spans: tuple[Span, ...] | None) -> tuple[View, ...]:
    return (View(base_oid=blob_id(text.encode("utf-8", "replace")), spans=spans),) if spans else ()


def must_exist(path: str, text: str | None) -> str:
    """The text of a file that an edit needs.

    Raises:
        UsageError: There is no such file.
    """
    if text is None:
        raise UsageError(f"there is no file {path}", "Create it with write")
    return text
