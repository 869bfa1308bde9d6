"""The wrapper of the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.hosted.cage import Cage, Play, running


@pytest.fixture
def play(worktree: Path) -> Play:
    """Runs a scenario, a coroutine function of a `Cage`."""

    def run(scenario: Callable[[Cage], Awaitable[None]], **options: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(30), running(worktree, **options) as cage:
                await scenario(cage)

        asyncio.run(bounded())

    return run
