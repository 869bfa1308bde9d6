from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.clock import SystemClock
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.recovery import recover

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
