"""A memory that cannot be used costs advice, not the run, and gets later what it missed (MEM-1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aegis_tui.adapters.memory.sqlite import SqliteFailureMemory
from aegis_tui.domain.event import Event
from aegis_tui.domain.workspace import Workspace
from aegis_tui.orchestrator.advice import Advisor
from tests.failing_run import WORKER, failing_run

EVENTS = failing_run("no answer")


async def read_events(after: int) -> AsyncIterator[Event]:
    for event in EVENTS[after:]:
        yield event


def test_without_a_usable_memory_there_is_no_advice_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "memory.db"
    workspace = Workspace()
    for event in EVENTS:
        workspace.evolve(event)
    run, instance = workspace.runs.by_id["run1"], workspace.get_instance(WORKER)
    assert instance is not None

    async def scenario() -> None:
        advisor = Advisor(lambda: SqliteFailureMemory(path), read_events)
        path.write_bytes(b"no database" * 1000)
        with caplog.at_level(logging.WARNING):
            assert await advisor.advise(run, instance) == ()
        assert [record.message.partition(":")[0] for record in caplog.records] == [
            "failures were not stored",
            "the memory of failures gave no advice",
        ]
        path.unlink()
        assert [item.failure for item in await advisor.advise(run, instance)] == ["run1-3"]

    asyncio.run(scenario())
