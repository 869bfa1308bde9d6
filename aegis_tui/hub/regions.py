"""Looks at the asker's files before a lock on a region, or a write under one, is decided (LOCK-1).

The core knows no files. Here a symbol becomes lines, lines get the id of the content they are meant in, and a write
becomes hunks. What is read is what the asker sees: its worktree, or the person's checkout.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Iterable
from pathlib import Path

from aegis_tui.domain.command import AnyCommand, BroadcastSend, LockAcquire, WantedResource
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.lock import Region, Resource
from aegis_tui.domain.region import (
    MAX_VIEWS,
    Rewrite,
    Span,
    View,
    blob_id,
    line_hunks,
    move_all,
    split_lines,
)
from aegis_tui.domain.symbol import Outline
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.ports.symbols import SymbolReader
from aegis_tui.sdk.discovery import WorkspacePaths

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are locked as a whole."""

_KEPT_TEXTS = 256


class RegionService:
    """A `HubService` that fills in `lock:acquire` and `code:written`.

    Texts that regions were resolved on are remembered, so that two of them can be compared. They are lost with the
    process; regions of contents that nobody remembers count as crossing, which is the safe direction.
    """

    def __init__(self, root: Path, symbols: SymbolReader) -> None:
        self._root, self._symbols = root, symbols
        self._engine: Engine | None = None
        self._ready = asyncio.Event()
        self._texts: OrderedDict[str, str] = OrderedDict()

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Know where the worktrees are from now on."""
        self._engine = engine
        self._ready.set()

    async def stop(self) -> None:
        """Nothing runs."""

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Fill in `pinned` of a lock on a region, and `rewrite` of a write; nothing of others.

        Raises:
            UsageError: On awaiting: there is no such symbol or line, or no such file, in the asker's view.
        """
        if isinstance(command, LockAcquire):
            wants_region = (
                command.lines or command.symbol or any(item.lines or item.symbol for item in command.resources)
            )
            return self._pinned(command, actor) if wants_region else None
        if isinstance(command, BroadcastSend) and command.event == "code:written":
            return self._rewritten(command, actor)
        return None

    async def _rewritten(self, command: BroadcastSend, actor: Actor) -> BroadcastSend:
        return command.model_copy(update={"rewrite": await self._rewrite(command, actor)})

    async def _pinned(self, command: LockAcquire, actor: Actor) -> LockAcquire:
        wanted = list(command.resources)
        if command.path is not None:
            wanted.append(WantedResource(path=command.path, lines=command.lines, symbol=command.symbol))
        folder = await self._folder(actor)
        pinned = [await self._resource(item, folder) for item in wanted]
        whole = [item.path for item, got in zip(wanted, pinned, strict=True) if item.symbol and not got.region]
        return command.model_copy(update={"pinned": tuple(pinned), "whole": tuple(whole)})

    async def _resource(self, wanted: WantedResource, folder: Path) -> Resource:
        try:
            plain = Resource(path=wanted.path)
            region = Region(lines=wanted.lines, symbol=wanted.symbol) if wanted.lines or wanted.symbol else None
        except ValueError as error:
            raise UsageError(f"{wanted.path} is not a lockable place", "a path, with lines A-B or a symbol") from error
        if region is None:
            return plain
        text = await asyncio.to_thread(read_text, folder, plain.path)
        oid = self._keep(text)
        spans = await self._spans(plain.path, region, text)
        if spans is None:
            return plain
        views = [View(base_oid=oid, spans=spans), *await self._elsewhere(plain.path, oid, spans)]
        return Resource(path=plain.path, region=region, views=tuple(views))

    async def _spans(self, path: str, region: Region, text: str) -> tuple[Span, ...] | None:
        if region.lines is not None:
            count = len(split_lines(text))
            if region.lines[1] > count:
                raise UsageError(f"{path} has {count} lines, not {region.lines[1]}", f"lines lie within 1-{count}")
            return (region.lines,)
        outline = await asyncio.to_thread(self._symbols.outline, path, text)
        if outline is None:
            return None
        if symbol := outline.find(region.symbol or ""):
            return symbol.spans
        raise _unknown(path, region.symbol or "", outline)

    async def _elsewhere(self, path: str, oid: str, spans: tuple[Span, ...]) -> list[View]:
        """The same lines in the other contents in which regions of this file are held or wanted."""
        if self._engine is None:
            return []
        others = self._engine.peek(lambda workspace: _known_oids(workspace, path)) - {oid}
        texts = [(name, self._texts[name]) for name in sorted(others) if name in self._texts]
        return await asyncio.to_thread(_translated, self._texts[oid], spans, texts[: MAX_VIEWS - 1])

    async def _rewrite(self, command: BroadcastSend, actor: Actor) -> Rewrite | None:
        path, base, new = (command.data.get(name) for name in ("file", "base_oid", "new_oid"))
        before = self._texts.get(base) if isinstance(base, str) else None
        if not isinstance(path, str) or not isinstance(base, str) or before is None:
            return None
        try:
            plain = Resource(path=path)
            after = await asyncio.to_thread(read_text, await self._folder(actor), plain.path)
        except (ValueError, UsageError):
            return None
        if self._keep(after) != new:
            return None
        hunks = await asyncio.to_thread(line_hunks, before, after)
        return Rewrite(base_oid=base, new_oid=str(new), hunks=hunks)

    async def _folder(self, actor: Actor) -> Path:
        await self._ready.wait()
        if self._engine is None:
            return self._root
        found = await self._engine.read(lambda workspace: workspace.get_instance(actor.agent_id))
        return Path(found.worktree) if found is not None and found.worktree else self._root

    def _keep(self, text: str) -> str:
        oid = blob_id(text.encode("utf-8"))
        self._texts[oid] = text
        self._texts.move_to_end(oid)
        while len(self._texts) > _KEPT_TEXTS:
            self._texts.popitem(last=False)
        return oid


def read_text(folder: Path, path: str) -> str:
    """The text of a file in a checkout.

    Raises:
        UsageError: There is none, it leads out of the checkout, or it is no UTF-8 text of a bearable size.
    """
    root = folder.resolve()
    place = (root / path).resolve()
    if not place.is_relative_to(root) or not place.is_file():
        raise UsageError(f"there is no file {path} where you work", "lock the path without lines or symbol")
    try:
        if place.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} is too large for regions", "lock the path without lines or symbol")
        return place.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text", "lock the path without lines or symbol") from error


def _unknown(path: str, name: str, outline: Outline) -> UsageError:
    nearest = outline.nearest(name)
    names = nearest or sorted(outline.symbols)[:8]
    hint = f"{'nearest' if nearest else 'it has'}: {', '.join(names)}" if names else "the file is empty"
    return UsageError(f"{path} has no symbol {name}", hint, symbols=names)


def _known_oids(workspace: Workspace, path: str) -> set[str]:
    resources = [lock.resource for lock in workspace.locks.locks_on(path)]
    resources += [wanted for wait in workspace.locks.waits() for wanted in wait.resources]
    return {view.base_oid for item in resources if item.path == path for view in item.views}


def _translated(text: str, spans: tuple[Span, ...], others: Iterable[tuple[str, str]]) -> list[View]:
    views = []
    for oid, other in others:
        moved = move_all(spans, line_hunks(text, other))
        if moved:
            views.append(View(base_oid=oid, spans=moved))
    return views
