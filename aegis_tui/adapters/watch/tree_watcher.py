"""Watches worktrees for changed files: events for speed, a scan for what events miss (HUB-10)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from aegis_tui.adapters.watch.listing import ignored_by_git, is_ignored_name, list_files
from aegis_tui.adapters.watch.tree_index import FileChange, TreeIndex
from aegis_tui.errors import AegisError

COALESCE_S = 0.04
SCAN_S = 30.0
BLIND_SCAN_S = 2.0
"""How often to scan while the system grants no more watches."""

_WANTED = frozenset({"created", "modified", "deleted", "moved"})
_log = logging.getLogger(__name__)
logging.getLogger("watchdog").setLevel(logging.ERROR)  # its warnings print every watched folder


class _Handler(FileSystemEventHandler):
    """Only enqueues: a slow handler lets the kernel's queue overflow."""

    def __init__(self, tree: _Tree, wake: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        self._tree, self._wake, self._loop = tree, wake, loop

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type not in _WANTED:
            return
        if isinstance(event, (DirCreatedEvent, DirMovedEvent, DirDeletedEvent)):
            self._tree.must_scan = True
        elif not event.is_directory:
            self._tree.raw.append((os.fsdecode(event.src_path), os.fsdecode(event.dest_path or "")))
        else:
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)


class _Tree:
    """One watched worktree."""

    def __init__(self, name: str, root: Path) -> None:
        self.root = root
        self.index = TreeIndex(name, root)
        self.raw: deque[tuple[str, str]] = deque()
        self.must_scan = False
        self.watch: ObservedWatch | None = None

    def take(self) -> tuple[list[str], frozenset[str]]:
        """The touched paths, relative to the worktree, each once, and those of them that a rename made."""
        touched: dict[str, None] = {}
        moved: set[str] = set()
        while self.raw:
            source, target = self.raw.popleft()
            for full in filter(None, (source, target)):
                if (path := self._relative(full)) is not None:
                    touched[path] = None
            if target and (path := self._relative(target)) is not None:
                moved.add(path)
        return list(touched), frozenset(moved)

    def _relative(self, full: str) -> str | None:
        try:
            path = Path(full).relative_to(self.root).as_posix()
        except ValueError:
            return None
        return None if path == "." or is_ignored_name(path) else path

    def changes(self) -> list[FileChange]:
        """What changed at the touched paths, or anywhere if a folder came or went; blocking."""
        touched, moved = self.take()
        if not self.root.is_dir():
            return []
        ignored = ignored_by_git(self.root, touched)
        found = self.index.compare([path for path in touched if path not in ignored], moved=moved)
        if self.must_scan:
            self.must_scan = False
            found += self.scan()
        return found

    def scan(self) -> list[FileChange]:
        """What changed in the whole tree; blocking."""
        return self.index.compare_all(list_files(self.root)) if self.root.is_dir() else []


class TreeWatcher:
    """Tells what changed in the worktrees it was given; ignored files and repeated events are left out.

    Delivery: must-deliver; what the kernel's events miss, the scan finds.
    """

    def __init__(self, *, coalesce_s: float = COALESCE_S, scan_s: float = SCAN_S) -> None:
        """Set the pace.

        Args:
            coalesce_s: How long to gather events before they are looked at, in seconds.
            scan_s: How often each tree is compared as a whole, in seconds.
        """
        self._coalesce_s = coalesce_s
        self._scan_s = scan_s
        self._trees: dict[str, _Tree] = {}
        self._wake = asyncio.Event()
        self._observer: BaseObserver | None = None

    @property
    def names(self) -> frozenset[str]:
        """The worktrees that are watched."""
        return frozenset(self._trees)

    async def add(self, name: str, root: Path) -> None:
        """Watch the worktree at `root` under `name`, from its state as it is now.

        Raises:
            GitError: It is no worktree.
            GitUnavailable: git is missing or does not answer.
        """
        self._trees[name] = await asyncio.to_thread(self._begin, name, root, asyncio.get_running_loop())

    def _begin(self, name: str, root: Path, loop: asyncio.AbstractEventLoop) -> _Tree:
        tree = _Tree(name, root.resolve())
        handler = _Handler(tree, self._wake, loop)
        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
        try:
            tree.watch = self._observer.schedule(handler, str(tree.root), recursive=True)
        except OSError as error:
            _log.warning("only scanned, not watched", extra={"aegis_path": str(tree.root), "aegis_error": str(error)})
        try:
            tree.index.learn(list_files(tree.root))
        except AegisError:
            self._end(tree)
            raise
        return tree

    async def remove(self, name: str) -> None:
        """Stop to watch a worktree; one that is not watched is no error."""
        if tree := self._trees.pop(name, None):
            await asyncio.to_thread(self._end, tree)

    def _end(self, tree: _Tree) -> None:
        if self._observer is not None and tree.watch is not None:
            with suppress(KeyError, OSError):
                self._observer.unschedule(tree.watch)

    async def close(self) -> None:
        """End the observer's threads."""
        observer, self._observer = self._observer, None
        self._trees.clear()
        if observer is not None:
            await asyncio.to_thread(self._join, observer)

    @staticmethod
    def _join(observer: BaseObserver) -> None:
        observer.stop()
        observer.join(timeout=5.0)

    async def changes(self) -> AsyncGenerator[list[FileChange], None]:
        """Changes as they come, for ever; each item holds at least one."""
        loop = asyncio.get_running_loop()
        next_scan = loop.time() + self._scan_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_scan):
                    await self._wake.wait()
                    await asyncio.sleep(self._coalesce_s)
            self._wake.clear()
            is_scan = loop.time() >= next_scan
            if is_scan:
                is_blind = any(tree.watch is None for tree in self._trees.values())
                next_scan = loop.time() + (min(BLIND_SCAN_S, self._scan_s) if is_blind else self._scan_s)
            for tree in list(self._trees.values()):
                is_touched = is_scan or tree.raw or tree.must_scan
                if is_touched and (found := await self._look(tree, is_scan=is_scan)):
                    yield found

    async def _look(self, tree: _Tree, *, is_scan: bool) -> list[FileChange]:
        try:
            found = await asyncio.to_thread(tree.changes)
            return found + (await asyncio.to_thread(tree.scan) if is_scan else [])
        except AegisError as error:
            _log.warning("cannot compare", extra={"aegis_path": str(tree.root), "aegis_error": str(error)})
            return []
