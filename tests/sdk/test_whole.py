"""A step that a cancelled task does not leave half done."""

from __future__ import annotations

import asyncio

import pytest

from aegis_tui.sdk.whole import whole


@pytest.mark.parametrize("cancels", [0, 1, 3])
def test_a_step_ends_however_often_its_caller_is_cancelled(cancels: int) -> None:
    async def scenario() -> tuple[list[str], bool]:
        done: list[str] = []
        gate = asyncio.Event()

        async def step() -> str:
            await gate.wait()
            done.append("whole")
            return "result"

        task = asyncio.create_task(whole(step()))
        for _ in range(cancels):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        assert not done
        gate.set()
        await asyncio.wait({task})
        return done, task.cancelled()

    assert asyncio.run(scenario()) == (["whole"], cancels > 0)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_step_that_fails_says_so_unless_its_caller_was_cancelled(is_cancelled: bool) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        async def step() -> None:
            await gate.wait()
            raise ValueError("no")

        task = asyncio.create_task(whole(step()))
        await asyncio.sleep(0)
        if is_cancelled:
            task.cancel()
        gate.set()
        await task

    with pytest.raises(asyncio.CancelledError if is_cancelled else ValueError):
        asyncio.run(scenario())


def test_a_step_that_is_cancelled_itself_ends_its_caller() -> None:
    async def step() -> None:
        raise asyncio.CancelledError

    async def scenario() -> None:
        await whole(step())

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
