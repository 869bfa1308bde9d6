"""The whole app over a recorded session, driven by keys."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual.pilot import Pilot
from textual.widgets import Input

from aegis_tui.domain.event import Event
from aegis_tui.domain.instance import AgentState
from aegis_tui.domain.message import MessageAcked, MessageSent
from aegis_tui.errors import Refused
from aegis_tui.tui import app as app_module
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.feed import Batch, Connection, Reset
from aegis_tui.tui.parts import GoalOffer
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.design import DesignScreen
from aegis_tui.tui.screens.goal import GoalScreen
from aegis_tui.tui.screens.grid import GridScreen
from aegis_tui.tui.screens.report import ReportScreen
from aegis_tui.tui.screens.stop import StopScreen
from aegis_tui.tui.screens.why import WhyScreen
from aegis_tui.tui.widgets.prompt import Prompt

Record = Callable[..., Any]
SIZES = [(80, 24), (120, 36), (160, 48)]


def to_the_end(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test in a loop of its own."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), 40))

    return run


async def until(pilot: Pilot[int], is_so: Callable[[], bool]) -> None:
    for _ in range(200):
        await pilot.pause(0.02)
        if is_so():
            return
    raise AssertionError("it never became so\n" + screen_text(pilot.app))


def screen_text(app: Any) -> str:
    """The screen as a person reads it, line by line."""
    width, height = app.size
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, record=True)
    console.print(app.screen._compositor.render_update(full=True, screen_stack=app._background_screens))
    return console.export_text()


async def ready(pilot: Pilot[int], app: AegisApp) -> None:
    await until(pilot, lambda: app.desk.store.was_connected)
    await pilot.pause()


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
        await pilot.pause()
        shown = screen_text(app)
        for words in ("No agents yet.", "give a goal", "every command", "no model server answers", "no goal yet"):
            assert words in shown, words


@to_the_end
async def test_text_from_an_agent_is_shown_and_does_nothing(record: Record) -> None:
    scene = record(until=125)
    app = scene.app()
    note = "[bold red]x[/] [@click=app.quit]go[/] \x1b[2J\x1b]0;evil\x07 \u202eabc"
    state = AgentState.model_validate({"state": "asking", "progress": 0.1, "source": "hub", "note": note})
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        scene.hub.play(Batch([Event(126, "NATIVE-w03", scene.events[-1].timestamp, state)]))
        await until(pilot, lambda: "needs you" in screen_text(app))
        shown = screen_text(app)
        assert "[bold red]x[/] [@click=app.quit]go[/]" in shown
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
        scene.hub.play(Connection(False))
        await until(pilot, lambda: "the hub does not answer, retrying" in screen_text(app))
        await pilot.press("R")
        await until(pilot, lambda: scene.hub.starts == 1)
        scene.hub.play(Connection(True))
        await until(pilot, lambda: "does not answer" not in screen_text(app))


@to_the_end
async def test_a_hub_that_crashed_in_a_run_is_started_again_and_a_stopped_one_is_not(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "REVIVE_S", 0.05)
    scene = record(until=100)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        scene.hub.play(Connection(False))
        await until(pilot, lambda: "does not answer" in screen_text(app))
        await pilot.pause(0.2)
        assert scene.hub.starts == 0
        scene.hub.play(Connection(True))
        scene.hub.crashed = True
        scene.hub.play(Connection(False))
        await until(pilot, lambda: scene.hub.starts == 1)
        await until(pilot, lambda: "started again" in screen_text(app))


@to_the_end
async def test_another_log_starts_the_mirror_anew(record: Record) -> None:
    scene, other = record(), record("proposed")
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        scene.hub.play(Reset())
        scene.hub.play(Batch(other.events))
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
        assert "would be met by" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


@to_the_end
async def test_help_is_made_of_the_bindings_of_the_place(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("question_mark")
        shown = screen_text(app)
        for words in ("Hand the terminal to its pane", "Show only rows with these words.", "Select or unselect"):
            assert words in shown, words


@to_the_end
async def test_the_palette_lists_every_action_with_its_command_line_twin(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("colon", *"report")
        await until(pilot, lambda: "aegis-tui report" in screen_text(app))


@to_the_end
async def test_a_goal_is_typed_and_started_by_keys(record: Record) -> None:
    scene = record(nothing=True)
    scene.hub.replies["run:start"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, GoalScreen))
        await pilot.press("enter")
        assert isinstance(app.screen, GoalScreen), "an empty goal is not started"
        await pilot.press(*"two", "ctrl+j", *"lines", "ctrl+t", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    kind, fields = scene.hub.commands[0]
    assert kind == "run:start" and fields["goal"] == "two\nlines" and fields["design"] is None
    assert fields["options"]["yes"] is True and fields["options"]["workers"] == 8
    assert scene.hub.starts == 1


@to_the_end
async def test_a_goal_that_is_offered_starts_with_one_enter(record: Record, tmp_path: Path) -> None:
    design = tmp_path / "design.yaml"
    design.write_text("goal: g\nfeatures: [{id: a, title: A, brief: B, partition: ['src/**']}]\n")
    scene = record(nothing=True)
    scene.hub.replies["run:start"] = {"run": "run1"}
    app = scene.app(offer=GoalOffer("the offered goal", design, options={"base_url": "http://127.0.0.1:1/v1"}))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, GoalScreen))
        await pilot.press("enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    _, fields = scene.hub.commands[0]
    assert fields["goal"] == "the offered goal" and fields["design"]["features"][0]["id"] == "a"
    assert fields["options"]["base_url"] == "http://127.0.0.1:1/v1"


@to_the_end
async def test_a_single_feature_becomes_a_design_of_its_own(record: Record) -> None:
    scene = record(nothing=True)
    scene.hub.replies["run:start"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("d", *"Fix it", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    feature = scene.hub.commands[0][1]["design"]["features"][0]
    assert (feature["id"], feature["partition"]) == ("fix-it", ["**"])


@to_the_end
async def test_a_refusal_is_shown_with_its_next_step(record: Record) -> None:
    scene = record(until=125)
    scene.hub.replies["run:halt"] = Refused("not now", "try [later]")
    app = scene.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("H")
        await until(pilot, lambda: "try [later]" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: "run1 is still going" in screen_text(app))


@to_the_end
async def test_a_prompt_shows_what_became_of_it(record: Record) -> None:
    scene = record(until=125)
    scene.hub.replies["instance:send"] = {"delivery": "queued", "seq": 126}
    app = scene.app()
    sent = MessageSent(to="NATIVE-w01", text="hello there", kind="prompt")
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("s", *"hello", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
        at = scene.events[-1].timestamp
        scene.hub.play(Batch([Event(126, "person", at, sent)]))
        scene.hub.play(Batch([Event(127, "NATIVE-w01", at, MessageAcked(of=126))]))
        await until(pilot, lambda: "w01: delivered" in screen_text(app))
    assert scene.hub.commands == [("instance:send", {"agent_id": "NATIVE-w01", "text": "hello"})]


@to_the_end
async def test_stopping_shows_the_loss_and_only_a_yes_stops(record: Record) -> None:
    scene = record(until=125)
    scene.hub.replies["instance:stop"] = {"agent_id": "x"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("space", "space", "x")
        await until(pilot, lambda: isinstance(app.screen, StopScreen))
        await until(pilot, lambda: "its task goes to a fresh worker" in screen_text(app))
        assert "w01" in screen_text(app) and "w02" in screen_text(app)
        await pilot.press("n")
        assert scene.hub.commands == []
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, StopScreen))
        await pilot.press("y")
        await until(pilot, lambda: len(scene.hub.commands) == 2)
    assert [fields["agent_id"] for _, fields in scene.hub.commands] == ["NATIVE-w01", "NATIVE-w02"]


@to_the_end
async def test_the_grid_shows_every_living_pane(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, GridScreen) and "w03 search ─ done" in screen_text(app))
        await until(pilot, lambda: "Handing in Add search" in screen_text(app))
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


@to_the_end
async def test_a_proposed_design_is_agreed_to_by_one_key(record: Record) -> None:
    scene = record("proposed")
    scene.hub.replies["design:agree"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        assert "1 needs you" in screen_text(app)
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, DesignScreen))
        shown = screen_text(app)
        for words in ("agree: the agents start", "ask again, with a remark", "Who writes where", "search"):
            assert words in shown, words
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
    assert scene.hub.commands == [("design:agree", {"design_id": "run1-d14"})]


@to_the_end
async def test_a_design_that_is_edited_is_checked_as_it_is_typed(record: Record) -> None:
    scene = record("proposed")
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DesignScreen))
        await pilot.press("2")
        text = app.screen.query_one("#text")
        text.text = text.text.replace("src/shop/receipt.py", "src/shop/search.py")
        await until(pilot, lambda: "overlaps" in screen_text(app))
        assert "design.yaml:14" in screen_text(app)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert scene.hub.commands == []
        await pilot.press("escape")
        await until(pilot, lambda: "agree: the agents start" in screen_text(app))


@to_the_end
async def test_another_design_is_asked_for_with_a_remark(record: Record) -> None:
    scene = record("proposed")
    scene.hub.replies["run:cancel"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DesignScreen))
        await pilot.press("4")
        assert isinstance(app.focused, Prompt)
        await pilot.press(*"less", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    assert scene.hub.commands[0][0] == "run:cancel"


@to_the_end
async def test_the_end_shows_the_report_and_what_to_press_next(record: Record) -> None:
    app = record().app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        assert "one commit" in screen_text(app)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))
        assert "git merge --ff-only aegis/run1/result" in screen_text(app)
        await pilot.press("escape", "q")
    assert app.farewell() == ["take the result in: git merge --ff-only aegis/run1/result"]


@to_the_end
async def test_leaving_says_that_agents_go_on(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("q")
    assert app.return_code == 0
    assert app.farewell() == ["run1 goes on with 3 agents; aegis-tui shows it again, aegis-tui cancel ends it"]


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
