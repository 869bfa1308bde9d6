"""The streams of the terminal: panes with new output (latest-wins) and ends of panes (must-deliver)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable

from aegis_tui.ports.terminal import PaneExit

COALESCE_S = 0.1
"""The shortest time between two batches of panes with new output."""


class DirtyFeed:
    """Stream of panes with new output. A follower holds each pane id at most once, so it cannot fall behind."""

    def __init__(self) -> None:
        self._followers: dict[asyncio.Event, set[str]] = {}
        self._closed = False

    def mark(self, pane_id: str) -> None:
        """Report to all followers that a pane has new output; without followers nothing happens."""
        for event, batch in self._followers.items():
            batch.add(pane_id)
            event.set()

    def close(self) -> None:
        """End the streams of all followers, now and later.

        A follower that waits gets its last batch first; one that has just got a batch may miss what came after it.
        """
        self._closed = True
        for event in self._followers:
            event.set()

    async def follow(self) -> AsyncGenerator[frozenset[str], None]:
        """Yield batches of ids of panes with new output, at most 10 a second, until the feed is closed; none is empty.

        It begins with the output after the first batch is asked for.
        """
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
    """Stream of ends of panes. They are kept while there is no follower; every follower gets each one."""

    def __init__(self) -> None:
        self._kept: deque[PaneExit] = deque()
        self._followers: list[asyncio.Queue[PaneExit | None]] = []
        self._closed = False

    def tell(self, exits: Iterable[PaneExit]) -> None:
        """Send ends of panes to all followers; without a follower, keep them for the next one.

        Pass each end only once.
        """
        for exit_ in exits:
            for queue in self._followers:
                queue.put_nowait(exit_)
            if not self._followers:
                self._kept.append(exit_)

    def close(self) -> None:
        """End the streams of all followers, now and later, after the ends that they have not received yet."""
        self._closed = True
        for queue in self._followers:
            queue.put_nowait(None)

    async def follow(self) -> AsyncGenerator[PaneExit, None]:
        """Yield the ends that were kept while nobody followed, then every further one, until the feed is closed.

        What the last follower has not taken when it stops is kept for the next.
        """
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
