"""Read the sender's files before a lock on a region, or a write under one, is decided (LOCK-1).

The core reads no files. Here a symbol is resolved to lines, lines get the blob id of the content that they refer to,
and a write is turned into hunks. The files are those that the sender sees: in its worktree, or the person's checkout.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
import unicodedata
from collections.abc import Awaitable, Iterable
from pathlib import Path

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.count import counted
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.lock.commands import LockAcquire, WantedResource
from aegis_tui.domain.lock.model import Region, Resource
from aegis_tui.domain.lock.region import (
    MAX_VIEWS,
    Rewrite,
    Span,
    View,
    line_hunks,
    move_all,
    split_lines,
)
from aegis_tui.domain.lock.symbol import Outline
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.domain.path.file_name import name_of
from aegis_tui.domain.scope.closed import check_not_git
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.known_texts import KnownTexts
from aegis_tui.ports.symbols import SymbolReader
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are locked as a whole."""


class RegionService:
    """A `HubService` that fills in `lock:acquire` and `code:written`.

    Contents in which regions were resolved are kept, so that two of them can be compared. A new process reads the
    present files of those who hold regions. Regions in a content that is not kept count as overlapping, which is safe.
    """

    def __init__(self, root: Path, symbols: SymbolReader) -> None:
        self._root, self._symbols = root, symbols
        self._engine: Engine | None = None
        self._ready = asyncio.Event()
        self._texts = KnownTexts()

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Keep the contents of files in which regions are locked, as the holders see them; then let `prepare` go on.

        Files that cannot be read are skipped. From now on, the engine says in which worktree a sender works.
        """
        self._engine = engine
        places = engine.peek(lambda workspace: _region_places(workspace, self._root))
        await asyncio.to_thread(self._read_all, places)
        self._ready.set()

    def _read_all(self, places: Iterable[tuple[Path, str]]) -> None:
        for folder, path in places:
            with contextlib.suppress(UsageError):
                if (text := read_text(folder, path)) is not None:
                    self._texts.keep(text)

    async def stop(self) -> None:
        """Do nothing: the service has no tasks."""

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of the command with what the sender's files say; None for a command that needs nothing.

        A `lock:acquire` with lines or symbols gets `pinned`, its resources with line numbers and blob ids, and `whole`,
        the paths that are locked whole because the file cannot be divided. A `code:written` gets `rewrite`, its hunks,
        and stays without it if the old or the new content is not known. The awaitable waits until the service runs.

        Raises:
            UsageError: When awaited: the file, line or symbol does not exist in the sender's files.
            PartitionRefused: When awaited: the file is one of git's own.
            StoreError: When awaited: the hub's state cannot be read.
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
        whole = [
            got.path
            for item, got in zip(wanted, pinned, strict=True)
            if (item.symbol or item.lines) and got.region is None
        ]
        return command.model_copy(update={"pinned": tuple(pinned), "whole": tuple(whole)})

    async def _resource(self, wanted: WantedResource, folder: Path) -> Resource:
        try:
            plain = Resource(path=wanted.path)
            region = Region(lines=wanted.lines, symbol=wanted.symbol) if wanted.lines or wanted.symbol else None
        except ValueError as error:
            raise UsageError(f"{wanted.path} cannot be locked", "name a path, with lines A-B or a symbol") from error
        if region is None:
            return plain
        check_not_git(plain.path)
        text = await asyncio.to_thread(read_text, folder, wanted.path)
        if text is None:
            return plain
        oid = self._texts.keep(text)
        spans = await self._spans(plain.path, region, text)
        if spans is None:
            return plain
        views = [View(base_oid=oid, spans=spans), *await self._elsewhere(plain.path, oid, spans)]
        return Resource(path=plain.path, region=region, views=tuple(views))

    async def _spans(self, path: str, region: Region, text: str) -> tuple[Span, ...] | None:
        if region.lines is not None:
            count = len(split_lines(text))
            if region.lines[1] > count:
                raise UsageError(f"{path} has only {counted(count, 'line')}", f"lock lines from 1 to {count}")
            return (region.lines,)
        outline = await asyncio.to_thread(self._symbols.outline, path, text) if _is_text(text) else None
        if outline is None:
            return None
        if symbol := outline.find(region.symbol or ""):
            return symbol.spans
        raise _unknown(path, region.symbol or "", outline)

    async def _elsewhere(self, path: str, oid: str, spans: tuple[Span, ...]) -> list[View]:
        """Return where the same lines are in other kept contents of a file in which regions are locked or waited for.

        Args:
            path: The file.
            oid: The blob id of the kept content to which `spans` belong.
            spans: The lines.

        Returns:
            A view for each content that still has all of these lines; at most `MAX_VIEWS` - 1 contents are compared.
            Empty before `start`.
        """
        if self._engine is None:
            return []
        others = self._engine.peek(lambda workspace: _known_oids(workspace, path)) - {oid}
        texts = [(name, text) for name in sorted(others) if (text := self._texts.text(name)) is not None]
        mine = self._texts.text(oid) or ""
        return await asyncio.to_thread(_translated, mine, spans, texts[: MAX_VIEWS - 1])

    async def _rewrite(self, command: BroadcastSend, actor: Actor) -> Rewrite | None:
        path, named, new = (command.data.get(name) for name in ("file", "base_oid", "new_oid"))
        if not (isinstance(path, str) and isinstance(named, str) and isinstance(new, str)):
            return None
        base = self._texts.find(named)
        before = None if base is None else self._texts.text(base)
        if base is None or before is None:
            return None
        try:
            after = await asyncio.to_thread(read_text, await self._folder(actor), path)
        except UsageError:
            return None
        if after is None:
            return None
        written = self._texts.keep(after)
        if self._texts.find(new) != written:
            return None
        hunks = await asyncio.to_thread(line_hunks, before, after)
        return Rewrite(base_oid=base, new_oid=written, hunks=hunks)

    async def _folder(self, actor: Actor) -> Path:
        await self._ready.wait()
        if self._engine is None:
            return self._root
        instance = await self._engine.read(lambda workspace: workspace.get_instance(actor.agent_id))
        return Path(instance.worktree) if instance is not None and instance.worktree else self._root


def read_text(folder: Path, path: str) -> str | None:
    """Return the text of a file in a checkout; bytes that are not UTF-8 become lone surrogates (PEP 383).

    The path is tried as it is written, then in Unicode normal form NFC. No symbolic link is followed.

    Args:
        folder: The checkout.
        path: The file, relative to it, in its written form.

    Returns:
        None when the file is larger than `MAX_FILE_BYTES` or its permissions do not allow reading.

    Raises:
        UsageError: There is no such regular file, its path contains a symbolic link, or it cannot be read.
    """
    hint = "lock the path without lines or symbol"
    try:
        with UntrustedFolder(folder.resolve()) as root:
            for name in dict.fromkeys((name_of(path), unicodedata.normalize("NFC", name_of(path)))):
                status = root.status(name)
                if status is not None and stat.S_ISREG(status.st_mode):
                    raw = root.read(name, limit=MAX_FILE_BYTES)
                    return None if raw is None else raw.decode("utf-8", "surrogateescape")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read", hint) from error
    raise UsageError(f"there is no file {path} in the folder where you work", hint)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unknown(path: str, name: str, outline: Outline) -> UsageError:
    nearest = outline.nearest(name)
    names = nearest or sorted(outline.symbols)[:8]
    hint = f"{'nearest' if nearest else 'it has'}: {', '.join(names)}" if names else "the file is empty"
    return UsageError(f"{path} has no symbol {name}", hint, symbols=names)


def _known_oids(workspace: Workspace, path: str) -> set[str]:
    resources = [lock.resource for lock in workspace.locks.locks_on(path)]
    resources += [wanted for wait in workspace.locks.waits() for wanted in wait.resources]
    return {view.base_oid for item in resources if item.path == path for view in item.views}


def _region_places(workspace: Workspace, root: Path) -> list[tuple[Path, str]]:
    """Return folder and path of each file in which a region is locked, as its holder sees it, without duplicates."""
    places: dict[tuple[Path, str], None] = {}
    for lock in workspace.locks.locks():
        if lock.resource.region is not None:
            instance = workspace.get_instance(lock.agent_id)
            folder = Path(instance.worktree) if instance is not None and instance.worktree else root
            places[folder, lock.resource.path] = None
    return list(places)


def _translated(text: str, spans: tuple[Span, ...], others: Iterable[tuple[str, str]]) -> list[View]:
    views = []
    for oid, other in others:
        moved = move_all(spans, line_hunks(text, other))
        if moved:
            views.append(View(base_oid=oid, spans=moved))
    return views
