from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.clock import SystemClock
from aegis_tui.adapters.store.salvage import LOST_EVENT
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.message import Broadcast
from aegis_tui.errors import HubUnavailable, StoreError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.record import only_hub
from aegis_tui.hub.repair import repair_log
from aegis_tui.sdk.discovery import WorkspacePaths

W1 = Actor("CLAUDE-one", "instance")
LAST = 41


async def write(paths: WorkspacePaths, *, snapshot_events: int = 1_000) -> None:
    """One instance and forty locks."""
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock(), snapshot_events=snapshot_events)
    await engine.open()
    await engine.submit({"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "one"}, THE_PERSON, "join")
    for number in range(LAST - 1):
        await engine.submit({"type": "lock:acquire", "path": f"{number}.py"}, W1, f"take-{number}")
    if engine._snapshot is not None:
        await engine._snapshot
    await engine.close()


def damage(path: Path, seq: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[raw.index(f'"seq":{seq},'.encode()) + 30] ^= 4
    path.write_bytes(raw)


async def look(paths: WorkspacePaths) -> tuple[list[int], list[str], int]:
    """Tokens of the locks, types of all events, and the token of a new lock."""
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
    await engine.open()
    tokens = await engine.read(lambda workspace: [lock.token for lock in workspace.locks.locks()])
    events = await engine.events(0, 10_000)
    reply = await engine.submit({"type": "lock:acquire", "path": "new.py"}, W1, "new")
    await engine.close()
    types = [event.data.event if isinstance(event.data, Broadcast) else event.type for event in events]
    return tokens, types, int(reply["locks"][0]["token"])


def test_what_follows_the_damage_is_lost_and_its_numbers_are_never_given_again(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))
    damage(paths.log_db, 30)
    with pytest.raises(StoreError, match=r"event 30 .*") as caught:
        asyncio.run(look(paths))
    assert "aegis-tui hub repair" in caught.value.hint
    done = repair_log(paths)
    assert done is not None
    assert (done.kept, done.lost, done.forgotten) == (29, (30, LAST), 0)
    assert done.put_aside.read_bytes()
    tokens, types, new = asyncio.run(look(paths))
    assert tokens == list(range(2, 30))
    assert types == ["agent:joined", *["lock:acquired"] * 28, *[LOST_EVENT] * 12]
    assert new == LAST + 1
    assert repair_log(paths) is None


def test_damage_before_a_snapshot_costs_history_and_no_state(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths, snapshot_events=20))
    damage(paths.log_db, 5)
    done = repair_log(paths)
    assert done is not None
    assert (done.kept, done.lost, done.forgotten) == (LAST - 5, None, 5)
    tokens, types, new = asyncio.run(look(paths))
    assert tokens == list(range(2, LAST + 1))
    assert (len(types), new) == (LAST - 5, LAST + 1)


def test_a_log_that_ends_before_its_mark_is_filled_up(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))

    async def cut() -> None:
        log = SqliteEventLog(paths.log_db)
        await log.open()
        log._db.execute("DELETE FROM event WHERE seq > 10")
        await log.close()

    asyncio.run(cut())
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost) == (10, (11, LAST))
    assert asyncio.run(look(paths))[2] == LAST + 1


def test_a_file_of_rubbish_is_left_as_it_is(paths: WorkspacePaths) -> None:
    paths.create()
    paths.log_db.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StoreError, match=r"nothing of .* can be used"):
        repair_log(paths)
    assert paths.log_db.read_bytes() == b"rubbish" * 1000


def test_nothing_is_repaired_under_a_running_hub_or_without_need(paths: WorkspacePaths) -> None:
    paths.create()
    assert repair_log(paths) is None
    asyncio.run(write(paths))
    assert repair_log(paths) is None
    with only_hub(paths), pytest.raises(HubUnavailable):
        repair_log(paths)
