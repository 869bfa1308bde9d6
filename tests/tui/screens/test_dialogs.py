"""Questions and pages over the dashboard, driven by keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import MessageAcked, MessageSent
from aegis_tui.domain.need import Need
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.errors import DesignRefused, HubUnavailable, Refused
from aegis_tui.tui.feed import EventBatch
from aegis_tui.tui.parts import GoalOffer
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.design import DesignScreen
from aegis_tui.tui.screens.goal import GoalScreen
from aegis_tui.tui.screens.report import ReportScreen
from aegis_tui.tui.screens.stop import ConfirmScreen, StopScreen
from aegis_tui.tui.widgets.prompt import PromptArea
from tests.tui.pilot import open_design, ready, screen_text, to_the_end, until

Record = Callable[..., Any]


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
async def test_a_refused_goal_stays_with_its_text_and_the_reason_beside_it(record: Record) -> None:
    scene = record(nothing=True)
    scene.hub.replies["run:start"] = Refused("the repository has no [commit]", "git commit")
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("n", *"build it", "enter")
        await until(pilot, lambda: "the repository has no [commit]" in screen_text(app))
        shown = screen_text(app)
        assert isinstance(app.screen, GoalScreen) and "build it" in shown and "git commit" in shown
        scene.hub.replies["run:start"] = {"run": "run1"}
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
    assert [fields["goal"] for _, fields in scene.hub.commands] == ["build it", "build it"]


@pytest.mark.parametrize(("design", "words"), [("~nobody-here/x", "no home folder"), ("pipe", "is not a file")])
@to_the_end
async def test_a_design_that_is_no_file_is_refused_in_the_dialog(
    record: Record, tmp_path: Path, design: str, words: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    scene = record(nothing=True)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("n", *"x", "tab")
        app.screen.query_one("#design", Input).value = design if design[0] == "~" else str(tmp_path / design)
        await pilot.press("enter")
        await until(pilot, lambda: words in screen_text(app))
        assert isinstance(app.screen, GoalScreen) and not app.mishaps.count
    assert not scene.hub.commands


@to_the_end
async def test_a_hub_that_does_not_start_is_said_in_the_dialog(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = record(nothing=True)

    async def fails() -> None:
        raise HubUnavailable("the hub did not start", "read its log")

    monkeypatch.setattr(scene.hub, "start", fails)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("n", *"x", "enter")
        await until(pilot, lambda: "the hub did not start" in screen_text(app))
        assert isinstance(app.screen, GoalScreen)


@to_the_end
async def test_without_tests_the_dialog_asks_for_the_check_and_takes_none_for_an_answer(record: Record) -> None:
    scene = record(nothing=True)
    issues = [{"field": "qa.commands", "message": "missing, and none was detected"}]
    scene.hub.replies["run:start"] = DesignRefused("no QA command is known for this repository", "x", issues=issues)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("d", *"Fix it", "enter")
        await until(pilot, lambda: "type the command that checks the result, or none" in screen_text(app))
        scene.hub.replies["run:start"] = {"run": "run1"}
        await pilot.press(*"None", "enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
    asked = [(fields["options"]["checks"], fields["options"]["unchecked"]) for _, fields in scene.hub.commands]
    assert asked == [([], False), ([], True)]


@to_the_end
async def test_leaving_what_ends_with_the_screen_asks_first(record: Record) -> None:
    scene = record(until=125)
    app = scene.app()
    app.desk.offer = GoalOffer("", ends_with_screen=("The demo ends with its screen.",))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("q")
        await until(pilot, lambda: "The demo ends with its screen." in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        await pilot.press("q")
        await until(pilot, lambda: "The demo ends with its screen." in screen_text(app))
        await pilot.press("y")
    assert app.return_code == 0


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
        await until(pilot, lambda: "run1 has not ended" in screen_text(app))
        assert isinstance(app.screen, GoalScreen)


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
        scene.hub.play(EventBatch([Event(126, "person", at, sent)]))
        scene.hub.play(EventBatch([Event(127, "NATIVE-w01", at, MessageAcked(of=126))]))
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
        await until(pilot, lambda: "a new worker gets its task" in screen_text(app))
        assert "w01" in screen_text(app) and "w02" in screen_text(app)
        await pilot.press("n")
        assert scene.hub.commands == []
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, StopScreen))
        await pilot.press("y")
        await until(pilot, lambda: len(scene.hub.commands) == 2)
    assert [fields["agent_id"] for _, fields in scene.hub.commands] == ["NATIVE-w01", "NATIVE-w02"]


@to_the_end
async def test_a_terminal_that_shrinks_says_so_and_one_that_grows_shows_the_board(record: Record) -> None:
    app = record("proposed").app()
    async with app.run_test(size=(40, 12), notifications=True) as pilot:
        await ready(pilot, app)
        shown = screen_text(app)
        assert "40×12 is too small" in shown and "a proposed design waits for" in shown and "Instances" not in shown
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Instances" in screen_text(app))
        assert "too small" not in screen_text(app)


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
        for words in ("accept: the agents start", "ask for another one, with a remark", "Who writes where", "search"):
            assert words in shown, words
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
    assert scene.hub.commands == [("design:agree", {"design_id": "run1-d14"})]


@to_the_end
async def test_a_design_that_is_edited_is_checked_as_it_is_typed(record: Record) -> None:
    scene = record("proposed")
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await open_design(pilot, app)
        await pilot.press("2")
        text = app.screen.query_one("#text")
        text.text = text.text.replace("src/shop/receipt.py", "src/shop/search.py")
        await until(pilot, lambda: "overlaps" in screen_text(app))
        assert "design.yaml:14" in screen_text(app)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert scene.hub.commands == []
        await pilot.press("escape")
        await until(pilot, lambda: "accept: the agents start" in screen_text(app))


@to_the_end
async def test_a_terminal_that_cannot_be_given_to_an_editor_is_told_and_the_design_stays(record: Record) -> None:
    scene = record("proposed")
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await open_design(pilot, app)
        await pilot.press("3")
        await until(pilot, lambda: "cannot be given to an editor" in screen_text(app))
        assert "accept: the agents start" in screen_text(app)


@to_the_end
async def test_another_design_is_asked_for_with_a_remark(record: Record) -> None:
    scene = record("proposed")
    scene.hub.replies["run:cancel"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await open_design(pilot, app)
        await pilot.press("4")
        assert isinstance(app.focused, PromptArea)
        await pilot.press(*"less", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    assert scene.hub.commands[0][0] == "run:cancel"


def with_a_base_that_waits(record: Record) -> Any:
    """A run whose QA has only a base in its way that cannot be compared."""
    scene = record(until=289)
    finished = scene.events[-1]
    assert isinstance(finished.data, QaFinished)
    check = compare(1, "make test", CheckResult(status="failed"), CheckResult(status="failed"))
    data = finished.data.model_copy(update={"checks": (check,)})
    return type(scene)([*scene.events[:-1], replace(finished, data=data)], scene.panes)


@to_the_end
@pytest.mark.parametrize("key", ["Y", "exclamation_mark"])
async def test_a_base_that_waits_is_accepted_by_a_key_and_a_yes(record: Record, key: str) -> None:
    scene = with_a_base_that_waits(record)
    scene.hub.replies["qa:accept"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        assert "1 needs you" in screen_text(app) and "accept the failures of the base" in screen_text(app)
        await pilot.press(key)
        await until(pilot, lambda: "Accept the failures of the base of run1?" in screen_text(app))
        await pilot.press("n")
        assert scene.hub.commands == []
        await pilot.press(key)
        await until(pilot, lambda: "Accept the failures of the base of run1?" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: "the report will say so" in screen_text(app))
    assert scene.hub.commands == [("qa:accept", {"run": "run1"})]


@to_the_end
async def test_the_outputs_of_the_checks_are_shown_from_the_report(record: Record) -> None:
    scene = record()
    app = scene.app(qa_outputs=lambda run: [f"$ make test of {run}", "\x1b[31m2 tests failed\x1b[0m \u202eok"])
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))
        await pilot.press("o")
        await until(pilot, lambda: "$ make test of run1" in screen_text(app))
        shown = screen_text(app)
        assert "2 tests failed" in shown and "\x1b" not in shown and "\u202e" not in shown
        await pilot.press("escape")
        assert isinstance(app.screen, ReportScreen)


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
    assert app.farewell() == ["to merge the result of run1: git merge --ff-only aegis/run1/result"]


@pytest.mark.parametrize(("key", "sent"), [("y", ["scope:grant"]), ("n", ["scope:refuse"]), ("escape", [])])
@to_the_end
async def test_a_request_for_a_path_is_granted_refused_or_left_open(record: Record, key: str, sent: list[str]) -> None:
    scene = record(until=125)
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        dashboard = app.screen
        assert isinstance(dashboard, DashboardScreen)
        dashboard.answer_scope(Need("scope", "S7", "w01 wants to write src/app.py"))
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press(key)
        await until(pilot, lambda: app.screen is dashboard)
        await until(pilot, lambda: len(scene.hub.commands) >= len(sent))
    assert scene.hub.commands == [(kind, {"request": "S7"}) for kind in sent]
