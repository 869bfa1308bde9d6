"""PERF-12, the hub's part: specs made known, claimed and finished."""

from __future__ import annotations

import asyncio
import time

from scripts.bench.hub_place import bench_hub
from scripts.bench.wire import RawAgent

AGENTS = 10
MOST = 1_900
"""A workspace holds 2,000 specs that are open, and no agent closes one outside of a run."""


def specs_run(seconds: float) -> float:
    """Specs a second, each created by the person, then claimed and reported finished by one of ten agents."""
    with bench_hub() as (place, address):
        tokens = place.join(address, AGENTS)
        return asyncio.run(_measure(address.socket, address.token, tokens, seconds))


async def _measure(socket: str, person_token: str, tokens: list[str], seconds: float) -> float:
    people = [await RawAgent.open(socket, person_token) for _ in tokens]
    agents = [await RawAgent.open(socket, token) for token in tokens]
    start, done = time.perf_counter(), 0

    async def work(number: int) -> None:
        nonlocal done
        turn = 0
        while time.perf_counter() - start < seconds and turn < MOST // len(tokens):
            turn += 1
            spec_id = f"spec-{number}-{turn}"
            spec = {"id": spec_id, "title": "bench"}
            await people[number].ask({"type": "spec:create", "request_id": spec_id, "spec": spec})
            await agents[number].ask({"type": "task:claim", "spec_id": spec_id, "expect_rev": 1})
            finished = {"spec_id": spec_id, "task_id": "all", "status": "completed", "progress": 1.0}
            await agents[number].ask({"type": "task:update", **finished})
            done += 1

    try:
        await asyncio.gather(*(work(number) for number in range(AGENTS)))
        return done / (time.perf_counter() - start)
    finally:
        for client in (*people, *agents):
            client.close()
