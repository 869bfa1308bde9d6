"""The hub under load: PERF-1, -2, -3, -15 and its part of PERF-12, with what else could keep locks in the same run."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path

from scripts.bench.hub_fanout import fanout_run
from scripts.bench.hub_held import held_run
from scripts.bench.hub_locks import Locker, Opened, flat_out, hub_run, paced
from scripts.bench.hub_recovery import recovery_runs
from scripts.bench.hub_rivals import FileLocker, NatsLocker, RedisLocker, nats_server, nats_syncs, redis_server
from scripts.bench.hub_specs import specs_run
from scripts.bench.hub_watch import watch_run
from scripts.bench.record import Figure
from scripts.bench.wire import quantile

RUNS = 5
PACED_ROUNDS, FLAT_OUT_S = 12, 4.0
_WORDS = {
    "fanout_1000_p50": ("one event to the last of 950 of 1,000 receivers, 50 stalled, p50", "ms"),
    "fanout_1000_p99": ("the same, p99", "ms"),
    "fanout_10_p99": ("one event to the last of 10, p99", "ms"),
    "locks_p50": ("lock acquired, on disk, 50 agents at 400 commands/s, p50", "ms"),
    "locks_p99": ("the same, p99", "ms"),
    "locks_rate": ("50 agents flat out", "commands/s"),
    "redis_p50": ("Redis, fsync always, at the same pace, p50", "ms"),
    "redis_p99": ("the same, p99", "ms"),
    "redis_rate": ("Redis, fsync always, 50 agents flat out", "commands/s"),
    "redis_ratio": ("the hub's commands/s over those of Redis, same run", "×"),
    "nats_p50": ("NATS KV, at the same pace, p50", "ms"),
    "nats_p99": ("the same, p99", "ms"),
    "nats_rate": ("NATS KV, 50 agents flat out", "commands/s"),
    "nats_ratio": ("the hub's commands/s over those of NATS KV that syncs each write, same run", "×"),
    "files_p50": ("reservation files, synced, at the same pace, p50", "ms"),
    "files_p99": ("the same, p99", "ms"),
    "files_rate": ("reservation files, synced, 50 agents flat out", "commands/s"),
    "held_sdk_p50": ("a held lock refused through the SDK, p50 of 300", "ms"),
    "held_cli_p50": ("a held lock refused by `aegis-tui lock acquire`, p50 of 10", "ms"),
    "held_cli_max": ("the same, slowest", "ms"),
    "recovery": ("state back from 100,000 events, with snapshots", "ms"),
    "recovery_plain": ("state back from 100,000 events, every snapshot lost", "ms"),
    "specs": ("specs created, claimed and finished, 10 agents", "specs/s"),
    "saved_p99": ("file saved in one of 10 worktrees, another client told, p99 of 40", "ms"),
}
_AGAINST = {"redis_rate", "nats_rate", "files_rate"}


def run_hub() -> list[Figure]:
    """Five runs of everything, the programs in turn; what is not installed is left out and said so."""
    samples: dict[str, list[float]] = {}
    for number in range(RUNS):
        _note(samples, _fanout())
        _note(samples, _locks())
        _note(samples, {"specs": specs_run(4.0), "saved_p99": quantile(watch_run(40), 0.99)})
        _note(samples, _held())
        sys.stdout.write(f"run {number + 1} of {RUNS}\n")
        sys.stdout.flush()
    samples["recovery"], samples["recovery_plain"] = recovery_runs(RUNS)
    return [_figure(name, tuple(samples[name])) for name in _WORDS if name in samples]


def _figure(name: str, samples: tuple[float, ...]) -> Figure:
    what, unit = _WORDS[name]
    if name.startswith("nats") and not nats_syncs():
        what += " (this version cannot sync each write: not durable)"
    against = "locks_rate" if name in _AGAINST else None
    return Figure(name, what, unit, tuple(round(sample, 3) for sample in samples), against)


def _note(samples: dict[str, list[float]], figures: dict[str, float]) -> None:
    for name, value in figures.items():
        samples.setdefault(name, []).append(value)


def _fanout() -> dict[str, float]:
    many = fanout_run(1_000, stalled_share=0.05, events=100)
    few = fanout_run(10, stalled_share=0.0, events=200)
    return {
        "fanout_1000_p50": quantile(many, 0.5),
        "fanout_1000_p99": quantile(many, 0.99),
        "fanout_10_p99": quantile(few, 0.99),
    }


def _held() -> dict[str, float]:
    by_sdk, by_command = held_run(300, 10)
    return {
        "held_sdk_p50": quantile(by_sdk, 0.5),
        "held_cli_p50": quantile(by_command, 0.5),
        "held_cli_max": max(by_command),
    }


def _locks() -> dict[str, float]:
    figures = _three("locks", hub_run(PACED_ROUNDS, FLAT_OUT_S))
    if shutil.which("redis-server"):
        with redis_server() as port:

            def redis(_: int) -> Awaitable[Locker]:
                return RedisLocker.open(port)

            figures |= _three("redis", _rival(redis))
            figures["redis_ratio"] = figures["locks_rate"] / figures["redis_rate"]
    if shutil.which("nats-server"):
        with nats_server() as port:

            def nats(number: int) -> Awaitable[Locker]:
                return NatsLocker.open(port, number)

            figures |= _three("nats", _rival(nats))
        if nats_syncs():
            figures["nats_ratio"] = figures["locks_rate"] / figures["nats_rate"]
    with tempfile.TemporaryDirectory() as folder:

        async def files(_: int) -> Locker:
            return FileLocker(Path(folder))

        figures |= _three("files", _rival(files))
    return figures


def _three(name: str, result: tuple[list[float], float]) -> dict[str, float]:
    spent, rate = result
    return {f"{name}_p50": quantile(spent, 0.5), f"{name}_p99": quantile(spent, 0.99), f"{name}_rate": rate}


def _rival(opened: Opened) -> tuple[list[float], float]:
    async def main() -> tuple[list[float], float]:
        return await paced(opened, PACED_ROUNDS), await flat_out(opened, FLAT_OUT_S)

    return asyncio.run(main())
