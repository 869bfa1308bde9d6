"""Writes files for the built-in agent: checks the partition, acquires the lock if one is needed, writes (PART-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aegis_tui.agent.fenced_writes import FencedWrites
from aegis_tui.agent.locks import OwnLock, blob_of, name_of, resource_of
from aegis_tui.agent.newest import NewestContent
from aegis_tui.agent.scope import WriteScope
from aegis_tui.domain.lock.model import Region, Resource
from aegis_tui.domain.lock.region import Span, View, line_hunks
from aegis_tui.domain.lock.symbol import Outline, hull
from aegis_tui.errors import AegisError, HubUnavailable, PartitionRefused, Refused, UsageError
from aegis_tui.ports.hub_link import LockGrant
from aegis_tui.ports.symbols import SymbolReader

LOCK_WAIT_S = 60.0
"""Seconds that an edit waits for the lock of a joint file."""
_TRIES = 3
"""How often an edit is tried on a file that changes while the edit waits for its lock."""


@dataclass(frozen=True, slots=True)
class Change:
    """The text of a file before and after a write. `before` is None for a new file."""

    path: str
    before: str | None
    after: str
    note: str = ""
    """What the model should know about the lock that was used; mostly empty."""


class Writer:
    """Changes files of the worktree for the model's tools, and acquires the locks for that.

    Args:
        scope: What the instance may write.
        writes: Its locks, and the fenced writes to its worktree.
        newest: Brings newer content of a joint file into the worktree.
        symbols: Parses files, for locks on parts of them.
    """

    def __init__(self, scope: WriteScope, writes: FencedWrites, newest: NewestContent, symbols: SymbolReader) -> None:
        self.worktree = writes.worktree
        self.locks = writes.locks
        self._scope, self._writes, self._newest, self._symbols = scope, writes, newest, symbols
        self._untold: list[str] = []
        self.written: set[str] = set()
        """Paths that the model wrote with `edit` and `write`, or as the new name of a file."""

    def check(self, path: str) -> tuple[str, bool]:
        """Return the real path, relative to the worktree, and whether writing it needs a lock.

        Raises:
            PartitionRefused: The instance may not write it, or it lies in a submodule; `data['owner']` names the owner,
                if there is one.
            Refused: The path is not usable, or leads to the root, outside the worktree or into git's own files.
        """
        real = self.worktree.locate(path)
        for folder in self._scope.scope.submodules:
            if real == folder or real.startswith(f"{folder}/"):
                raise PartitionRefused(
                    f"{real} lies in the submodule {folder}, whose files no commit of this repository can hold",
                    "Make the change outside the submodule, or report blocked and say what you need in it",
                )
        verdict = self._scope.verdict(real)
        if not verdict.allowed:
            raise PartitionRefused(
                verdict.message,
                "Call lock with action=request and a reason, or report blocked and say what you need",
                owner=verdict.owner,
                path=real,
            )
        return real, verdict.needs_lock

    def take_news(self) -> list[str]:
        """Return the messages about lost or moved locks and joint files that moved on, since the last call."""
        news, self._untold = self._untold, []
        return news

    async def lock(self, path: str, *, lines: Span | None, symbol: str | None, wait_s: float) -> LockGrant:
        """Acquire a lock that the model holds until it releases it; one that it holds already may be returned.

        Args:
            path: A real path, a result of `check`.
            lines: Lock only these lines, first and last, 1-based.
            symbol: Lock only this function or class.
            wait_s: Seconds to wait in the hub's queue.

        Raises:
            LockHeld: It was not granted in time.
            UsageError: Both lines and a symbol are given, they are not valid, or the path cannot be locked or read.
            PartitionRefused: This instance may not lock the path.
            HubUnavailable: The hub does not answer.
            AegisError: An earlier lock on a part of the file had to be renewed, and the hub refused to release it.
        """
        wanted = await self.place(path, lines=lines, symbol=symbol)
        if wanted.region is not None:
            await self._catch_up(path, self._load(path) or "")
        grant = await self.acquire(wanted, wait_s=wait_s)
        if not await self._freshen(path) or grant.region is None:
            return grant
        await self._catch_up(path, self._load(path) or "")
        return self.locks.find(path) or grant

    async def _freshen(self, path: str) -> bool:
        """Bring newer content of a file whose lock is held into the worktree; return whether files were changed."""
        moved = await self._newest.bring(path)
        if moved is not None:
            self._untold.append(moved.words)
        self._untold += await self._newest.news(path)
        return moved is not None and not moved.problem

    async def acquire(self, wanted: Resource, *, wait_s: float) -> LockGrant:
        """Acquire the lock of a file or a region, and return it; one that is held already and covers it is returned.

        While that takes longer than 0.4 s, the state `waiting` is reported, and then the state before.

        Args:
            wanted: The file or region.
            wait_s: Seconds to wait in the hub's queue.

        Raises:
            LockHeld: It was not granted within `wait_s` seconds.
            UsageError: The file has no such lines or symbol, or cannot be read as text: it is binary or too large.
            PartitionRefused: This instance may not lock the path.
            HubUnavailable: The hub does not answer.
            OSError: The system refuses to read the file, which is read only for a region.
        """
        text = self._load(wanted.path) if wanted.views else None
        return await self._writes.acquire(wanted, wait_s=wait_s, text=text or "")

    async def place(self, path: str, *, lines: Span | None = None, symbol: str | None = None) -> Resource:
        """Return the resource to lock for a part of a file, with the lines that it has in the worktree now.

        Args:
            path: A real path, a result of `check`.
            lines: First and last line, 1-based.
            symbol: A function or class by its dotted name, instead of lines.

        Returns:
            The part; the whole file if neither lines nor symbol is given, or the hub cannot read the file as text.

        Raises:
            UsageError: Both lines and a symbol are given, they are not valid, or the path cannot be locked.
        """
        if lines is None and symbol is None:
            return resource_of(path)
        try:
            region = Region(lines=lines, symbol=symbol)
        except ValueError as error:
            raise UsageError("give lines or a symbol of the file", "lines [first, last] or symbol Name.name") from error
        if self.worktree.is_file(path) and not self._has_parts(path):
            return resource_of(path)
        return await self._resource(path, self._load(path) or "", region)

    async def change(self, path: str, make: Callable[[str | None], str], *, whole: bool = False) -> Change:
        """Replace the file's text by `make(text before)`, under a lock if it needs one, and return both texts.

        Args:
            path: The path as the model named it.
            make: Takes the old text, or None if there is no file, and returns the new text; it may be called several
                times.
            whole: Lock the whole file instead of the function, class or lines that the change affects.

        Raises:
            PartitionRefused: The instance may not write it.
            LockHeld: The lock was not granted within `LOCK_WAIT_S`.
            StaleToken: The lock expired meanwhile; the file has its old content.
            Refused: The path is outside the worktree, the hub refused the write, or the file kept changing; it has its
                old content, or what else wrote it.
            HubUnavailable: The hub did not answer; the file has its old content.
            UsageError: `make` refused, or the path cannot be locked or read, or differs only in case from another.
            AegisError: The file system refused the write (code `disk`).
            OSError: It refused to read the file.
        """
        real, needs_lock = self.check(path)
        if self._scope.scope.ignore_case and (twin := self.worktree.case_twin(real)):
            raise UsageError(f"{real} differs only in case from {twin}: git ignores case here", "Use another name")
        if not needs_lock and self.locks.find(real) is None:
            before = self._load(real)
            change = Change(real, before, make(before))
            self.worktree.save(real, change.after)
            self.written.add(real)
            return change
        for _ in range(_TRIES):
            before = self._load(real)
            wanted, note = resource_of(real), ""
            if before is not None and not whole:
                wanted, note = await self._part(real, before, make(before))
            async with self._writes.locked(wanted, wait_s=LOCK_WAIT_S, text=before or "") as grant:
                await self._freshen(real)
                now = self._load(real)
                if grant.region is None or now == before:
                    change = Change(real, now, make(now), note if grant.region is None else "")
                    await self._write_fenced(change, grant)
                    return change
        raise Refused(f"{real} keeps changing while the edit waits for its lock", "See what else writes it")

    async def _part(self, path: str, before: str, after: str) -> tuple[Resource, str]:
        """Return the smallest lockable part of a file that contains a change, and a note if that is the whole file.

        The part is a function or class, else a range of lines. The note tells the model why parts of the file cannot be
        locked; it is empty if a part was found, and if nothing changes or the file is empty.

        Args:
            path: A real path, a result of `check`.
            before: The file's text.
            after: Its text after the change.

        Raises:
            AegisError: As in `_catch_up`, which renews this instance's own locks on parts of the file if it has
                changed.
        """
        if not self._has_parts(path):
            return resource_of(path), "under a lock on the whole file, as it is not UTF-8 or its name is not in NFC"
        outline = await self._catch_up(path, before)
        if outline is None:
            return resource_of(path), "under a lock on the whole file, as it cannot be parsed"
        hunks = line_hunks(before, after)
        if not hunks or not outline.line_count:
            return resource_of(path), ""
        if symbol := outline.enclosing(hunks):
            return resource_of(path, Region(symbol=symbol.name), _views(before, symbol.spans)), ""
        lines = hull(hunks, outline.line_count)
        return resource_of(path, Region(lines=lines), _views(before, (lines,))), ""

    def _has_parts(self, path: str) -> bool:
        """Return whether parts of the file can be locked: only those of UTF-8 text, under a name that is in NFC.

        Raises:
            UsageError: The path cannot be locked.
            OSError: The file cannot be read.
        """
        return resource_of(path).path == path and self.worktree.is_utf8(path)

    async def _resource(self, path: str, text: str, region: Region) -> Resource:
        spans: tuple[Span, ...] | None = (region.lines,) if region.lines else None
        if region.symbol and (outline := await asyncio.to_thread(self._symbols.outline, path, text)):
            symbol = outline.find(region.symbol)
            spans = symbol.spans if symbol else None
        return resource_of(path, region, _views(text, spans))

    async def _catch_up(self, path: str, text: str) -> Outline | None:
        """Acquire region locks on a file again if their lines are not known in its present content, `text`.

        That happens after a command or git changed the file; the hub refuses writes under such a lock (LOCK-3). The
        lock is released first, because for an unreleased one the hub would return the same lock. A lock that cannot be
        acquired again is lost; `take_news` tells the model.

        Returns:
            The outline of the content; None if it cannot be parsed.

        Raises:
            AegisError: A lock could not be released, or the hub does not answer.
        """
        outline = await asyncio.to_thread(self._symbols.outline, path, text)
        for held in self.locks.regions(path):
            if held.is_behind(text, outline):
                await self._take_anew(held, path, text)
        return outline

    async def _take_anew(self, held: OwnLock, path: str, text: str) -> None:
        name = name_of(held.grant)
        gone = f"you lost the lock on {name}, because something other than edit changed the file"
        await self.locks.release(path, held.grant.lock_id)
        region = held.region_in(text)
        if region is None:
            self._untold.append(f"{gone} there; acquire it again if you still need it")
            return
        try:
            grant = await self.acquire(await self._resource(path, text, region), wait_s=0)
        except AegisError as error:
            self._untold.append(f"{gone}, and it could not be acquired again: {error}")
            if isinstance(error, HubUnavailable):
                raise
        else:
            if name_of(grant) != name:
                self._untold.append(f"your lock on {name} covers {name_of(grant)} now, because the file was changed")

    def _load(self, path: str) -> str | None:
        place = self.worktree.place(path)
        return self.worktree.load(path) if place.exists() else None

    async def _write_fenced(self, change: Change, grant: LockGrant) -> None:
        def save() -> None:
            self.worktree.save(change.path, change.after)

        await self._writes.change({change.path: grant}, save, others=())
        self.written.add(change.path)
        if change.before is not None:
            self.locks.follow(change.path, change.before, change.after)

    async def delete(self, path: str) -> str:
        """Delete a file, under a lock if it needs one, and return its real path; a binary file too.

        Raises:
            UsageError: There is no such file.
            AegisError: As in `change`; the file is still there.
        """
        real, needs_lock = self.check(path)
        async with AsyncExitStack() as stack:
            grants = await self._whole(stack, [real] if needs_lock else [])
            self._must_be_file(real)
            await self._writes.change(grants, self.worktree.place(real).unlink, others=[real])
        return real

    async def rename(self, path: str, to: str) -> tuple[str, str]:
        """Give a file another path, under the locks of both if they need one; return both real paths.

        Its content and mode stay. The folders of the new path are created.

        Raises:
            UsageError: There is no such file, or there is one at the new path.
            AegisError: As in `change`; the file is where it was.
        """
        (old, old_needs), (new, new_needs) = self.check(path), self.check(to)
        if self._scope.scope.ignore_case and (twin := self.worktree.case_twin(new)) not in (None, old):
            raise UsageError(f"{new} differs only in case from {twin}: git ignores case here", "Use another name")
        async with AsyncExitStack() as stack:
            grants = await self._whole(stack, [item for item, needs in ((old, old_needs), (new, new_needs)) if needs])
            self._must_be_file(old)
            if self.worktree.place(new).exists():
                raise UsageError(f"there is a file {new} already", "Delete it first, or use another name")
            await self._writes.change(grants, lambda: self.worktree.move(old, new), others=[old, new])
        self.written.add(new)
        return old, new

    async def _whole(self, stack: AsyncExitStack, paths: list[str]) -> dict[str, LockGrant]:
        """Return the locks of whole files, which `stack` releases, after their newest content was brought in.

        They are acquired in the order of their names, so that two instances do not wait for each other.
        """
        grants = {
            item: await stack.enter_async_context(self._writes.locked(resource_of(item), wait_s=LOCK_WAIT_S))
            for item in sorted(paths)
        }
        for item in grants:
            await self._freshen(item)
        return grants

    def _must_be_file(self, path: str) -> None:
        if not self.worktree.is_file(path):
            raise UsageError(f"there is no file {path}", "Delete or rename one file at a time")


def _views(text: str, spans: tuple[Span, ...] | None) -> tuple[View, ...]:
    return (View(base_oid=blob_of(text), spans=spans),) if spans else ()


def must_exist(path: str, text: str | None) -> str:
    """Return `text`, the content of the file `path` that an edit needs.

    Raises:
        UsageError: `text` is None: there is no such file.
    """
    if text is None:
        raise UsageError(f"there is no file {path}", "Create it with write")
    return text
