"""How long who wants a held lock waits for the answer: through the SDK, and from the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from aegis_tui.errors import LockHeld
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.quick import HubAddress, HubQuick
from scripts.bench.hub_place import bench_hub

_HELD = 4
_PATH = "src/app.py"


def held_run(tries: int, commands: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each try through the SDK, and of each `aegis-tui lock acquire`."""
    with bench_hub() as (place, address):
        (token,) = place.join(address, 1)
        HubQuick(replace(address, token=token)).command("lock:acquire", path=_PATH)
        return asyncio.run(_through_sdk(address, tries)), [_by_command(place.root) for _ in range(commands)]


async def _through_sdk(address: HubAddress, tries: int) -> list[float]:
    spent: list[float] = []
    async with EnsembleClient(f"unix:{address.socket}", token=address.token) as person:
        for _ in range(tries):
            start = time.perf_counter()
            try:
                await person.acquire_lock(_PATH)
            except LockHeld:
                spent.append((time.perf_counter() - start) * 1000)
    if len(spent) != tries:
        raise RuntimeError("the lock was not held")
    return spent


def _by_command(root: Path) -> float:
    argv = [str(Path(sys.executable).with_name("aegis-tui")), "lock", "acquire", _PATH]
    start = time.perf_counter()
    done = subprocess.run(argv, cwd=root, capture_output=True, timeout=30, check=False)
    spent = (time.perf_counter() - start) * 1000
    if done.returncode != _HELD:
        raise RuntimeError(done.stderr.decode())
    return spent
