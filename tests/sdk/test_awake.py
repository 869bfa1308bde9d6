"""A wait does not end because the machine slept (PANE-9)."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from aegis_tui.sdk.awake import awake_wait


class SleepyLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps, as that of a stopped process does."""

    ahead_s = 0.0

    @override
    def time(self) -> float:
        return super().time() + self.ahead_s


def test_a_jump_of_the_clock_ends_no_wait() -> None:
    loop = SleepyLoop()

    async def main() -> str:
        event = asyncio.Event()

        async def work() -> str:
            await event.wait()
            return "done"

        waiting = asyncio.create_task(awake_wait(work(), 30.0))
        for _ in range(5):
            await asyncio.sleep(0)
            loop.ahead_s += 3600
            await asyncio.sleep(0.01)
        assert not waiting.done()
        event.set()
        return await waiting

    try:
        assert loop.run_until_complete(main()) == "done"
    finally:
        loop.close()


def test_the_end_of_the_time_the_error_and_the_cancellation_end_the_work() -> None:
    async def main() -> None:
        ended: list[str] = []

        async def work(name: str) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(name)

        async def fail() -> None:
            raise ValueError("no")

        with pytest.raises(TimeoutError):
            await awake_wait(work("late"), 0.05)
        with pytest.raises(ValueError, match="no"):
            await awake_wait(fail(), 5)
        waiting = asyncio.create_task(awake_wait(work("cancelled"), 60))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled() and ended == ["late", "cancelled"]

    asyncio.run(main())
