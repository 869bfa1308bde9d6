"""PERF-5: how soon a hub answers after 100,000 events in short lives, and how soon the dashboard shows the present."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import workspace_key, workspace_paths
from scripts.bench.pty_program import PtyProgram
from scripts.bench.record import Figure

EVENTS = 100_000
LIVES = 50
_AT_ONCE = 200
_AGENT = Actor("CLAUDE-n0", "instance")
_LAST = "z99"


def current_truth(count: int, environ: Mapping[str, str], folder: Path) -> list[Figure]:
    """Start the hub and then the dashboard `count` times over a log of many short lives.

    Args:
        count: How often.
        environ: The environment of the programs.
        folder: Holds the repository, `repo`.
    """
    root = folder / "repo"
    path = workspace_paths(workspace_key(root / ".git"), environ).state_dir / "log.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(_fill(path))
    starts, truths = [], []
    for _ in range(count):
        starts.append(_hub_start(root, environ))
        try:
            truths.append(_dashboard(root, environ))
        finally:
            _aegis(root, environ, "hub", "stop", "--force")
    words = f"after {EVENTS:,} events in {LIVES} lives of the hub"
    return [
        Figure("hub_start", f"`aegis-tui hub start` until the hub answers, {words}", "ms", tuple(starts)),
        Figure("truth", f"`aegis-tui` until it shows the newest of {EVENTS:,} events", "ms", tuple(truths)),
    ]


async def _fill(path: Path) -> None:
    """Locks taken and given back over many short lives; the newest event of all is an agent that joins."""
    for life in range(1, LIVES + 1):
        engine = Engine(SqliteEventLog(path), SystemClock())
        await engine.open()
        if life == 1:
            await _join(engine, "n0")
        while engine.last_seq < EVENTS * life // LIVES - 2 * _AT_ONCE:
            first = engine.last_seq
            jobs: list[Coroutine[Any, Any, None]] = [_one(engine, first + place) for place in range(_AT_ONCE)]
            await asyncio.gather(*jobs)
        while engine.last_seq < EVENTS * life // LIVES - 1:
            await engine.submit({"type": "broadcast", "event": "note:n", "data": {}}, THE_PERSON)
        if life == LIVES:
            await _join(engine, _LAST)
        await engine.close()


async def _join(engine: Engine, name: str) -> None:
    await engine.submit({"type": "agent:register", "agent_type": "CLAUDE", "instance_id": name}, THE_PERSON, name)


async def _one(engine: Engine, number: int) -> None:
    command = {"type": "lock:acquire", "path": f"src/{number % 977}/{number}.py"}
    lock = (await engine.submit(command, _AGENT, f"take-{number}"))["locks"][0]
    release = {"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}
    await engine.submit(release, _AGENT, f"free-{number}")


def _hub_start(root: Path, environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    _aegis(root, environ, "hub", "start")
    return round((time.perf_counter() - began) * 1000, 3)


def _dashboard(root: Path, environ: Mapping[str, str]) -> float:
    """Milliseconds from the start of a new process."""
    script = Path(sys.executable).with_name("aegis-tui")
    began = time.perf_counter()
    with PtyProgram([str(script)], environ=environ, cwd=root) as app:
        return round((app.wait(_LAST, since=0) - began) * 1000, 3)


def _aegis(root: Path, environ: Mapping[str, str], *arguments: str) -> None:
    argv = [str(Path(sys.executable).with_name("aegis-tui")), *arguments]
    done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
