"""Locks held for a block of code: shared, renewed, given back once (HUB-6)."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.core import Workspace
from aegis_tui.errors import LockHeld, StaleToken, StoreError, Unavailable
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths


async def names(engine: Engine) -> list[str]:
    def view(workspace: Workspace) -> list[str]:
        return [f"{lock.resource} {lock.mode}" for lock in workspace.locks.locks()]

    return sorted(await engine.read(view))


def test_blocks_of_one_client_share_a_lock_and_the_last_one_gives_it_back(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as one:
            async with one.lock("a.py") as outer:
                async with one.lock("a.py") as inner, one.lock("a.py", lines=(1, 2)) as region:
                    assert outer.lock_id == inner.lock_id == region.lock_id
                assert await names(engine) == ["a.py EXCLUSIVE"]
            assert await names(engine) == []

    asyncio.run(main())


def test_blocks_that_overlap_in_time_share_a_lock(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as one:

            async def work(number: int) -> None:
                for _ in range(10):
                    async with one.lock("a.py", ttl_s=30) as grant:
                        await one.renew_lock(grant.lock_id, grant.token)
                        await asyncio.sleep(0.001 * (number % 3))

            await asyncio.gather(*(work(number) for number in range(5)))
            assert await names(engine) == []

    asyncio.run(main())


def test_a_block_leaves_a_lock_that_was_there_before_it(paths: WorkspacePaths, join: Any) -> None:
    """Two programs of one identity are not kept from each other; the second must not end the first one's lock."""

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            person = EnsembleClient(f"unix:{address.socket}", token=address.token)
            again = EnsembleClient(f"unix:{address.socket}", token=address.token)
            async with person, again:
                async with person.lock("a.py") as first:
                    async with again.lock("a.py") as second:
                        assert first.lock_id == second.lock_id
                    assert await names(engine) == ["a.py EXCLUSIVE"]
                assert await names(engine) == []
                grant = await person.acquire_lock("b.py")
                async with person.lock("b.py"):
                    pass
                await person.release_lock(grant.lock_id, grant.token)

    asyncio.run(main())


def test_a_stronger_block_inside_a_weaker_one_serves_both(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as one:
            async with one.lock("a.py", lock_type="SHARED"):
                assert await names(engine) == ["a.py SHARED"]
                async with one.lock("a.py"):
                    assert await names(engine) == ["a.py EXCLUSIVE"]
                assert await names(engine) == ["a.py EXCLUSIVE"]
            assert await names(engine) == []

    asyncio.run(main())


def test_a_block_takes_a_region_and_a_mode(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, engine),
            await join(address, "one") as one,
            await join(address, "two") as two,
        ):
            async with one.lock("a.py", lines=(1, 9)) as grant, two.lock("a.py", lines=(10, 20), ttl_s=5):
                assert grant.region == "1-9"
                assert await names(engine) == ["a.py:1-9 EXCLUSIVE", "a.py:10-20 EXCLUSIVE"]
                with pytest.raises(LockHeld):
                    async with two.lock("a.py", lines=(9, 9)):
                        pass
            async with one.lock("b.py", lock_type="SHARED"), two.lock("b.py", lock_type="SHARED"):
                assert await names(engine) == ["b.py SHARED", "b.py SHARED"]
            async with one.lock("c.py", symbol="Cart.total") as grant:
                assert grant.path == "c.py"

    asyncio.run(main())


def test_a_lock_with_less_time_than_asked_is_renewed_in_time(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as one:
            await one.acquire_lock("a.py", ttl_s=1.5)
            async with one.lock("a.py", ttl_s=30) as grant:
                async with asyncio.timeout(10), aclosing(one.events(types=["lock:renewed"], after=0)) as events:
                    assert (await anext(events)).data["ttl_s"] == 30
                await one.renew_lock(grant.lock_id, grant.token)

    asyncio.run(main())


@pytest.mark.parametrize("refusal", [StoreError("the disk is full"), Unavailable("too many commands", code="rate")])
def test_a_renewal_that_is_refused_for_now_is_tried_again(
    paths: WorkspacePaths, join: Any, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as one:
            enqueue = engine.enqueue
            refused: list[Any] = []

            def refuse_first(command: Any, *arguments: Any) -> Any:
                answer = enqueue(command, *arguments)
                if command.type == "lock:renew" and len(refused) < 2:
                    refused.append(command)
                    answer = asyncio.get_running_loop().create_future()
                    answer.set_exception(refusal)
                return answer

            async with one.lock("a.py", ttl_s=3):
                monkeypatch.setattr(engine, "enqueue", refuse_first)
                async with asyncio.timeout(20):
                    while len(refused) < 2:
                        await asyncio.to_thread(time.sleep, 0.02)
                    async with aclosing(one.events(types=["lock:renewed"])) as events:
                        await anext(events)

    asyncio.run(main())


def test_a_lock_that_was_broken_is_told_at_the_end_of_the_outermost_block(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as one:
            person = EnsembleClient(f"unix:{address.socket}", token=address.token)
            with pytest.raises(StaleToken):
                async with one.lock("a.py") as grant, one.lock("a.py"):
                    await person.command("lock:break", lock_id=grant.lock_id, reason="needed")
            await person.close()

    asyncio.run(main())
