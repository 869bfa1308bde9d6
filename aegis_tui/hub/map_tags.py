"""Has shadow tags made for the code map while nothing else is to do (MAP-4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.idle import is_idle
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.ports.map_tags import TagReport, TagRounds, TagWish
from aegis_tui.sdk.discovery import WorkspacePaths

FindWish = Callable[[], TagWish | None]
"""Reads the person's present settings; None if no tags are wanted. Raises `UsageError` if they are wrong."""

_log: Final = logging.getLogger(__name__)


class Pauses(NamedTuple):
    """How long the service waits, in seconds."""

    first_s: float = 60.0
    """After the start of the hub, and between rounds as long as something is left."""
    idle_s: float = 900.0
    """After a round that left nothing, could not ask, or was not wanted."""
    look_s: float = 2.0
    """How often it looks, during a round, whether the hub is still idle."""


class MapTagService:
    """Makes tags in rounds while the hub is idle, and ends a round at once when it no longer is.

    Args:
        root: The person's checkout.
        rounds: Makes tags.
        find_wish: Returns what the person's settings allow; called in a thread, as it reads files.
        pauses: How long to wait.
    """

    def __init__(self, root: Path, rounds: TagRounds, find_wish: FindWish, pauses: Pauses = Pauses()) -> None:
        self._root, self._rounds, self._find_wish, self._pauses = root, rounds, find_wish, pauses
        self._task: asyncio.Task[None] | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Begin to make tags, after a pause."""
        self._task = asyncio.create_task(self._run(engine, paths))

    async def stop(self) -> None:
        """End the round, and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        """Return None: the service adds nothing to commands."""

    async def _run(self, engine: Engine, paths: WorkspacePaths) -> None:
        pause_s = self._pauses.first_s
        while True:
            await asyncio.sleep(pause_s)
            report = None
            try:
                wish = await asyncio.to_thread(self._find_wish)
                if wish is not None and await engine.read(is_idle):
                    report = await self._round(engine, paths, wish)
            except AegisError as error:
                _log.warning("no definitions are described by a model: %s", error.message)
            has_more = report is not None and report.made > 0 and not report.is_done and not report.problem
            pause_s = self._pauses.first_s if has_more else self._pauses.idle_s

    async def _round(self, engine: Engine, paths: WorkspacePaths, wish: TagWish) -> TagReport | None:
        """Make tags until the round ends, or until the hub has something to do; None then."""
        making = asyncio.create_task(self._rounds.make(wish, self._root, paths))
        try:
            while not making.done():
                await asyncio.wait([making], timeout=self._pauses.look_s)
                if not making.done() and not await engine.read(is_idle):
                    return None
            report = making.result()
        finally:
            making.cancel()
            # Unlike suppressing CancelledError, this does not lose a cancellation by `stop` that comes meanwhile.
            await asyncio.gather(making, return_exceptions=True)
        if report.problem:
            _log.warning("no more definitions are described by a model for now: %s", report.problem)
        return report
