"""Keeps the memory of failures up to date with the log, and asks it what a new instance should be told (MEM-1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.memory.advise import choose_advice
from aegis_tui.domain.memory.fold import FailureFold, task_words
from aegis_tui.domain.memory.model import Advice, Failure
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import AegisError
from aegis_tui.ports.failure_memory import FailureMemory

T = TypeVar("T")

_log = logging.getLogger(__name__)

_ASKED = 40
"""How many similar failures are looked at for the few lines of advice."""

_ADVISED = frozenset({"foundation", "implement"})
"""The tasks for which an instance gets advice."""

ReadEvents = Callable[[int], AsyncIterator[Event]]
"""Yields the events of the log after that number."""


class Advisor:
    """Advises new instances. A memory that cannot be used is logged, and there is no advice then.

    Args:
        open_memory: Opens the memory, in a thread; it may block and raise `StoreError`.
        read_events: Reads the log.
    """

    def __init__(self, open_memory: Callable[[], FailureMemory], read_events: ReadEvents) -> None:
        self._open_memory, self._read_events = open_memory, read_events
        self._folds: dict[str, tuple[FailureFold, int]] = {}
        self._lock = asyncio.Lock()

    async def catch_up(self, run: Run) -> None:
        """Store the failures of a run that the memory does not have yet, and what resolved them. Raises nothing."""
        async with self._lock:
            try:
                if failures := await self._fresh(run):
                    await asyncio.to_thread(_with, self._open_memory, lambda memory: memory.keep(failures))
            except AegisError as error:
                self._folds.clear()  # the next call reads and stores all of them
                _log.warning("failures were not stored: %s", error.message)

    async def advise(self, run: Run, instance: Instance) -> tuple[Advice, ...]:
        """Return what an instance should be told before its work starts; empty if nothing. Raises nothing."""
        if instance.task not in _ADVISED or instance.piece is None:
            return ()
        await self.catch_up(run)
        piece = instance.piece
        query = "\n".join([piece, task_words(run, piece), *instance.partition])
        try:
            recalled = await asyncio.to_thread(_with, self._open_memory, lambda memory: memory.similar(query, _ASKED))
        except AegisError as error:
            _log.warning("the memory of failures gave no advice: %s", error.message)
            return ()
        return choose_advice(recalled, piece=piece, partition=instance.partition)

    async def _fresh(self, run: Run) -> list[Failure]:
        """Return the failures of the run that are new or changed since the last call whose failures were stored."""
        fold, seq = self._folds.get(run.run, (FailureFold(run.run), run.started_seq - 1))
        before = dict(fold.failures)
        async for event in self._read_events(seq):
            fold.take(event)
            seq = event.seq
        self._folds = {run.run: (fold, seq)}
        return [failure for name, failure in fold.failures.items() if before.get(name) != failure]


def _with(open_memory: Callable[[], FailureMemory], use: Callable[[FailureMemory], T]) -> T:
    memory = open_memory()
    try:
        return use(memory)
    finally:
        memory.close()
