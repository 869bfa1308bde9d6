"""Watches worktrees for changed files: kernel events for speed, and a periodic scan for what events miss (HUB-10)."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver

from aegis_tui.adapters.watch.observer import start_observer
from aegis_tui.adapters.watch.watched_tree import RETRY_S, WatchedTree
from aegis_tui.errors import AegisError
from aegis_tui.ports.tree_watch import FileChange

COALESCE_S = 0.04
SCAN_S = 30.0
BLIND_SCAN_S = 2.0
"""How often to scan, in seconds, while the system grants no more watches."""

_FILL_S = 0.1
_COMPLETE_S = 0.2
"""How often to look whether an incomplete worktree has become complete, in seconds."""

_FOLDERS = (DirCreatedEvent, DirMovedEvent, DirDeletedEvent)
_WANTED: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileModifiedEvent, FileDeletedEvent, FileMovedEvent),
    *_FOLDERS,
]
"""The kernel events to subscribe to: otherwise it would also report every opening and reading of a file."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
logging.getLogger("watchdog").setLevel(logging.ERROR)  # its warnings print every watched folder
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")  # ... and so do these


class _Handler(FileSystemEventHandler):
    """Only queues events: with a slow handler the kernel's queue would overflow."""

    def __init__(self, tree: WatchedTree, wake: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        self._tree, self._wake, self._loop = tree, wake, loop

    def dispatch(self, event: FileSystemEvent) -> None:
        if isinstance(event, _FOLDERS):
            self._tree.must_scan = True
        elif not event.is_directory:
            self._tree.note(os.fsdecode(event.src_path), os.fsdecode(event.dest_path or ""))
        else:
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)


