"""Streams and commands through a connection that is slow, starved, half open and cut: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from pathlib import Path

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.testing.fault_proxy import FaultProxy

EVENTS = 300
CONNECTIONS = 6
"""At least this many of each, so that faults really fell between the events."""


async def misbehave(proxy: FaultProxy, chance: random.Random) -> None:
    """One fault after the other, for ever."""
    while True:
        fault = chance.choice(("delay", "starve", "silence", "cut", "none"))
        proxy.delay_s = 0.01 if fault == "delay" else 0.0
        proxy.bytes_per_s = 50.0 if fault == "starve" else 0.0
        proxy.silence(fault == "silence")
        await asyncio.sleep(chance.uniform(0.02, 0.15))
        if fault in ("cut", "silence", "starve"):
            proxy.cut()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 52))])
def test_a_stream_over_a_bad_line_has_no_gap_and_no_duplicate(paths: WorkspacePaths, seed: int) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, _),
            FaultProxy(paths.runtime_dir / "p.sock", Path(address.socket)) as proxy,
            EnsembleClient(f"unix:{proxy_path(paths)}", token=address.token) as writer,
        ):
            reader = EnsembleClient(f"unix:{proxy_path(paths)}", token=address.token)
            trouble = asyncio.create_task(misbehave(proxy, random.Random(seed)))

            async def write() -> None:
                number = 0
                while number < EVENTS or proxy.connections < CONNECTIONS:
                    await writer.command("broadcast", event="note:n", data={"n": number, "last": False})
                    number += 1
                await writer.command("broadcast", event="note:n", data={"n": number, "last": True})

            writing = asyncio.create_task(write())
            seqs: list[int] = []
            numbers: list[int] = []
            async with asyncio.timeout(45), aclosing(reader.events(after=0)) as events:
                async for event in events:
                    seqs.append(event.seq)
                    numbers.append(event.data["data"]["n"])
                    if event.data["data"]["last"]:
                        break
                await writing
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
            await reader.close()
            assert seqs == list(range(1, len(seqs) + 1)), "each retry is the same request"
            assert numbers == list(range(len(seqs)))

    asyncio.run(main())


def proxy_path(paths: WorkspacePaths) -> Path:
    return paths.runtime_dir / "p.sock"
