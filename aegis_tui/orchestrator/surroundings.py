"""Tells a new worker what its partition imports, and what imports it, as signatures (MAP-3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run

MOST_S: Final = 2.0
"""How long an instance waits for its text at most, in seconds; it starts without it then."""

_TASKS: Final = frozenset({"foundation", "implement"})
_log = logging.getLogger(__name__)

DescribeSurroundings = Callable[[Mapping[str, Sequence[str]]], Awaitable[dict[str, str]]]
"""Takes globs by the name of the piece, and returns texts; it never raises an `AegisError`."""


class PartitionSurroundings:
    """Asks once for all pieces of a run, and again when its partitions change. Use it in one event loop.

    Args:
        describe: Describes partitions.
    """

    def __init__(self, describe: DescribeSurroundings) -> None:
        self._describe = describe
        self._asked: tuple[str, Mapping[str, Sequence[str]]] = ("", {})
        self._texts: asyncio.Task[dict[str, str]] | None = None

    def begin(self, run: Run) -> None:
        """Begin to ask, if the run has a design, so that the texts are there when its instances are prepared."""
        partitions = _partitions(run)
        if partitions and self._asked != (run.run, partitions):
            self._asked = (run.run, partitions)
            if self._texts is not None:
                self._texts.cancel()
            self._texts = asyncio.create_task(self._ask(partitions))

    async def _ask(self, partitions: Mapping[str, Sequence[str]]) -> dict[str, str]:
        return await self._describe(partitions)

    async def text_for(self, run: Run, instance: Instance) -> str:
        """Return the text for an instance; empty if there is none, or if it is not there in time.

        Args:
            run: Its run.
            instance: Only one that implements a piece or the foundation gets a text.
        """
        if instance.task not in _TASKS or instance.piece is None:
            return ""
        self.begin(run)
        if self._texts is None or self._asked[0] != run.run:
            return ""
        done, _ = await asyncio.wait({self._texts}, timeout=MOST_S)
        if not done or self._texts.cancelled():
            _log.info("an instance starts without its surroundings", extra={"agent_id": instance.agent_id})
            return ""
        if (error := self._texts.exception()) is not None:
            _log.error("describing the surroundings of partitions failed unexpectedly", exc_info=error)
            return ""
        return self._texts.result().get(instance.piece, "")


def _partitions(run: Run) -> dict[str, Sequence[str]]:
    if run.design is None:
        return {}
    partitions: dict[str, Sequence[str]] = {item.id: item.partition for item in run.design.features}
    if run.design.foundation is not None:
        partitions[FOUNDATION] = run.design.foundation.partition
    return partitions
