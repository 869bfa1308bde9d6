"""Histories of locks, from real clients in other processes, fit an order that respects real time, per resource."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.testing.history import Operation, find_violation

CLIENTS, OPERATIONS, PATHS = 8, 200, 5
CONTENTION = str(Path(__file__).with_name("contention.py"))


def history_of(journal: Path) -> list[Operation]:
    return [Operation(*json.loads(line)) for line in journal.read_bytes().splitlines()]


async def record(address: HubAddress, journal: Path, seed: int) -> None:
    """Two processes of four agents each."""

    def join(number: int) -> str:
        joined = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id=f"n{number}")
        return str(joined["token_file"])

    files = [await asyncio.to_thread(join, number) for number in range(CLIENTS)]
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, CONTENTION, address.socket, str(journal), f"{seed}{place}", str(OPERATIONS), str(PATHS)),
            *files[place::2],
        )
        for place in range(2)
    ]
    try:
        async with asyncio.timeout(50):
            codes = [await process.wait() for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert codes == [0, 0]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 22))])
def test_a_history_of_eight_clients_is_linearizable_and_a_false_one_is_not(
    paths: WorkspacePaths, tmp_path: Path, seed: int
) -> None:
    journal = tmp_path / "journal"

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await record(address, journal, seed)

    asyncio.run(main())
    history = history_of(journal)
    assert len(history) >= CLIENTS * OPERATIONS
    outcomes = {operation.outcome for operation in history}
    assert {"granted", "held", "released", "stale"} <= outcomes
    assert find_violation(history) is None

    grants = [place for place, operation in enumerate(history) if operation.outcome == "granted"]
    stolen = history[grants[len(grants) // 2]]
    thief = replace(stolen, agent="CLAUDE-thief", token=stolen.token + 1)
    assert find_violation([*history, thief]) == stolen.resource
