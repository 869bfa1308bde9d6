"""A program with its own interface: what becomes of prompts, what a person does there, and how it is ended (PANE-4)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.hosted import delivery, terminal
from tests.agent.conftest import git
from tests.agent.hosted.stage import Stage, staged

Play = Callable[..., None]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_SETTLED_S", 0.1)
    monkeypatch.setattr(delivery, "_ECHO_S", 0.05)
    monkeypatch.setattr(delivery, "_ARRIVAL_S", 3.0)
    monkeypatch.setattr(delivery, "_READY_S", 5.0)
    monkeypatch.setattr(terminal, "_LOOK_S", 0.1)
    monkeypatch.setattr(terminal, "_SETTLED_S", 0.5)


@pytest.fixture
def play(worktree: Path) -> Play:
    """Runs a scenario, a coroutine function of a `Stage`, with further fields of the kind's mode."""

    def run(scenario: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(60), staged(worktree, **options) as stage:
                await scenario(stage)

        asyncio.run(bounded())

    return run


def test_a_prompt_is_delivered_when_the_model_has_it_and_the_work_is_submitted(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        first = await stage.work("FILE src/a/new.py: x = 1\nWORK 1")
        await stage.until("calls", 1)
        later = await stage.work("FILE src/a/new.py: x = 2")
        await stage.hub.wait_for("ack", of=first)
        assert later not in stage.answers(), "it waits until the turn is over"
        await stage.ends("done", 2)
        assert stage.answers() == {first: "delivered", later: "delivered"}
        assert len(stage.hub.of_type("diff:submit")) == 2
        assert len(stage.noted("starts")) == 1

    play(scenario)


def test_a_prompt_that_no_call_to_the_model_holds_is_unknown(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        number = await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("failed")
        assert stage.answers() == {number: "unknown"}

    play(scenario, calls_model=False)


def test_a_prompt_on_its_way_when_the_turn_is_cancelled_is_unknown(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        number = await stage.work("WORK 30")
        await stage.until("calls", 1)
        stage.session.interrupt()
        await stage.until("stopped", 1)
        await stage.hub.wait_for("ack", of=number)
        assert stage.answers() == {number: "unknown"}

    play(scenario, calls_model=False)


def test_a_prompt_for_a_program_that_cannot_take_one_is_refused(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        number = await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("failed")
        assert stage.answers() == {number: "refused"}
        (answer,) = stage.hub.of_type("ack")
        assert answer.fields["reason"]

    play(scenario, argv=["sh", "-c", "exit 3"])


def test_a_prompt_waits_while_a_person_has_typed_one_that_is_not_sent(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(b"FILE src/a/new.py: x = 2")
        number = await stage.work("FILE src/a/new.py: x = 3")
        await stage.ends("exploring", 2)
        await asyncio.sleep(1.0)
        assert number not in stage.answers() and len(stage.noted("calls")) == 1
        stage.type(b"\r")
        await stage.until("calls", 3)
        assert stage.noted("calls")[1:] == ["FILE src/a/new.py: x = 2", "FILE src/a/new.py: x = 3"]

    play(scenario)


def test_a_persons_own_prompt_is_a_turn_and_is_submitted_by_their_key(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(b"FILE src/a/new.py: x = 2\r")
        at_work = await stage.ends("exploring", 2)
        assert "typed into it" in at_work.fields["note"]
        idle = await stage.ends("idle", 2)
        assert "Ctrl-]" in idle.fields["note"]
        assert len(stage.hub.of_type("diff:submit")) == 1, "nobody has asked for it so far"
        stage.type(b"\x1d")
        await stage.ends("done", 2)
        submitted = stage.hub.of_type("diff:submit")[1]
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "x = 2"
        assert all("\x1d" not in text for text in stage.noted("calls"))

    play(scenario)


def test_nothing_is_submitted_in_the_middle_of_a_persons_turn(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(b"WORK 2\r")
        await stage.until("calls", 2)
        stage.type(b"\x1d")
        await stage.ends("exploring", 2)
        assert len(stage.noted("ends")) == 1 and len(stage.hub.of_type("diff:submit")) == 1
        await stage.ends("done", 2)
        assert len(stage.noted("ends")) == 2 and len(stage.hub.of_type("diff:submit")) == 2

    play(scenario)


def test_a_prompt_that_comes_during_a_persons_turn_is_typed_after_it(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(b"WORK 2\r")
        await stage.until("calls", 2)
        number = await stage.work("FILE src/a/new.py: x = 3")
        await stage.until("calls", 3)
        assert len(stage.noted("ends")) >= 2, "the person's turn was over"
        await stage.ends("done", 2)
        assert stage.answers()[number] == "delivered" and len(stage.hub.of_type("diff:submit")) == 2

    play(scenario)


def test_the_key_submits_nothing_twice(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nWORK 1")
        await stage.until("calls", 1)
        stage.type(b"\x1d")
        await stage.ends("done")
        stage.type(b"\x1d")
        await asyncio.sleep(1.0)
        assert len(stage.hub.of_type("diff:submit")) == 1 and stage.states[-1] == "done"
        (stage.worktree / "src/a/new.py").write_text("by hand = 1\n", "utf-8")
        stage.type(b"\x1d")
        await stage.until_submitted(2)
        submitted = stage.hub.of_type("diff:submit")[1]
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "by hand = 1"

    play(scenario)


def test_a_program_that_says_it_is_done_in_a_persons_turn_has_its_work_submitted(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(b"FILE src/a/new.py: x = 2\r")
        await stage.until("ends", 2)
        stage.box.ask_submission("fix(a): set x to 2")
        await stage.ends("done", 2)
        assert len(stage.hub.of_type("diff:submit")) == 2
        submitted = stage.hub.of_type("diff:submit")[1]
        assert git(stage.worktree, "log", "-1", "--format=%s", submitted.fields["head_oid"]) == "fix(a): set x to 2"

    play(scenario)


def test_the_end_of_the_program_submits_a_persons_finished_work(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(b"FILE src/a/new.py: x = 2\r")
        await stage.ends("idle", 2)
        stage.type(b"/exit\r")
        await stage.ends("done", 2)
        assert len(stage.hub.of_type("diff:submit")) == 2
        submitted = stage.hub.of_type("diff:submit")[1]
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "x = 2"

    play(scenario)


@pytest.mark.parametrize("keys", [b"/exit\r", b"\x03"], ids=["exit", "ctrl-c"])
def test_a_program_that_a_person_has_quit_submits_nothing_twice_and_is_started_again(play: Play, keys: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        stage.type(keys)
        await asyncio.sleep(1.0)
        assert len(stage.hub.of_type("diff:submit")) == 1 and stage.states[-1] == "done"
        number = await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        assert stage.answers()[number] == "delivered"
        assert [start[0] for start in stage.noted("starts")] == ["--new", "--resume"]

    play(scenario)


def test_keys_without_a_call_to_the_model_are_no_turn(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        reports = len(stage.states)
        stage.type(b"\x1b[A\x1b[B/he")
        await asyncio.sleep(1.0)
        assert len(stage.states) == reports

    play(scenario)


def test_keys_that_end_no_turn_leave_its_work_to_be_submitted(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nWORK 1")
        await stage.until("calls", 1)
        stage.type(b"\x1b[A\x1b[B/he")
        await stage.ends("done")
        assert len(stage.hub.of_type("diff:submit")) == 1

    play(scenario)


def test_a_cancelled_turn_is_ended_in_the_programs_own_interface(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("WORK 30\nFILE src/a/new.py: x = 1")
        await stage.until("calls", 1)
        await stage.hub.wait_for("ack")
        stage.session.interrupt()
        await stage.until("stopped", 1)
        await stage.ends("idle", 2)
        assert not stage.hub.of_type("diff:submit")
        await stage.work("FILE src/a/new.py: x = 3")
        await stage.ends("done")
        assert len(stage.noted("starts")) == 1

    play(scenario)


@pytest.mark.parametrize("by_person", [False, True])
def test_a_program_that_forgets_an_interrupted_prompt_gets_it_again(play: Play, by_person: bool) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("WORK 4\nBriefly.")
        await stage.until("calls", 1)
        await stage.hub.wait_for("ack")
        if by_person:
            stage.type(b"\x1b")
        else:
            stage.session.interrupt()
        await stage.ends("idle", 2)
        for number in (3, 4):
            await stage.work(f"FILE src/a/new.py: x = {number}")
            await stage.ends("done", number - 2)
        first, second, third = stage.noted("calls")
        assert second == f"{first}\n\n---\n\nFILE src/a/new.py: x = 3"
        assert third == "FILE src/a/new.py: x = 4"

    play(scenario, forgets_interrupted=True)


@pytest.mark.parametrize("key", [b"\x1b", b"\x1b\x1b", b"\x03"], ids=["esc", "esc-esc", "ctrl-c-ends-it"])
def test_an_interrupted_turn_is_not_submitted_until_the_next_prompt_has_continued_it(play: Play, key: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: half = 1\nWORK 30")
        await stage.until("calls", 1)
        await stage.hub.wait_for("ack")
        stage.type(key)
        idle = await stage.ends("idle", 2)
        assert "interrupted" in idle.fields["note"]
        assert not stage.hub.of_type("diff:submit")
        await stage.work("FILE src/a/new.py: whole = 1")
        await stage.ends("done")
        (submitted,) = stage.hub.of_type("diff:submit")
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "whole = 1"

    play(scenario)


def test_an_interrupted_turn_is_submitted_by_the_persons_key(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: half = 1\nWORK 30")
        await stage.until("calls", 1)
        await stage.hub.wait_for("ack")
        stage.type(b"\x1b")
        await stage.ends("idle", 2)
        stage.type(b"\x1d")
        await stage.ends("done")
        assert len(stage.hub.of_type("diff:submit")) == 1

    play(scenario)


def test_a_program_that_a_person_interrupts_at_its_usage_limit_does_not_go_on_by_itself(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: half = 1\nWORK 30")
        await stage.until("calls", 1)
        await stage.hub.wait_for("ack")
        stage.type(b"\x1b")
        await stage.ends("idle", 2)
        assert stage.states == ["idle", "exploring", "idle"]

    play(scenario, usage_limit={"rules": [{"pattern": "sent"}]})  # which its screen shows


def test_a_program_that_has_ended_is_started_again_with_its_conversation(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nQUIT 0")
        await stage.ends("done")
        await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        first, second = stage.noted("starts")
        assert first[0] == "--new" and second == ["--resume", first[1]]

    play(scenario)


def test_a_program_that_was_killed_is_started_again_with_its_conversation(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("done")
        os.kill(int(stage.noted("pids")[0]), signal.SIGKILL)
        await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        first, second = stage.noted("starts")
        assert second == ["--resume", first[1]]
        assert stage.noted("calls")[1] == "FILE src/a/new.py: x = 2"

    play(scenario)


@pytest.mark.parametrize("again", [[sys.executable, "{home}/parrot.py", "--broken"], []], ids=["fails", "has-no-way"])
def test_a_program_that_cannot_go_on_with_its_conversation_gets_its_prompts_again(play: Play, again: list[str]) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nQUIT 0")
        await stage.ends("done")
        opening = stage.noted("calls")[0]
        number = await stage.work("FILE src/a/new.py: x = 2")
        await stage.until("calls", 2)
        first, *broken, last = stage.noted("starts")
        assert [start[0] for start in broken] == (["--broken"] if again else [])
        assert last[0] == "--new" and last[1] != first[1]
        assert stage.noted("calls")[1] == f"{opening}\n\n---\n\nFILE src/a/new.py: x = 2"
        await stage.hub.wait_for("ack", of=number)
        assert stage.answers()[number] == "delivered"

    play(scenario, again=again)


def test_the_state_of_a_turn_follows_what_changes(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nWORK 7")
        await stage.ends("done")
        assert stage.states == ["idle", "exploring", "implementing", "done"]

    play(scenario)
