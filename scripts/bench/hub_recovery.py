"""PERF-3: how long a hub needs to have its state back from a log of 100,000 events."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.snapshots import SNAPSHOT_EVENTS
from aegis_tui.sdk.clock import SystemClock

EVENTS = 100_000
_AT_ONCE = 500
_AGENTS = [Actor(f"CLAUDE-n{number}", "instance") for number in range(4)]
"""As many as may hold the locks that stay: an agent holds 1,000 at most."""


def recovery_runs(count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from opening the log to the whole state: with snapshots as the hub keeps them, and without any."""
    folder = Path(tempfile.mkdtemp(prefix="ab"))
    try:
        with_snapshots = asyncio.run(_runs(folder / "log.db", count, SNAPSHOT_EVENTS))
        without = asyncio.run(_runs(folder / "plain.db", count, 10 * EVENTS))
        return with_snapshots, without
    finally:
        shutil.rmtree(folder)


async def _runs(path: Path, count: int, snapshot_events: int) -> list[float]:
    await _fill(path, snapshot_events)
    return [await _open_ms(path) for _ in range(count)]


async def _fill(path: Path, snapshot_events: int) -> None:
    """Locks taken and given back; one in twenty stays, so that the state has some size."""
    engine = Engine(SqliteEventLog(path), SystemClock(), snapshot_events=snapshot_events)
    await engine.open()
    for number in range(len(_AGENTS)):
        joining = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": f"n{number}"}
        await engine.submit(joining, THE_PERSON, f"join-{number}")
    number = 0
    while engine.last_seq < EVENTS - _AT_ONCE:
        jobs: list[Coroutine[Any, Any, None]] = [_one(engine, number + place) for place in range(_AT_ONCE)]
        await asyncio.gather(*jobs)
        number += _AT_ONCE
    while engine.last_seq < EVENTS:
        await engine.submit({"type": "broadcast", "event": "note:n", "data": {}}, THE_PERSON)
    await engine.close()


async def _one(engine: Engine, number: int) -> None:
    command, agent = {"type": "lock:acquire", "path": f"src/{number % 977}/{number}.py"}, _AGENTS[number // 20 % 4]
    lock = (await engine.submit(command, agent, f"take-{number}"))["locks"][0]
    if number % 20:
        release = {"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}
        await engine.submit(release, agent, f"free-{number}")


async def _open_ms(path: Path) -> float:
    engine = Engine(SqliteEventLog(path), SystemClock())
    start = time.perf_counter()
    await engine.open()
    spent_ms = (time.perf_counter() - start) * 1000
    if engine.last_seq < EVENTS:
        raise RuntimeError("events were lost")
    await engine.close()
    return spent_ms
