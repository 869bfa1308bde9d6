"""Ends an agent whose folders exceed the disk limit, before it fills the person's disk (SEC-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aegis_tui.ports.disk import DiskMeter

_MIB = 1024 * 1024
_LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Watched:
    """An agent by its instance id, and the folders that it writes."""

    name: str
    folders: tuple[Path, ...]


@dataclass
class DiskWatch:
    """Watches the folders of every agent that is alive.

    Args:
        meter: Measures the size of folders.
        limit_bytes: The most that the folders of one agent may hold together.
    """

    meter: DiskMeter
    limit_bytes: int
    _tasks: dict[Watched, asyncio.Task[int]] = field(default_factory=dict)

    async def follow(
        self, alive: Callable[[], Awaitable[Sequence[Watched]]], end: Callable[[str, str], Awaitable[None]]
    ) -> None:
        """Watch until cancelled, and end each agent whose folders exceed the limit.

        The agents are listed again at least every 2 s; one that is not listed any more is not watched any more.

        Args:
            alive: Returns the agents that run now.
            end: Ends an agent; takes its instance id and the reason, a sentence with the sizes in MiB.

        Raises:
            Exception: What `alive`, `end` or the meter raises; the watch has then ended.
        """
        try:
            while True:
                await self._look(await alive(), end)
                tasks = self._tasks.values()
                if tasks:
                    await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(_LOOK_S)
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._tasks.clear()

    async def _look(self, alive: Sequence[Watched], end: Callable[[str, str], Awaitable[None]]) -> None:
        for gone in self._tasks.keys() - set(alive):
            self._tasks.pop(gone).cancel()
        for watched in alive:
            if watched not in self._tasks:
                watching = self.meter.wait_until_over(watched.folders, self.limit_bytes)
                self._tasks[watched] = asyncio.ensure_future(watching)
        for watched, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[watched]
                size, limit = task.result() // _MIB, self.limit_bytes // _MIB
                await end(watched.name, f"its worktree holds {size} MiB; {limit} MiB are allowed (limits.disk_mb)")
