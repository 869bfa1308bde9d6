"""Time in which the hub did not run counts for no deadline (PANE-9, LOCK-2)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from aegis_tui.domain.instance.commands import Heartbeat
from aegis_tui.domain.workspace import SESSION_TTL_S, Workspace
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.stall import GRACE_S
from aegis_tui.sdk.clock import SystemClock
from tests.hub.test_engine import W1, W2, acquire, with_engine


class SlowClock(SystemClock):
    """A clock that can be put forward."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


def session_left_s(workspace: Workspace, *, agent_id: str, now: float) -> float:
    return workspace.deadlines.remaining_s("session", agent_id, now)


def test_a_stall_of_the_hub_ends_no_lease_and_silence_does(tmp_path: Path) -> None:
    clock = SlowClock()

    async def use(engine: Engine) -> None:
        lock = (await engine.submit(acquire("a.py", ttl_s=20), W1))["locks"][0]
        clock.ahead_s += 3600
        await asyncio.sleep(1.2)
        assert await engine.read(lambda workspace: workspace.locks.find(lock["lock_id"])) is not None
        remaining_s = await engine.read(
            lambda workspace: workspace.deadlines.remaining_s("lock", lock["lock_id"], clock.now())
        )
        assert 15 < remaining_s - GRACE_S <= 20
        short = (await engine.submit(acquire("b.py", ttl_s=0.2), W1))["locks"][0]
        async for _ in engine.changes():
            if await engine.read(lambda workspace: workspace.locks.find(short["lock_id"])) is None:
                return

    with_engine(tmp_path / "log.db", use, clock=clock)


def test_a_session_that_is_renewed_right_after_a_sleep_of_the_machine_lasts_no_longer_than_others(
    tmp_path: Path,
) -> None:
    clock = SlowClock()

    async def use(engine: Engine) -> None:
        clock.ahead_s += 8 * 3600
        await engine.heartbeat(W1, Heartbeat())  # before the hub's own timer fires
        await asyncio.sleep(1.2)
        now = clock.now()
        for actor in (W1, W2):
            left_s = await engine.read(partial(session_left_s, agent_id=actor.agent_id, now=now))
            assert GRACE_S / 2 < left_s <= SESSION_TTL_S + GRACE_S

    with_engine(tmp_path / "log.db", use, clock=clock)


def test_a_short_stall_extends_by_its_own_length_only(tmp_path: Path) -> None:
    clock = SlowClock()

    async def use(engine: Engine) -> None:
        lock = (await engine.submit(acquire("a.py", ttl_s=20), W1))["locks"][0]
        clock.ahead_s += 5
        await asyncio.sleep(1.2)
        left_s = await engine.read(
            lambda workspace: workspace.deadlines.remaining_s("lock", lock["lock_id"], clock.now())
        )
        assert 15 < left_s <= 20

    with_engine(tmp_path / "log.db", use, clock=clock)
