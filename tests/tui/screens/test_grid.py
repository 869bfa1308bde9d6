"""The grid: the live panes of running instances side by side (PANE-3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.grid import LEAST_HEIGHT, GridScreen
from aegis_tui.tui.widgets.preview import PanePreview
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]


@to_the_end
async def test_the_grid_shows_every_living_pane(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, GridScreen) and "w03 search ─ done" in screen_text(app))
        await until(pilot, lambda: "Submitting Add search" in screen_text(app))
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


@to_the_end
async def test_a_grid_without_panes_says_so_in_a_line(record: Record) -> None:
    app = record(until=3).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: "esc goes back to the dashboard; press n there to enter a goal" in screen_text(app))


@to_the_end
@pytest.mark.parametrize("height", [14, 23, 24, 31])
async def test_instances_whose_panes_do_not_fit_are_named_until_they_fit(record: Record, height: int) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(80, height), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: "of 3 panes not shown for lack of room: " in screen_text(app))
        cells = list(app.screen.query(PanePreview))
        titles = " ".join(str(cell.border_title) for cell in cells)
        hidden = [name for name in ("w01", "w02", "w03") if f"{name} " not in titles]
        assert f" {3 - len(cells)} of 3 panes not shown for lack of room: {', '.join(hidden)}" in screen_text(app)
        assert all(cell.outer_size.height >= LEAST_HEIGHT or len(cells) == 1 for cell in cells)
        await pilot.resize_terminal(160, 48)
        await until(pilot, lambda: len(app.screen.query(PanePreview)) == 3)
        await until(pilot, lambda: "not shown" not in screen_text(app))
