"""A part of the screen that fails: it says so in its place, and the session goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.worker import WorkerFailed

from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import Broadcast
from aegis_tui.tui import mishap
from aegis_tui.tui.feed import EventBatch
from aegis_tui.tui.mishap import Mishaps
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.goal import GoalScreen
from aegis_tui.tui.widgets.panels import LockPanel
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]


def broken(*_args: object, **_fields: object) -> Any:
    raise ValueError("a [sudden] fault")


def taken_off(mishaps: list[Exception]) -> None:
    assert mishaps and all("sudden" in str(error) or "sudden" in repr(error.__dict__) for error in mishaps)
    mishaps.clear()


@to_the_end
async def test_a_panel_that_cannot_be_made_says_so_until_it_can(
    record: Record, monkeypatch: pytest.MonkeyPatch, mishaps: list[Exception]
) -> None:
    scene = record(until=125)
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        with monkeypatch.context() as patch:
            patch.setattr(LockPanel, "update_from_store", broken)
            app.desk.store.changed.publish(frozenset({("lock", "")}))
            await until(pilot, lambda: "ValueError: a [sudden] fault" in screen_text(app))
            assert "w01" in screen_text(app), "the other panels are as they were"
            scene.hub.play(
                EventBatch([Event(126, "person", scene.events[-1].timestamp, Broadcast(event="a:b", data={}))])
            )
            await until(pilot, lambda: app.desk.store.workspace.seq == 126)
        app.desk.store.changed.publish(frozenset({("lock", "")}))
        await until(pilot, lambda: "cannot be shown" not in screen_text(app))
    taken_off(mishaps)


@pytest.mark.parametrize("method", ["_row_line", "_span_style"])
@to_the_end
async def test_a_panel_that_cannot_be_drawn_says_so(
    record: Record, monkeypatch: pytest.MonkeyPatch, mishaps: list[Exception], method: str
) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        monkeypatch.setattr(LockPanel, method, broken)
        app.refresh(repaint=True, layout=True)
        app.dashboard.board.panels["locks"].refresh()
        await until(pilot, lambda: "Locks cannot be shown" in screen_text(app))
        await pilot.press("j")
        assert app.dashboard.instances.cursor_key == "NATIVE-w02"
    taken_off(mishaps)


@pytest.mark.parametrize("handler", ["action_next_layout", "explain", "follow_cursor"])
@to_the_end
async def test_a_handler_that_fails_is_said_and_keys_go_on(
    record: Record, monkeypatch: pytest.MonkeyPatch, mishaps: list[Exception], handler: str
) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        with monkeypatch.context() as patch:
            patch.setattr(DashboardScreen, handler, broken)
            await pilot.press("j", "L", "enter")
            await until(pilot, lambda: "a [sudden] fault" in screen_text(app))
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: "Keys" in screen_text(app))
    taken_off(mishaps)


@to_the_end
async def test_a_dialog_that_cannot_be_made_is_left(
    record: Record, monkeypatch: pytest.MonkeyPatch, mishaps: list[Exception]
) -> None:
    app = record(nothing=True).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        monkeypatch.setattr(GoalScreen, "compose", broken)
        await pilot.press("n")
        await until(pilot, lambda: "GoalScreen" in screen_text(app) and "fault" in screen_text(app))
        assert isinstance(app.screen, DashboardScreen)
    taken_off(mishaps)


@to_the_end
async def test_a_worker_that_fails_ends_nothing_else(
    record: Record, monkeypatch: pytest.MonkeyPatch, mishaps: list[Exception]
) -> None:
    scene = record(until=125)
    monkeypatch.setattr(scene.hub, "command", broken)
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("H")
        await until(pilot, lambda: "a [sudden] fault" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: "workers_finished" in screen_text(app))
    taken_off(mishaps)


def test_a_failure_is_logged_each_time_and_shown_once(
    caplog: pytest.LogCaptureFixture, mishaps: list[Exception]
) -> None:
    row = Mishaps()
    assert row.note(ValueError("a sudden one"), "place")
    assert not row.note(ValueError("a sudden other"), "place")
    assert row.note(KeyError("a sudden key"), "place")
    assert [record.getMessage() for record in caplog.records] == ["a part of the screen failed"] * 3
    assert "ValueError" in caplog.text
    mishaps.clear()


def test_so_many_failures_that_nothing_can_be_drawn_end_the_session(mishaps: list[Exception]) -> None:
    row = Mishaps()
    for _ in range(mishap.MOST_IN_A_ROW):
        assert not row.are_too_many
        row.note(ValueError("sudden"), "place")
    assert row.are_too_many
    mishaps.clear()


@to_the_end
async def test_a_palette_that_is_closed_before_it_has_begun_is_no_failure(
    record: Record, mishaps: list[Exception]
) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        palette = app.screen
        assert isinstance(palette, CommandPalette)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not palette and not palette.children)
        with pytest.raises(WorkerFailed):
            await palette._gather_commands("").wait()
        assert isinstance(app.screen, DashboardScreen)
        assert "has failed" not in screen_text(app)
    assert mishaps == []


@to_the_end
async def test_a_palette_that_finds_nothing_while_the_session_ends_is_no_failure(
    record: Record, mishaps: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        palette = app.screen
        assert isinstance(palette, CommandPalette)
        await palette.remove_children()
        with monkeypatch.context() as patch:
            patch.setattr(app, "_running", False)
            with pytest.raises(WorkerFailed):
                await palette._gather_commands("").wait()
        assert palette in app.screen_stack
    assert mishaps == []
