"""The pure core alone, at 10,000 instances and 100,000 locks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil

from aegis_tui.domain.command import parse_command
from aegis_tui.domain.core import execute
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.lock.commands import LockAcquire, LockRelease
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import LockHeld
from scripts.bench.record import Figure
from scripts.bench.wire import quantile

INSTANCES, LOCKS = 10_000, 100_000
ROUNDS, OPERATIONS = 5, 2_000


class _Core:
    def __init__(self) -> None:
        self.workspace = Workspace()
        self._asked = 0

    def do(self, command: Any, actor: Actor) -> AnyReply:
        self._asked += 1
        outcome = execute(
            self.workspace,
            command,
            actor=actor,
            request_id=f"r{self._asked}",
            now=1.0,
            timestamp="2026-01-01T00:00:00.000Z",
        )
        return outcome.reply


def run_core() -> list[Figure]:
    """Fill a workspace, then time single commands in it."""
    core, process = _Core(), psutil.Process()
    empty = _rss(process)
    for number in range(INSTANCES):
        joining = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": f"n{number}"}
        core.do(parse_command(joining), THE_PERSON)
    with_instances = _rss(process)
    for number in range(LOCKS):
        core.do(LockAcquire(path=_path(number)), _agent(number % INSTANCES))
    with_locks = _rss(process)
    gc.freeze()
    samples: dict[str, list[float]] = {"grant": [], "release": [], "refusal": [], "overlap": []}
    middle: dict[str, list[float]] = {name: [] for name in samples}
    for round_number in range(ROUNDS):
        for name, spent in _round(core, round_number).items():
            samples[name].append(round(quantile(spent, 0.99), 4))
            middle[name].append(round(quantile(spent, 0.5), 4))
    words = {
        "grant": "grant of a free lock, p99",
        "release": "release, p99",
        "refusal": "check of a lock that is held, p99",
        "overlap": "overlap check of two globs that were never compared, p99",
    }
    figures = [Figure(f"{name}_p99", words[name], "ms", tuple(spent)) for name, spent in samples.items()]
    figures += [
        Figure(f"{name}_p50", words[name].replace("p99", "p50"), "ms", tuple(spent)) for name, spent in middle.items()
    ]
    per_instance, per_lock = (with_instances - empty) / INSTANCES, (with_locks - with_instances) / LOCKS
    return [
        *figures,
        Figure("instance_bytes", "memory for an instance", "B", (round(per_instance),)),
        Figure("lock_bytes", "memory for a lock", "B", (round(per_lock),)),
    ]


def _round(core: _Core, round_number: int) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = {"grant": [], "release": [], "refusal": [], "overlap": []}
    kept: list[list[object]] = []
    for number in range(OPERATIONS):
        kept = [[] for _ in range(number * 31 % 23)]  # so that collections are spread over all kinds of operations
        place = (number * 7919 + round_number) % INSTANCES
        actor, other = _agent(place), _agent((place + 1) % INSTANCES)
        taking = LockAcquire(path=f"new/{round_number}/{number}.py")
        reply = _timed(spent["grant"], partial(core.do, taking, actor))
        lock = reply["locks"][0]
        held = LockAcquire(path=_path(place))
        _timed(spent["refusal"], partial(_refused, core, held, other))
        giving = LockRelease(lock_id=lock["lock_id"], token=lock["token"])
        _timed(spent["release"], partial(core.do, giving, actor))
        a = compile_glob(f"src/m{round_number}/{number}/**/*.{{py,pyi}}")
        b = compile_glob(f"src/*/{number}/a*b?.py")
        _timed(spent["overlap"], partial(overlap, a, b))
    kept.clear()
    return spent


def _timed(spent: list[float], job: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = job()
    spent.append((time.perf_counter() - start) * 1000)
    return result


def _refused(core: _Core, command: LockAcquire, actor: Actor) -> None:
    try:
        core.do(command, actor)
    except LockHeld:
        return
    raise RuntimeError("granted twice")


def _agent(number: int) -> Actor:
    return Actor(f"CLAUDE-n{number}", "instance")


def _path(number: int) -> str:
    return f"src/{number % 997}/{number % 89}/{number}.py"


def _rss(process: psutil.Process) -> int:
    gc.collect()
    return int(process.memory_info().rss)
