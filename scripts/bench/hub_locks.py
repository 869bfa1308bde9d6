"""PERF-2: durable locks for 50 agents, by the hub and by what else could keep them; the same clients for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from scripts.bench.hub_place import bench_hub
from scripts.bench.wire import RawAgent

AGENTS = 50
PACE_S = 0.25
"""Each agent takes and returns one lock this often: 50 of them ask 400 times a second."""


class Locker(Protocol):
    """One agent at one keeper of locks."""

    async def acquire(self, name: str) -> object:
        """Take a free lock; what `release` needs."""
        ...

    async def release(self, name: str, grant: object) -> None:
        """Give it back."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


Opened = Callable[[int], Awaitable[Locker]]
"""Opens the connection of agent number so and so."""


class HubLocker:
    """Locks of the hub."""

    def __init__(self, agent: RawAgent) -> None:
        self._agent = agent

    async def acquire(self, name: str) -> object:
        """An exclusive lock of that file."""
        reply = await self._agent.ask({"type": "lock:acquire", "path": name})
        return reply["locks"][0]

    async def release(self, name: str, grant: object) -> None:
        """By its id and token."""
        assert isinstance(grant, dict)
        await self._agent.ask({"type": "lock:release", "lock_id": grant["lock_id"], "token": grant["token"]})

    def close(self) -> None:
        """Drop the connection."""
        self._agent.close()


async def paced(opened: Opened, rounds: int) -> list[float]:
    """Milliseconds of each acquire while 50 agents ask at a steady pace."""
    lockers = [await opened(number) for number in range(AGENTS)]
    spent: list[float] = []

    async def work(number: int) -> None:
        await asyncio.sleep(PACE_S * number / AGENTS)
        next_at = time.perf_counter()
        for turn in range(rounds):
            start = time.perf_counter()
            grant = await lockers[number].acquire(f"src/{number}/{turn}.py")
            spent.append((time.perf_counter() - start) * 1000)
            await lockers[number].release(f"src/{number}/{turn}.py", grant)
            next_at += PACE_S
            await asyncio.sleep(max(0.0, next_at - time.perf_counter()))

    await _all(lockers, work)
    return spent


async def flat_out(opened: Opened, seconds: float) -> float:
    """Commands a second while 50 agents ask again as soon as they are answered."""
    lockers = [await opened(number) for number in range(AGENTS)]
    start = time.perf_counter()
    done = 0

    async def work(number: int) -> None:
        nonlocal done
        turn = 0
        while time.perf_counter() - start < seconds:
            turn += 1
            grant = await lockers[number].acquire(f"out/{number}/{turn}.py")
            await lockers[number].release(f"out/{number}/{turn}.py", grant)
            done += 2

    await _all(lockers, work)
    return done / (time.perf_counter() - start)


async def _all(lockers: list[Locker], work: Callable[[int], Awaitable[None]]) -> None:
    try:
        await asyncio.gather(*(work(number) for number in range(len(lockers))))
    finally:
        for locker in lockers:
            locker.close()


def hub_run(rounds: int, seconds: float) -> tuple[list[float], float]:
    """Milliseconds of paced acquires, and commands a second flat out, of a fresh hub."""
    with bench_hub() as (place, address):
        tokens = place.join(address, AGENTS)

        async def opened(number: int) -> Locker:
            return HubLocker(await RawAgent.open(address.socket, tokens[number]))

        async def main() -> tuple[list[float], float]:
            return await paced(opened, rounds), await flat_out(opened, seconds)

        return asyncio.run(main())
