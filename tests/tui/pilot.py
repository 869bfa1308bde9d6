"""Driving the whole app by keys, and reading its screen like a person."""

from __future__ import annotations

import asyncio
import functools
import io
import time
from collections.abc import Callable, Coroutine
from typing import Any

from rich.console import Console
from textual.pilot import Pilot

from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.screens.design import DesignScreen

PATIENCE_S = 60.0
"""A guard against waiting for ever, and no claim on how long anything takes."""


def to_the_end(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test in a loop of its own; that it never ends is for the test runner to see."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


async def until(pilot: Pilot[int], is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError("it never became so\n" + screen_text(pilot.app))
        await pilot.pause(0.02)


def screen_text(app: Any) -> str:
    """The screen as a person reads it, line by line."""
    width, height = app.size
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, record=True)
    console.print(app.screen._compositor.render_update(full=True, screen_stack=app._background_screens))
    return console.export_text()


async def ready(pilot: Pilot[int], app: AegisApp) -> None:
    await until(pilot, lambda: app.desk.store.is_current)
    await pilot.pause()


async def open_design(pilot: Pilot[int], app: AegisApp) -> None:
    """Open the page of the proposed design by its key, once the app is up to date."""
    await ready(pilot, app)
    await pilot.press("D")
    await until(pilot, lambda: isinstance(app.screen, DesignScreen))
