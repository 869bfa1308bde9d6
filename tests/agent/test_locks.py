from __future__ import annotations

import asyncio

import pytest

from aegis_tui.agent.locks import HeldLocks
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import HubUnavailable, LockHeld, Refused
from aegis_tui.testing.memory_hub import MemoryHub

ME, OTHER = "NATIVE-w01", "NATIVE-w02"


def joint_hub(*, ttl_s: float = 300.0) -> MemoryHub:
    table = PartitionTable()
    table.set_scope(joint=["*.py"])
    return MemoryHub(table, ttl_s=ttl_s)


async def nothing() -> None:
    return


def test_a_lock_is_renewed_when_a_third_of_its_time_is_used_and_not_before() -> None:
    async def scenario() -> None:
        hub = joint_hub(ttl_s=300.0)
        locks = HeldLocks(hub.link(ME))
        await locks.acquire("a.py", wait_s=0, on_wait=nothing)
        (held,) = locks._held.values()
        held.until -= 99
        assert await locks.renew_due() == []
        assert not hub.of_type("lock:renew")
        held.until -= 2
        assert await locks.renew_due() == []
        assert hub.of_type("lock:renew")[0].fields == {"lock_id": "L1", "token": 1}
        assert await locks.renew_due() == []
        assert len(hub.of_type("lock:renew")) == 1

    asyncio.run(scenario())


def test_a_lock_that_cannot_be_renewed_is_lost_unless_the_hub_is_away() -> None:
    async def scenario() -> None:
        hub = joint_hub(ttl_s=1e-6)
        locks = HeldLocks(hub.link(ME))
        await locks.acquire("a.py", wait_s=0, on_wait=nothing)
        hub.refuse_next("lock:renew", HubUnavailable("away"))
        with pytest.raises(HubUnavailable):
            await locks.renew_due()
        assert locks.find("a.py")
        await hub.lapse("a.py")
        assert await locks.renew_due() == ["a.py"]
        assert locks.find("a.py") is None

    asyncio.run(scenario())


def test_a_lock_held_already_is_not_asked_for_again() -> None:
    async def scenario() -> None:
        hub = joint_hub()
        locks = HeldLocks(hub.link(ME))
        first = await locks.acquire("a.py", wait_s=0, on_wait=nothing)
        assert await locks.acquire("a.py", wait_s=0, on_wait=nothing) == first

    asyncio.run(scenario())


def test_a_wait_that_is_cancelled_leaves_the_queue() -> None:
    async def scenario() -> None:
        hub = joint_hub()
        held = await hub.link(OTHER).acquire_lock("a.py")
        waited = asyncio.Event()

        async def on_wait() -> None:
            waited.set()

        locks = HeldLocks(hub.link(ME))
        waiter = asyncio.create_task(locks.acquire("a.py", wait_s=30, on_wait=on_wait))
        await asyncio.wait_for(waited.wait(), 5)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        await hub.link(OTHER).release_lock(held.lock_id, held.token)
        assert hub.holder_of("a.py") is None
        assert locks.grants() == []

    asyncio.run(scenario())


def test_a_wait_that_ends_without_the_lock_names_the_holder() -> None:
    async def scenario() -> None:
        hub = joint_hub()
        await hub.link(OTHER).acquire_lock("a.py")
        with pytest.raises(LockHeld) as caught:
            await HeldLocks(hub.link(ME)).acquire("a.py", wait_s=0.05, on_wait=nothing)
        assert caught.value.data["held_by"] == OTHER

    asyncio.run(scenario())


def test_releasing_what_is_not_held_is_refused_and_what_has_lapsed_is_not() -> None:
    async def scenario() -> None:
        hub = joint_hub()
        locks = HeldLocks(hub.link(ME))
        with pytest.raises(Refused):
            await locks.release("a.py")
        await locks.acquire("a.py", wait_s=0, on_wait=nothing)
        await hub.lapse("a.py")
        await locks.release("a.py")

    asyncio.run(scenario())