class TreeWatcher:
    """Reports changes in the worktrees that were added; ignored files and repeated events are left out.

    Delivery: must-deliver; the scan finds changes for which the kernel sent no event.
    """

    def __init__(self, *, coalesce_s: float = COALESCE_S, scan_s: float = SCAN_S) -> None:
        """Set the intervals.

        Args:
            coalesce_s: How long to collect events before the files are examined, in seconds.
            scan_s: How often each tree is compared completely, in seconds.
        """
        self._coalesce_s = coalesce_s
        self._scan_s = scan_s
        self._trees: dict[str, WatchedTree] = {}
        self._unread: deque[WatchedTree] = deque()
        self._wake = asyncio.Event()
        self._observer: BaseObserver | None = None
        self._roots: set[str] = set()

    @property
    def names(self) -> frozenset[str]:
        """The names of the watched worktrees."""
        return frozenset(self._trees)

    async def add(self, name: str, root: Path) -> None:
        """Watch the worktree at `root` under `name`; changes are reported relative to its current state.

        Another worktree of that name is replaced; after an error, neither is watched. If the system grants no watch,
        the worktree is only scanned.

        Raises:
            GitError: `root` is not a worktree.
            GitUnavailable: git is missing or does not answer.
        """
        loop = asyncio.get_running_loop()
        await self.remove(name)
        tree = await asyncio.to_thread(self._begin, name, root, loop)
        tree.scanned_at = loop.time()
        self._trees[name] = tree
        self._unread.append(tree)
        self._wake.set()

    def _begin(self, name: str, root: Path, loop: asyncio.AbstractEventLoop) -> WatchedTree:
        tree = WatchedTree(name, root.resolve())
        try:
            if tree.look_whole():
                self._schedule(tree, loop)
            tree.learn()
        except AegisError:
            self._end(tree)
            raise
        return tree

    def _schedule(self, tree: WatchedTree, loop: asyncio.AbstractEventLoop) -> None:
        handler = _Handler(tree, self._wake, loop)
        self._roots.add(str(tree.root))
        try:
            if self._observer is None:
                self._observer = start_observer(self._roots)
            tree.watch = self._observer.schedule(handler, str(tree.root), recursive=True, event_filter=_WANTED)
        except OSError as error:
            _log.warning(
                "a folder is only scanned at intervals, because it cannot be watched",
                extra={"aegis_path": str(tree.root), "aegis_error": str(error)},
            )

    def _complete(self, tree: WatchedTree, loop: asyncio.AbstractEventLoop) -> bool:
        if tree.look_whole():
            self._schedule(tree, loop)
            tree.learn_added()
        return tree.is_incomplete

    async def remove(self, name: str) -> None:
        """Stop watching a worktree; do nothing if it is not watched."""
        if tree := self._trees.pop(name, None):
            with suppress(ValueError):
                self._unread.remove(tree)
            await asyncio.to_thread(self._end, tree)

    def _end(self, tree: WatchedTree) -> None:
        if self._observer is not None and tree.watch is not None:
            with suppress(KeyError, OSError):
                self._observer.unschedule(tree.watch)
        self._roots.discard(str(tree.root))

    async def close(self) -> None:
        """Stop watching all worktrees and end the observer's threads; `changes` yields nothing then, without an end."""
        observer, self._observer = self._observer, None
        self._trees.clear()
        self._unread.clear()
        if observer is not None:
            await asyncio.to_thread(self._join, observer)

    @staticmethod
    def _join(observer: BaseObserver) -> None:
        observer.stop()
        observer.join(timeout=5.0)

    async def made_by_git(self, name: str, changes: Iterable[FileChange]) -> frozenset[str]:
        """Return the paths of those changes in the worktree `name` that git itself made.

        Empty if git fails, or if no worktree is watched under that name.
        """
        tree = self._trees.get(name)
        if tree is None:
            return frozenset()
        return await self._try(tree, partial(tree.made_by_git, list(changes))) or frozenset()

    async def changes(self) -> AsyncGenerator[list[FileChange], None]:
        """Yield changes as they happen, for ever; each list is not empty and concerns one worktree. Raises nothing.

        What the kernel does not report is found by a scan, every 30 s by default. Call it once. While git fails in a
        worktree, its changes are kept and looked for again.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self._pause(loop)
            for tree in [tree for tree in self._trees.values() if tree.is_incomplete]:
                await self._try(tree, partial(self._complete, tree, loop))
            for tree in [tree for tree in self._trees.values() if tree.is_touched]:
                if changes := await self._look(tree):
                    yield changes
            whole = [tree for tree in self._trees.values() if not tree.is_incomplete]
            due = min(whole, key=self._scan_at, default=None)
            if due is not None and self._scan_at(due) <= loop.time():
                period_s, due.scanned_at = loop.time() - due.scanned_at, loop.time()
                if scanned := await self._try(due, partial(due.scan, period_s)):
                    yield scanned
            elif self._unread:
                await self._fill()

    async def _pause(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the kernel has sent an event, plus a moment for related ones, or until the next scan is due."""
        until = min((self._scan_at(tree) for tree in self._trees.values()), default=loop.time() + self._scan_s)
        if any(tree.is_incomplete for tree in self._trees.values()):
            until = min(until, loop.time() + _COMPLETE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(until, loop.time() + _FILL_S) if self._unread else until):
                await self._wake.wait()
                await asyncio.sleep(self._coalesce_s)
        self._wake.clear()

    def _scan_at(self, tree: WatchedTree) -> float:
        return tree.scanned_at + (self._scan_s if tree.watch is not None else min(BLIND_SCAN_S, self._scan_s))

    async def _fill(self) -> None:
        tree = self._unread.popleft()
        if await self._try(tree, tree.fill):
            self._unread.append(tree)

    async def _look(self, tree: WatchedTree) -> list[FileChange]:
        """Return the changes at the touched paths, and in the whole tree if a folder was added or removed.

        If git fails, they are left out and looked for again later.
        """
        changes = await self._try(tree, tree.changes) or []
        if tree.must_scan:
            changes += await self._try(tree, partial(tree.scan, 0.0)) or []
        return changes

    async def _try(self, tree: WatchedTree, job: Callable[[], T]) -> T | None:
        """Run a job in a thread and return its result; after an `AegisError`, log it and return None.

        The watcher is then woken a little later, to try the tree again.
        """
        try:
            outcome = await asyncio.to_thread(job)
        except AegisError as error:
            _log.warning(
                "the changes of a folder cannot be determined",
                extra={"aegis_path": str(tree.root), "aegis_error": str(error)},
            )
            asyncio.get_running_loop().call_later(tree.retry_s, self._wake.set)
            tree.retry_s = min(2 * tree.retry_s, self._scan_s)
            return None
        tree.retry_s = RETRY_S
        return outcome
