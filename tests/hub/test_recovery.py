from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.recovery import recover, recover_from
from aegis_tui.sdk.clock import SystemClock

W1 = Actor("CLAUDE-one", "instance")


async def write_one_lock(path: Path) -> None:
    engine = Engine(SqliteEventLog(path), SystemClock())
    await engine.open()
    await engine.submit({"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "one"}, THE_PERSON, "join")
    await engine.submit({"type": "lock:acquire", "path": "a.py", "ttl_s": 40}, W1, "take")
    await engine.close()


@pytest.mark.parametrize("now", [0.0, 5000.0])
def test_after_a_restart_every_lease_lasts_its_full_time_from_now(tmp_path: Path, now: float) -> None:
    async def main() -> None:
        await write_one_lock(tmp_path / "log.db")
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        workspace = await recover(log, now=now)
        await log.close()
        (lock,) = workspace.locks.locks()
        assert workspace.deadlines.remaining_s("lock", lock.lock_id, now) == 40
        assert workspace.deadlines.remaining_s("session", W1.agent_id, now) > 0

    asyncio.run(main())


SNAPSHOT_EVENTS = 100


async def one_life(path: Path, number: int, *, is_orderly: bool) -> int:
    """A hub that logs 9 events and ends, killed or not; how many events it had to read at its start."""
    log = SqliteEventLog(path)
    engine = Engine(log, SystemClock(), snapshot_events=SNAPSHOT_EVENTS)
    await log.open()
    _, snapshot_seq = await recover_from(log, now=0.0)
    read = log.last_seq - snapshot_seq
    await log.close()
    log = SqliteEventLog(path)
    engine = Engine(log, SystemClock(), snapshot_events=SNAPSHOT_EVENTS)
    await engine.open()
    command = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "one"}
    await engine.submit(command, THE_PERSON, f"join-{number}")
    paths = [f"{number}/{path_number}.py" for path_number in range(9)]
    await asyncio.gather(*(engine.submit({"type": "lock:acquire", "path": path}, W1, path) for path in paths))
    if is_orderly:
        await engine.close()
    else:
        await log.close()
    return read


@pytest.mark.parametrize("is_orderly", [True, False])
def test_lives_that_are_too_short_for_a_snapshot_add_up_to_one(tmp_path: Path, is_orderly: bool) -> None:
    async def main() -> list[int]:
        return [await one_life(tmp_path / "log.db", number, is_orderly=is_orderly) for number in range(14)]

    read = asyncio.run(main())
    assert max(read) < SNAPSHOT_EVENTS
    assert max(read) > 9 or is_orderly


def test_a_hub_that_ends_in_order_leaves_nothing_to_read_again(tmp_path: Path) -> None:
    async def main() -> None:
        await one_life(tmp_path / "log.db", 0, is_orderly=True)
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        workspace, snapshot_seq = await recover_from(log, now=0.0)
        assert workspace.seq == snapshot_seq == log.last_seq == 10
        await log.close()

    asyncio.run(main())
