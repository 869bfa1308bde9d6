"""The inbox: what waits for the person, and what answers it (WISH-8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aegis_tui.domain.answer import answers_to
from aegis_tui.domain.event import Event
from aegis_tui.domain.hosting.screen_prompt import ScreenPrompt
from aegis_tui.domain.instance.events import AgentState, InstanceAsking
from aegis_tui.domain.instance.model import ShownPrompt
from aegis_tui.domain.need import Need
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.events import RunAcknowledged, RunEnding, RunFinished
from aegis_tui.domain.spec.events import SpecCreated, SpecUpdated
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.design import DesignScreen
from aegis_tui.tui.screens.inbox import InboxScreen, answer_lines
from aegis_tui.tui.screens.permission import PermissionScreen
from aegis_tui.tui.screens.report import ReportScreen
from aegis_tui.tui.screens.send import SendScreen
from aegis_tui.tui.text import width_of
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]


@to_the_end
async def test_the_inbox_lists_what_waits_and_opens_what_answers_it(record: Record) -> None:
    scene = record("proposed")
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("i")
        await until(pilot, lambda: "a proposed design waits for your answer" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DesignScreen))
        await pilot.press("escape", "i")
        await until(pilot, lambda: isinstance(app.screen, InboxScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


@to_the_end
async def test_a_question_of_an_agent_is_answered_from_the_inbox_and_goes_to_it_alone(record: Record) -> None:
    scene = record(until=120)
    workspace = Workspace()
    for event in scene.events:
        workspace.evolve(event)
    worker = next(item.agent_id for item in workspace.instances.alive() if item.role == "worker")
    asks = AgentState(state="asking", progress=0.1, source="hub", note="which client?")
    asked = Event(scene.events[-1].seq + 1, worker, scene.events[-1].timestamp, asks)
    scene = type(scene)([*scene.events, asked], scene.panes)
    scene.hub.replies["instance:send"] = {"seq": asked.seq}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("space", "down", "space", "i")
        await until(pilot, lambda: "is asking: which client?" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SendScreen))
        await pilot.press(*"new", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    assert scene.hub.commands == [("instance:send", {"agent_id": worker, "text": "new"})]


@to_the_end
async def test_a_spec_that_cannot_be_started_is_shown_with_its_reason_and_tried_again(record: Record) -> None:
    scene = record()
    at, path = scene.events[-1], ".agents/specs/active/pay.yaml"
    news: list[SpecCreated | SpecUpdated] = [
        SpecCreated(specId="pay", path=path, title="Pay", digest="d"),
        SpecUpdated(specId="pay", path=path, status="approved", waits="no model server answers"),
    ]
    events = [Event(at.seq + number, "hub", at.timestamp, data) for number, data in enumerate(news, 1)]
    scene = type(scene)([*scene.events, *events], scene.panes)
    problem = {"spec": "pay", "reason": "still no model server"}
    scene.hub.replies["spec:rescan"] = {"specs": [], "problems": [problem]}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await until(pilot, lambda: "pay cannot be started: no model server answers" in screen_text(app))
        await pilot.press("i")
        await until(pilot, lambda: "aegis-tui inbox answer pay again" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "still no model server" in screen_text(app))
    assert scene.hub.commands == [("spec:rescan", {"spec_id": "pay"})]


@to_the_end
async def test_a_question_on_a_screen_is_answered_with_one_of_its_choices(record: Record) -> None:
    scene = record(until=120)
    workspace = Workspace()
    for event in scene.events:
        workspace.evolve(event)
    worker = next(item.agent_id for item in workspace.instances.alive() if item.role == "worker")
    screen = ScreenPrompt(words="Run \x1b[31mls?", choices=("Yes", "No"), digest="0" * 16)
    asks = InstanceAsking(asks=ShownPrompt(prompt="w01-p1", screen=screen, source="screen"))
    asked = Event(scene.events[-1].seq + 1, worker, scene.events[-1].timestamp, asks)
    scene = type(scene)([*scene.events, asked], scene.panes)
    scene.hub.replies["instance:answer"] = {"agent_id": worker, "delivery": "delivered"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("i")
        await until(pilot, lambda: "asks on its screen: Run" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PermissionScreen))
        assert "2  No" in screen_text(app) and "\x1b" not in screen_text(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    assert scene.hub.commands == [("instance:answer", {"agent_id": worker, "prompt": "w01-p1", "choice": 2})]


@to_the_end
async def test_an_empty_inbox_says_so_and_what_will_be_there(record: Record) -> None:
    app = record(nothing=True).app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("i")
        await until(pilot, lambda: "nothing is waiting for you" in screen_text(app))


@to_the_end
@pytest.mark.parametrize("keys", [("P",), ("exclamation_mark",), ("i", "enter")])
async def test_qa_that_fails_for_the_last_time_is_answered_by_a_key_and_a_yes(
    record: Record, keys: tuple[str, ...]
) -> None:
    scene = record(until=289)
    finished = scene.events[-1]
    check = compare(1, "make test", CheckResult(status="failed", failures=("t",)), CheckResult(status="passed"))
    data = finished.data.model_copy(update={"checks": (check,), "ok": False})
    scene = type(scene)([*scene.events[:-1], replace(finished, data=data)], scene.panes)
    scene.hub.replies["merge:apply"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        assert "leave out the pieces that break it" in screen_text(app)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await until(pilot, lambda: "Accept a result of run1 without the pieces that fail?" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: "the report will name them" in screen_text(app))
    assert scene.hub.commands == [("merge:apply", {"run": "run1"})]


@to_the_end
async def test_a_failed_run_is_read_from_the_inbox_which_stays_open_and_follows_the_state(record: Record) -> None:
    scene = record()
    last = scene.events[-1]
    assert isinstance(last.data, RunFinished)
    error = {"code": "x", "message": "the disk is full"}
    ending = next(event for event in scene.events if isinstance(event.data, RunEnding))
    bad = {
        ending.seq: replace(ending, data=RunEnding(run="run1", ok=False, error=error)),
        last.seq: replace(last, data=last.data.model_copy(update={"ok": False})),
    }
    scene = type(scene)([bad.get(event.seq, event) for event in scene.events], scene.panes)
    scene.hub.replies["run:acknowledge"] = {"run": "run1"}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("i")
        await until(pilot, lambda: "run1 ended with an incomplete result: the disk is full" in screen_text(app))
        assert "aegis-tui inbox answer run1 seen" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))
        await until(pilot, lambda: scene.hub.commands == [("run:acknowledge", {"run": "run1"})])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, InboxScreen))
        seen = Event(last.seq + 1, "person", last.timestamp, RunAcknowledged(run="run1"))
        app.desk.store.apply([seen])
        await until(pilot, lambda: "nothing is waiting for you" in screen_text(app))


@pytest.mark.parametrize("kind", ["instance", "piece", "rule", "base"])
@pytest.mark.parametrize("width", [40, 66, 150])
def test_all_answers_to_a_need_are_shown_whole_however_long_it_is(kind: str, width: int) -> None:
    short, long = (Need(kind, "wishlist", words) for words in ("is stuck", "a test fails " * 300))
    for need in (short, long):
        lines = ["".join(span.text for span in line) for line in answer_lines(need, width, 14)]
        shown = " ".join(" ".join(lines).split())
        assert all(f"{item.twin(need)}: {item.words}" in shown for item in answers_to(need))
        assert len(lines) <= 14 and max(map(width_of, lines)) <= width
        assert ("…" in shown) == (need is long)


@to_the_end
async def test_a_long_question_leaves_the_list_and_the_answers_on_a_small_screen(record: Record) -> None:
    scene = record(until=125)
    last = scene.events[-1]
    asks = AgentState(state="asking", progress=0.1, source="hub", note="which client? " * 100)
    scene = type(scene)([*scene.events, Event(last.seq + 1, "NATIVE-w01", last.timestamp, asks)], scene.panes)
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("i")
        await until(pilot, lambda: "aegis-tui stop w01: the instance ends" in screen_text(app))
        assert screen_text(app).count("w01 is asking: which client?") == 2
