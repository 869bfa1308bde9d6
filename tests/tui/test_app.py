"""The whole app over a recorded session, driven by keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from textual.widgets import Input

from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.events import AgentState
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.run.report_model import PastRun, Report
from aegis_tui.errors import StoreError, UsageError
from aegis_tui.tui import app as app_module
from aegis_tui.tui.feed import ConnectionState, EventBatch, Stale
from aegis_tui.tui.recorded import load_events, snapshot_of
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.why import WhyScreen
from tests.tui.conftest import DATA
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]
SIZES = [(80, 24), (120, 36), (160, 48)]


@pytest.mark.parametrize("size", SIZES)
@to_the_end
async def test_the_dashboard_shows_the_run_at_any_size(record: Record, size: tuple[int, int]) -> None:
    app = record(until=125).app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await ready(pilot, app)
        shown = screen_text(app)
        for word in ("scripted", "MONITORING", "FINAL-QA", "workers_finished", "Instances 3/8", "w01", "wishlist"):
            assert word in shown, word
        assert "waits w01:routes.py" in shown
        reachable = app.dashboard.board.reachable()
        assert set(reachable) == {"instances", "preview", "partitions", "locks", "conflicts", "events", "pieces"}
        assert "piec…" not in shown and "pieces" in shown.casefold()
        for panel in app.dashboard.board.shown():
            assert panel.region.right <= size[0] and panel.region.bottom <= size[1]


@to_the_end
async def test_every_panel_is_reached_by_tab_at_80_columns(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        seen = []
        for _ in range(7):
            seen.append(getattr(app.focused, "NAME", ""))
            await pilot.press("tab")
        assert seen == ["instances", "preview", "partitions", "locks", "conflicts", "events", "pieces"]
        assert getattr(app.focused, "NAME", "") == "instances"


@pytest.mark.parametrize("size", SIZES)
@to_the_end
async def test_an_empty_grid_says_so_in_one_line(record: Record, size: tuple[int, int]) -> None:
    app = record().app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("v")
        await until(pilot, lambda: "esc goes back to the dashboard; press n there to enter a goal" in screen_text(app))


@to_the_end
async def test_the_preview_shows_the_pane_under_the_cursor_in_its_colours(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await until(pilot, lambda: "Locking src/shop/routes.py" in screen_text(app))
        await pilot.press("j")
        await until(pilot, lambda: "w02 wishlist ─ live" in screen_text(app))
        assert "for the lock of src/shop/routes.py" in screen_text(app)


@to_the_end
async def test_an_empty_workspace_says_what_to_press_and_that_no_model_answers(record: Record) -> None:
    app = record(nothing=True).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        app.desk.endpoint = "no model server answers at http://localhost:8001/v1 ─ start one: aegis-tui vllm start"
        app.desk.store.changed.publish(frozenset({("meters", "")}))
        await until(pilot, lambda: "no model server answers" in screen_text(app))
        shown = screen_text(app)
        for words in ("No agents yet.", "enter a goal", "every command", "no goal yet"):
            assert words in shown, words


@to_the_end
async def test_text_from_an_agent_is_shown_and_does_nothing(record: Record) -> None:
    scene = record(until=125)
    app = scene.app()
    note = "[bold red]x[/] [@click=app.quit]go[/] \x1b[2J\x1b]0;evil\x07 \u202eabc"
    state = AgentState.model_validate({"state": "asking", "progress": 0.1, "source": "hub", "note": note})
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        scene.hub.play(EventBatch([Event(126, "NATIVE-w03", scene.events[-1].timestamp, state)]))
        await until(pilot, lambda: "needs you" in screen_text(app))
        await until(pilot, lambda: "[bold red]x[/] [@click=app.quit]go[/]" in screen_text(app))
        shown = screen_text(app)
        assert "\x1b" not in shown and "\u202e" not in shown
        await pilot.press("exclamation_mark")
        assert app.dashboard.instances.cursor_key == "NATIVE-w03"


@to_the_end
async def test_a_dead_hub_shows_and_its_return_ends_the_banner(record: Record) -> None:
    scene = record(until=100)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        assert "does not answer" not in screen_text(app)
        scene.hub.play(ConnectionState(False))
        await until(pilot, lambda: "the hub does not answer, retrying ─ R starts it again" in screen_text(app))
        await pilot.press("R")
        await until(pilot, lambda: scene.hub.starts == 1)
        scene.hub.play(ConnectionState(True))
        await until(pilot, lambda: "does not answer" not in screen_text(app))


@to_the_end
async def test_a_hub_of_another_version_is_told_once(record: Record) -> None:
    scene = record(until=100)
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        for seq in (101, 102):
            scene.hub.play(ConnectionState(True, seq, "hub 7 is of version 0: restart it"))
        await until(pilot, lambda: "hub 7 is of version 0: restart it" in screen_text(app))
        await until(pilot, lambda: app.desk.store.is_connected)
        assert screen_text(app).count("of version 0") == 1


@to_the_end
async def test_a_hub_that_crashed_in_a_run_is_started_again_and_a_stopped_one_is_not(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "REVIVE_S", 0.05)
    scene = record(until=100)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        scene.hub.play(ConnectionState(False))
        await until(pilot, lambda: "does not answer" in screen_text(app))
        await pilot.pause(0.2)
        assert scene.hub.starts == 0
        scene.hub.play(ConnectionState(True))
        scene.hub.crashed = True
        scene.hub.play(ConnectionState(False))
        await until(pilot, lambda: scene.hub.starts == 1)
        await until(pilot, lambda: "the hub was restarted" in screen_text(app))


@to_the_end
async def test_another_log_starts_the_mirror_anew(record: Record) -> None:
    scene, other = record(), record("proposed")
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        scene.hub.play(Stale())
        await until(pilot, lambda: "catching up" in screen_text(app))
        scene.hub.play(snapshot_of(other.events))
        await until(pilot, lambda: "receipts" in screen_text(app))
        assert app.desk.store.workspace.seq == other.events[-1].seq
        assert "w01" not in screen_text(app)


@to_the_end
async def test_a_filter_narrows_the_panel_and_escape_takes_it_back(record: Record) -> None:
    app = record().app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        everything = len(app.dashboard.instances.rows)
        await pilot.press("slash", *"wish", "enter")
        rows = app.dashboard.instances.rows
        assert 0 < len(rows) < everything
        assert all("wishlist" in "".join(span.text for span in row.line) for row in rows)
        await pilot.press("escape")
        assert len(app.dashboard.instances.rows) == everything
        assert not app.dashboard.query_one("#filter", Input).has_class("-shown")


@to_the_end
async def test_enter_says_why_and_escape_comes_back(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("j", "enter")
        assert isinstance(app.screen, WhyScreen)
        assert "held by w01" in screen_text(app)
        await pilot.press("escape", "w")
        assert "workers_finished  closed" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


@to_the_end
async def test_enter_twice_attaches_and_g_goes_to_the_top(record: Record) -> None:
    scene = record(until=125)
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("j", "j", "g")
        assert app.dashboard.instances.cursor_key == "NATIVE-w01"
        await pilot.press("enter")
        assert "enter attach" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: scene.panes.attached == [("w01", False)])


@to_the_end
async def test_past_runs_and_a_transcript_are_opened_by_keys(record: Record) -> None:
    scene = record()
    app = scene.app(history=Kept())
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("o")
        await until(pilot, lambda: "make two" in screen_text(app) and "failed" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Report of run7" in screen_text(app))
        await pilot.press("escape", "t")
        await until(pilot, lambda: "it read all of it" in screen_text(app))


class Kept:
    """A history of one run and one instance."""

    def runs(self) -> list[PastRun]:
        fields = dict.fromkeys(("ok", "started_at", "duration_s", "commit", "branch", "error"))
        return [cast(PastRun, {**fields, "run": "run7", "goal": "make two", "state": "failed"})]

    def report(self, run: str) -> Report:
        return {**fold_report(load_events(DATA / "default.jsonl"), "run1"), "run": run}

    def transcript(self, instance: str) -> list[str]:
        return ["it read all of it", f"\x1b[31m{instance}"]


@to_the_end
async def test_help_is_made_of_the_bindings_of_the_place(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("question_mark")
        shown = screen_text(app)
        for words in (
            "Open the instance's pane here",
            "Show only rows that contain certain words.",
            "Select or unselect",
        ):
            assert words in shown, words


@to_the_end
async def test_the_palette_lists_every_action_with_its_command_line_twin(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("colon", *"report")
        await until(pilot, lambda: "aegis-tui report" in screen_text(app))


@to_the_end
async def test_leaving_says_that_agents_go_on(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("q")
    assert app.return_code == 0
    assert app.farewell() == ["run1 continues with 3 agents; aegis-tui shows it again, aegis-tui cancel ends it"]


@to_the_end
async def test_a_state_that_is_still_read_is_neither_painted_nor_said_in_farewell(record: Record) -> None:
    scene = record()
    scene.hub.hold_back()
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "catching up" in screen_text(app))
        shown = screen_text(app)
        for words in ("run1", "DONE ✓", "No agents yet", "no goal yet", "no locks are held", "nothing has happened"):
            assert words not in shown, words
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "catching up with the hub" in screen_text(app))
        assert "nothing needs you" not in screen_text(app)
        await pilot.press("q")
    assert app.farewell() == ["agents continue; aegis-tui shows them again"]


@to_the_end
async def test_the_model_server_is_asked_once_the_state_is_here(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "METERS_S", 3600.0)
    scene = record(nothing=True)
    scene.hub.hold_back()
    app = scene.app()
    asked: list[bool] = []

    async def probe(url: str) -> list[str]:
        asked.append(app.desk.store.is_catching_up)
        return [url]

    app.desk.parts = replace(app.desk.parts, probe=probe)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "catching up" in screen_text(app))
        assert asked == []
        scene.hub.play(ConnectionState(False))
        await until(pilot, lambda: asked == [False])


@to_the_end
async def test_without_a_hub_nothing_is_said_of_a_run(record: Record) -> None:
    scene = record(nothing=True)
    scene.hub.hold_back()
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        scene.hub.play(ConnectionState(False))
        await until(pilot, lambda: "no hub is running for this repository" in screen_text(app))
        shown = screen_text(app)
        assert "No agents yet" not in shown and "no goal yet" not in shown and "press n to enter a goal" in shown
    assert app.farewell() == []


@to_the_end
async def test_attach_asks_the_terminal_and_says_what_to_do_where_it_cannot_be_handed_over(record: Record) -> None:
    scene = record(until=125)
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("j", "A")
        await until(pilot, lambda: scene.panes.attached == [("w02", True)])
        await until(pilot, lambda: "aegis-tui attach w02" in screen_text(app))
        assert isinstance(app.screen, DashboardScreen)
        assert app.dashboard.instances.cursor_key == "NATIVE-w02"


@to_the_end
async def test_themes_and_layouts_change_by_key(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        first = app.theme
        await pilot.press("T")
        assert app.theme != first
        before = app.dashboard.board.layout_file.title
        await pilot.press("L")
        assert app.dashboard.board.layout_file.title != before
        assert "w01" in screen_text(app)


class Damaged(Kept):
    """A history whose log is damaged."""

    def runs(self) -> list[PastRun]:
        raise StoreError("the log is damaged", "aegis-tui hub repair")


def test_a_layout_that_is_wrong_ends_the_start_with_its_name(record: Record, tmp_path: Path) -> None:
    own = tmp_path / "aegis-tui" / "layouts"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text("title = 3\n")
    with pytest.raises(UsageError, match=r"mine\.toml"):
        record(nothing=True).app(layout="mine", environ={"XDG_CONFIG_HOME": str(tmp_path)})


@to_the_end
@pytest.mark.parametrize("key", ["r", "o"])
async def test_a_log_that_cannot_be_read_is_told_and_nothing_else_is_claimed(record: Record, key: str) -> None:
    app = record(nothing=True).app(history=Damaged())
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press(key)
        await until(pilot, lambda: "the log is damaged" in screen_text(app))
        assert "no run" not in screen_text(app).replace("no run is open", "")


@to_the_end
async def test_the_mouse_does_what_the_keys_do(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.click("#panel-instances", offset=(8, 3))
        assert app.dashboard.instances.cursor_key == "NATIVE-w02"
        await pilot.click("#top", offset=(4, 1))
        await until(pilot, lambda: isinstance(app.screen, WhyScreen))
        await pilot.press("escape")
        await pilot.click("#bottom", offset=(app.dashboard.query_one("#bottom").size.width - 10, 1))
        await pilot.press("escape")
        await pilot.click("#panel-locks", offset=(5, 1), times=2)
        await until(pilot, lambda: "held by" in screen_text(app))
