"""Pictures of a screen without a terminal (TUI-8)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from textual.pilot import Pilot

from aegis_tui.errors import HubUnavailable
from aegis_tui.tui.app import AegisApp

SETTLE_S = 0.3
READY_S = 20.0
"""How long the present state is waited for."""

SCREENS: Mapping[str, tuple[str, ...]] = {
    "dashboard": (),
    "partitions": ("tab", "tab"),
    "locks": ("tab", "tab", "tab"),
    "conflict": ("tab", "tab", "tab", "tab", "enter"),
    "why": ("enter",),
    "gates": ("w",),
    "grid": ("g",),
    "design": ("D",),
    "goal": ("n",),
    "feature": ("d",),
    "send": ("s",),
    "stop": ("x",),
    "report": ("r",),
    "help": ("question_mark",),
    "palette": ("colon",),
}
"""What can be pictured, and the keys that lead there."""


async def settle(pilot: Pilot[int]) -> None:
    """Return when every message is handled and every short-lived worker is done (style-guide 9)."""
    await pilot.pause()
    busy = [worker for worker in pilot.app.workers if worker.group in ("check", "look") and not worker.is_finished]
    if busy:
        await pilot.app.workers.wait_for_complete(busy)
    await pilot.pause()


async def take(app: AegisApp, *, size: tuple[int, int], keys: Sequence[str] = ()) -> str:
    """The app as SVG, after some keys.

    Args:
        app: Not run yet.
        size: Columns and lines.
        keys: Pressed one after the other, by Textual's names.

    Raises:
        HubUnavailable: A hub runs, and its state cannot be read.
    """
    async with app.run_test(size=size) as pilot:
        await _ready(app, pilot)
        await pilot.pause(SETTLE_S)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
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
