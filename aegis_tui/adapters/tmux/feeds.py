"""What the terminal tells its followers: dirty panes (latest-wins) and exits (must-deliver)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable

from aegis_tui.ports.terminal import PaneExit

COALESCE_S = 0.1
"""Shortest time between two batches of dirty panes."""


class DirtyFeed:
    """Pane ids that wrote something. A follower holds each id once at most, so it cannot fall behind."""

    def __init__(self) -> None:
        self._followers: dict[asyncio.Event, set[str]] = {}
        self._closed = False

    def mark(self, pane_id: str) -> None:
        """A pane wrote something."""
        for event, batch in self._followers.items():
            batch.add(pane_id)
            event.set()

    def close(self) -> None:
        """Let the followers end."""
        self._closed = True
        for event in self._followers:
            event.set()

    async def follow(self) -> AsyncGenerator[frozenset[str], None]:
        """Batches from now on, until the feed is closed."""
        event, batch = asyncio.Event(), set[str]()
        self._followers[event] = batch
        try:
            while not self._closed:
                await event.wait()
                event.clear()
                if batch:
                    ready = frozenset(batch)
                    batch.clear()
                    yield ready
                    await asyncio.sleep(COALESCE_S)
        finally:
            del self._followers[event]


class ExitFeed:
    """Ends of panes. Kept while nobody follows; every follower gets each one."""

    def __init__(self) -> None:
        self._kept: deque[PaneExit] = deque()
        self._followers: list[asyncio.Queue[PaneExit | None]] = []
        self._closed = False

    def tell(self, exits: Iterable[PaneExit]) -> None:
        """Hand out ends that are seen for the first time."""
        for exit_ in exits:
            for queue in self._followers:
                queue.put_nowait(exit_)
            if not self._followers:
                self._kept.append(exit_)

    def close(self) -> None:
        """Let the followers end, after what they have not had yet."""
        self._closed = True
        for queue in self._followers:
            queue.put_nowait(None)

    async def follow(self) -> AsyncGenerator[PaneExit, None]:
        """What was kept, then every end from now on, until the feed is closed."""
        queue: asyncio.Queue[PaneExit | None] = asyncio.Queue()
        while self._kept:
            queue.put_nowait(self._kept.popleft())
        if self._closed:
            queue.put_nowait(None)
        self._followers.append(queue)
        try:
            while (exit_ := await queue.get()) is not None:
                yield exit_
        finally:
            self._followers.remove(queue)
            if not self._followers:
                self._keep(queue)

    def _keep(self, queue: asyncio.Queue[PaneExit | None]) -> None:
        while not queue.empty():
            if (exit_ := queue.get_nowait()) is not None:
                self._kept.append(exit_)
