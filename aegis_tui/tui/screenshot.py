"""Takes screenshots of a screen without a terminal (TUI-8)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from textual.pilot import Pilot

from aegis_tui.errors import HubUnavailable, UsageError
from aegis_tui.tui.app import AegisApp

SETTLE_S = 0.3
READY_S = 20.0
"""Seconds to wait for the hub's current state."""


class Way(NamedTuple):
    """How to open one screen: a panel to focus, keys to press, and the class of the screen that is expected then."""

    keys: tuple[str, ...] = ()
    """Textual's names of the keys to press, in this order."""
    screen: str = "DashboardScreen"
    """The class of the screen that is shown then."""
    panel: str = "instances"
    """The panel of the dashboard that gets the focus before the keys are pressed."""


SCREENS: Mapping[str, Way] = {
    "dashboard": Way(),
    "partitions": Way(panel="partitions"),
    "locks": Way(panel="locks"),
    "conflict": Way(("enter",), "WhyScreen", panel="conflicts"),
    "events": Way(panel="events"),
    "why": Way(("enter",), "WhyScreen"),
    "gates": Way(("w",), "WhyScreen"),
    "grid": Way(("v",), "GridScreen"),
    "design": Way(("D",), "DesignScreen"),
    "goal": Way(("n",), "GoalScreen"),
    "feature": Way(("d",), "FeatureScreen"),
    "send": Way(("s",), "SendScreen"),
    "stop": Way(("x",), "StopScreen"),
    "report": Way(("r",), "ReportScreen"),
    "runs": Way(("o",), "RunsScreen"),
    "inbox": Way(("i",), "InboxScreen"),
    "help": Way(("question_mark",), "HelpScreen"),
    "palette": Way(("colon",), "CommandPalette"),
}
"""Name of a screen, for `aegis-tui screenshot` -> how to open it."""


async def settle(pilot: Pilot[int]) -> None:
    """Wait until every message is handled, and every Textual worker of the groups `check` and `look` is done.

    These read what a screen shows. No other worker is waited for, because some run until the end of the session.

    Raises:
        WorkerFailed: One of them failed.
    """
    await pilot.pause()
    busy = [worker for worker in pilot.app.workers if worker.group in ("check", "look") and not worker.is_finished]
    if busy:
        await pilot.app.workers.wait_for_complete(busy)
    await pilot.pause()


async def go_to(app: AegisApp, pilot: Pilot[int], name: str) -> None:
    """Open a screen of an app that shows the dashboard, by pressing keys; return when the screen has its content.

    Args:
        app: The app.
        pilot: Textual's means to press keys in it.
        name: One of `SCREENS`.

    Raises:
        KeyError: There is no such screen.
        UsageError: The screen did not open; the hint is what the dashboard said about it.
        WorkerFailed: A worker that reads what the screen shows failed.
    """
    way = SCREENS[name]
    app.dashboard.board.bring(way.panel)
    if way.keys:
        await pilot.press(*way.keys)
    await settle(pilot)
    if type(app.screen).__name__ != way.screen:
        said = [f"{item.title}: {item.message}".strip(": ") for item in app._notifications]
        raise UsageError(
            f"the screen {name} cannot be opened now",
            said[-1] if said else "take a screenshot of the dashboard instead",
        )


async def take(app: AegisApp, name: str, *, size: tuple[int, int]) -> str:
    """Run the app without a terminal, open a screen, and return it as the text of an SVG file. The app has ended then.

    Args:
        app: An app that has not been run.
        name: One of `SCREENS`.
        size: Columns and lines.

    Raises:
        HubUnavailable: A hub runs, but its state could not be read within `READY_S` (20 s).
        KeyError: There is no such screen.
        UsageError: The screen did not open; the hint is what the dashboard said about it.
        WorkerFailed: A worker that reads what the screen shows failed.
    """
    async with app.run_test(size=size) as pilot:
        await _ready(app, pilot)
        await pilot.pause(SETTLE_S)
        await go_to(app, pilot, name)
        await pilot.pause(SETTLE_S)
        return whole_blanks(app.export_screenshot())


async def _ready(app: AegisApp, pilot: Pilot[int]) -> None:
    """Wait until the dashboard shows the hub's current state, or that no hub is running.

    Raises:
        HubUnavailable: That takes longer than `READY_S` (20 s).
    """
    store = app.desk.store
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            while store.is_catching_up:
                await pilot.pause(0.02)
    if store.is_catching_up:
        raise HubUnavailable(f"the hub's state was not read within {READY_S:g} s", "check it: aegis-tui hub status")


def whole_blanks(svg: str) -> str:
    """Return the SVG with its blanks preserved in every viewer, and without fonts that a viewer would download."""
    local = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"<text ", '<text xml:space="preserve" ', local)
