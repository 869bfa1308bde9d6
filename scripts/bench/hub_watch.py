"""PERF-15: how long from a file saved in one of ten worktrees until another agent's client hears of it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.event import AnyEventData, Event
from aegis_tui.domain.instance.events import AgentJoined, InstancePlanned, InstancePrepared
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.quick import HubAddress
from scripts.bench.hub_place import BenchPlace, bench_place
from scripts.bench.wire import RawStream

WORKTREES = 10
_PAUSE_S = 0.12


def watch_run(saves: int) -> list[float]:
    """Milliseconds from the end of each save to the other client's socket."""
    with bench_place() as place:
        trees = _worktrees(place)
        asyncio.run(_log_instances(place, trees))
        address = place.start(is_watching=True)
        try:
            return asyncio.run(_measure(address, trees, saves))
        finally:
            place.end(address)


def _worktrees(place: BenchPlace) -> list[Path]:
    git = ["git", "-C", str(place.root), "-c", "user.name=b", "-c", "user.email=b@b.invalid"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "m"], check=True, timeout=30)
    trees = [place.root.parent / f"w{number}" for number in range(WORKTREES)]
    for tree in trees:
        subprocess.run([*git, "worktree", "add", "-q", "--detach", str(tree)], check=True, timeout=30)
    return trees


async def _log_instances(place: BenchPlace, trees: list[Path]) -> None:
    """Instances with worktrees, as a run would have them."""
    place.paths.create()
    log = SqliteEventLog(place.paths.log_db)
    await log.open()
    for number, tree in enumerate(trees):
        facts: list[AnyEventData] = [
            InstancePlanned(
                instance_id=f"w{number}",
                role="worker",
                kind="native",
                run=None,
                task="free",
                piece=None,
                base_oid=None,
                branch=None,
                partition=(f"src/{number}/**",),
            ),
            InstancePrepared(worktree=str(tree), token_hash=f"{number:064x}"),
            AgentJoined(agent_type="NATIVE", role="worker", partition=(f"src/{number}/**",), session=f"s{number}"),
        ]
        first, now = log.last_seq + 1, SystemClock().timestamp()
        await log.append([Event(first + at, f"NATIVE-w{number}", now, fact) for at, fact in enumerate(facts)], [])
    await log.close()


async def _measure(address: HubAddress, trees: list[Path], saves: int) -> list[float]:
    heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    stream = await RawStream.open(address.socket, lambda text: heard.put_nowait((time.perf_counter(), text)))
    stream.send({"v": 1, "type": "hello", "token": address.token, "types": ["file:changed"]})
    await heard.get()
    spent = []
    try:
        await _until_watched(trees, heard)
        for number in range(saves):
            name = f"{number}.py"
            await asyncio.to_thread((trees[number % WORKTREES] / name).write_text, "x = 1\n")
            start = time.perf_counter()
            spent.append((await _received_at(heard, name) - start) * 1000)
            await asyncio.sleep(_PAUSE_S)
        return spent
    finally:
        stream.close()


async def _until_watched(trees: list[Path], heard: asyncio.Queue[tuple[float, bytes]]) -> None:
    """Save in each worktree until it is told: from then on its watch is in place."""
    for tree in trees:
        for turn in range(50):
            name = f"ready-{tree.name}-{turn}"
            await asyncio.to_thread((tree / name).write_text, "x")
            try:
                async with asyncio.timeout(0.5):
                    await _received_at(heard, name)
                break
            except TimeoutError:
                continue
        else:
            raise RuntimeError(f"{tree} is not watched")


async def _received_at(heard: asyncio.Queue[tuple[float, bytes]], name: str) -> float:
    async with asyncio.timeout(20):
        while True:
            at, text = await heard.get()
            if f'"{name}"'.encode() in text:
                return at
