"""Pictures of a screen without a terminal (TUI-8)."""

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
"""How long the present state is waited for."""


class Way(NamedTuple):
    """How a screen is reached."""

    keys: tuple[str, ...] = ()
    """Pressed one after the other on the dashboard, by Textual's names."""
    screen: str = "DashboardScreen"
    """The class that is shown then."""
    panel: str = "instances"
    """The panel of the dashboard that is looked at first."""


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
    "help": Way(("question_mark",), "HelpScreen"),
    "palette": Way(("colon",), "CommandPalette"),
}
"""What can be pictured."""


async def settle(pilot: Pilot[int]) -> None:
    """Return when every message is handled and every short-lived worker is done (style-guide 9)."""
    await pilot.pause()
    busy = [worker for worker in pilot.app.workers if worker.group in ("check", "look") and not worker.is_finished]
    if busy:
        await pilot.app.workers.wait_for_complete(busy)
    await pilot.pause()


async def go_to(app: AegisApp, pilot: Pilot[int], name: str) -> None:
    """Bring a screen up, as a person would by keys.

    Raises:
        UsageError: There is no such screen now; the message says what the dashboard says of it.
    """
    way = SCREENS[name]
    app.dashboard.board.bring(way.panel)
    if way.keys:
        await pilot.press(*way.keys)
    await settle(pilot)
    if type(app.screen).__name__ != way.screen:
        said = [f"{item.title}: {item.message}".strip(": ") for item in app._notifications]
        raise UsageError(f"there is no {name} to picture now", said[-1] if said else "picture the dashboard")


async def take(app: AegisApp, name: str, *, size: tuple[int, int]) -> str:
    """A screen of the app as SVG.

    Args:
        app: Not run yet.
        name: One of `SCREENS`.
        size: Columns and lines.

    Raises:
        HubUnavailable: A hub runs, and its state cannot be read.
        UsageError: There is no such screen now; the message says what the dashboard says of it.
    """
    async with app.run_test(size=size) as pilot:
        await _ready(app, pilot)
        await pilot.pause(SETTLE_S)
        await go_to(app, pilot, name)
        await pilot.pause(SETTLE_S)
        return whole_blanks(app.export_screenshot())


async def _ready(app: AegisApp, pilot: Pilot[int]) -> None:
    """Wait until there is a truth to picture: the hub's present state, or that no hub runs."""
    store = app.desk.store
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            while store.is_catching_up:
                await pilot.pause(0.02)
    if store.is_catching_up:
        raise HubUnavailable(f"the hub's state was not here within {READY_S:g} s", "look at it: aegis-tui hub status")


def whole_blanks(svg: str) -> str:
    """The same picture with blanks that every viewer keeps, and without fonts that it would fetch from elsewhere."""
    local = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"<text ", '<text xml:space="preserve" ', local)
