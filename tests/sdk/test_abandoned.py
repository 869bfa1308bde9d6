"""A lock that nobody waits for any more is granted to nobody (HUB-6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.errors import HubUnavailable
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths


async def waits(engine: Engine) -> list[str]:
    return await engine.read(lambda workspace: [wait.agent_id for wait in workspace.locks.waits()])


async def until_queued(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while not await waits(engine):
            await asyncio.to_thread(time.sleep, 0.005)


@asynccontextmanager
async def held(paths: WorkspacePaths, join: Any) -> AsyncIterator[tuple[EnsembleClient, EnsembleClient, Engine]]:
    """A hub where the first client holds a.py and the second is connected."""
    async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as one:
        two = await (await join(address, "two")).connect()
        await one.acquire_lock("a.py")
        yield one, two, engine
        await two.close()


async def cancelled(engine: Engine, two: EnsembleClient) -> None:
    asked = asyncio.create_task(two.acquire_lock("a.py", wait_s=30))
    await until_queued(engine)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def timed_out(engine: Engine, two: EnsembleClient) -> None:
    with pytest.raises(HubUnavailable, match="no answer"):
        await two.command("lock:acquire", path="a.py", wait_s=30, timeout_s=0.3)


async def closed(engine: Engine, two: EnsembleClient) -> None:
    asked = asyncio.create_task(two.acquire_lock("a.py", wait_s=30))
    await until_queued(engine)
    await two.close()
    with pytest.raises(HubUnavailable, match="closed"):
        await asked


@pytest.mark.parametrize("abandon", [cancelled, timed_out, closed])
def test_a_wait_that_is_given_up_leaves_the_queue(paths: WorkspacePaths, join: Any, abandon: Any) -> None:
    async def main() -> None:
        async with held(paths, join) as (_, two, engine):
            await abandon(engine, two)
            assert await waits(engine) == []

    asyncio.run(main())


def test_a_lock_that_is_granted_while_its_asker_goes_away_is_given_back(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with held(paths, join) as (_, two, engine):
            with pytest.raises(HubUnavailable, match="no answer"):
                await two.command("lock:acquire", path="b.py", timeout_s=0)
            held_paths = await engine.read(lambda workspace: [k.resource.path for k in workspace.locks.locks()])
            assert held_paths == ["a.py"]

    asyncio.run(main())


def test_a_grant_that_comes_after_its_withdrawal_is_given_back(paths: WorkspacePaths, join: Any) -> None:
    """The hub fills in a region before it decides, and decides a withdrawal at once."""

    async def main() -> None:
        async with held(paths, join) as (_, two, engine):
            async with asyncio.timeout(20):
                await two.command("lock:acquire", path="b.py", request_id="late")
                two._channel._answer({"ok": True, "request_id": "late", "locks": [{}]})
                while await engine.read(lambda workspace: workspace.locks.locks_of("CLAUDE-two")):
                    await asyncio.to_thread(time.sleep, 0.005)

    asyncio.run(main())


def test_what_was_never_sent_is_not_withdrawn(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            one: EnsembleClient = await join(address, "one")
        with pytest.raises(HubUnavailable, match="no answer"):
            await one.command("lock:acquire", path="a.py", wait_s=30, timeout_s=0.1)
        async with open_hub(paths, port=0) as (_, engine):
            await one.command("context:get")
            assert engine.commands == 1
            await one.close()

    asyncio.run(main())


def test_a_wait_that_is_given_up_while_the_hub_is_away_leaves_the_queue_when_it_is_back(
    paths: WorkspacePaths, join: Any
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            one: EnsembleClient = await join(address, "one")
            two: EnsembleClient = await join(address, "two")
            await one.acquire_lock("a.py")
            asked = asyncio.create_task(two.acquire_lock("a.py", wait_s=30))
            await until_queued(engine)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        async with open_hub(paths, port=0) as (_, engine), asyncio.timeout(10):
            while await waits(engine):
                await asyncio.to_thread(time.sleep, 0.005)
            await one.close()
            await two.close()

    asyncio.run(main())
