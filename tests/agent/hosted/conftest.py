"""The wrapper of the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.hosted import delivery, terminal, turn_end
from tests.agent.hosted.cage import Cage, Play, running
from tests.agent.hosted.stage import Perform, Stage, staged


@pytest.fixture
def play(worktree: Path) -> Play:
    """Runs a scenario, a coroutine function of a `Cage`."""

    def run(scenario: Callable[[Cage], Awaitable[None]], **options: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(30), running(worktree, **options) as cage:
                await scenario(cage)

        asyncio.run(bounded())

    return run


@pytest.fixture
def perform(worktree: Path, monkeypatch: pytest.MonkeyPatch) -> Perform:
    """Runs a scenario, a coroutine function of a `Stage`, with a wrapper that waits for its program for short times."""
    monkeypatch.setattr(delivery, "_SETTLED_S", 0.1)
    monkeypatch.setattr(delivery, "_ECHO_S", 0.05)
    monkeypatch.setattr(delivery, "_ARRIVAL_S", 3.0)
    monkeypatch.setattr(delivery, "_READY_S", 5.0)
    monkeypatch.setattr(terminal, "_LOOK_S", 0.1)
    monkeypatch.setattr(turn_end, "_LOOK_S", 0.1)
    monkeypatch.setattr(turn_end, "_SETTLED_S", 0.5)

    def run(scenario: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(60), staged(worktree, **options) as stage:
                await scenario(stage)

        asyncio.run(bounded())

    return run
