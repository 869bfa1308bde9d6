"""A session in which one goal alone can be given, as in the demo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aegis_tui.cli.demo import ONLY_GOAL
from aegis_tui.tui.parts import GoalOffer
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.goal import GoalScreen
from aegis_tui.tui.widgets.prompt import PromptArea
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]
ONLY = GoalOffer("the one goal", only=ONLY_GOAL)


@to_the_end
async def test_the_one_goal_is_offered_again_until_it_was_started(record: Record) -> None:
    app = record(nothing=True).app(offer=ONLY)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, GoalScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        await pilot.press("d")
        await until(pilot, lambda: "knows one goal only" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, GoalScreen))
        assert app.screen.query_one(PromptArea).text == "the one goal"


@to_the_end
async def test_after_the_one_goal_no_other_can_be_given(record: Record) -> None:
    scene = record(until=125)
    app = scene.app()
    app.desk.offer = ONLY
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        for key in ("n", "d"):
            await pilot.press(key)
            await until(pilot, lambda: "in your repository" in screen_text(app))
            assert isinstance(app.screen, DashboardScreen)
            app.clear_notifications()
            await until(pilot, lambda: "in your repository" not in screen_text(app))
    assert not scene.hub.commands
