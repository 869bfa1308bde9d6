"""A program with its own interface: what becomes of prompts, what a person does there, and how it is ended (PANE-4)."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from aegis_tui.agent.hosted import delivery, terminal
from tests.agent.conftest import git
from tests.agent.hosted.stage import Perform, Stage

pytestmark = pytest.mark.thorough


def test_a_prompt_is_delivered_when_the_model_has_it_and_the_work_is_submitted(perform: Perform) -> None:
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

    perform(scenario)


def test_a_prompt_that_no_call_to_the_model_holds_is_unknown(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        number = await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("failed")
        assert stage.answers() == {number: "unknown"}

    perform(scenario, calls_model=False)


def test_a_prompt_on_its_way_when_the_turn_is_cancelled_is_unknown(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        number = await stage.work("WORK 30")
        await stage.until("calls", 1)
        stage.session.interrupt()
        await stage.until("stopped", 1)
        await stage.hub.wait_for("ack", of=number)
        assert stage.answers() == {number: "unknown"}

    perform(scenario, calls_model=False)


def test_a_prompt_for_a_program_that_cannot_take_one_is_refused(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        number = await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("failed")
        assert stage.answers() == {number: "refused"}
        (answer,) = stage.hub.of_type("ack")
        assert answer.fields["reason"]

    perform(scenario, argv=["sh", "-c", "exit 3"])


def test_a_prompt_waits_while_a_person_has_typed_one_that_is_not_sent(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(b"WORK 2")
        number = await stage.work("FILE src/a/new.py: x = 3")
        await stage.ends("exploring", 2)
        await asyncio.sleep(1.0)
        assert number not in stage.answers() and len(stage.noted("calls")) == 1
        stage.type(b"\r")
        await stage.until("calls", 3)
        assert stage.noted("ends")[1] == "WORK 2", "nothing is typed into the person's turn"
        assert stage.noted("calls")[1:] == ["WORK 2", "FILE src/a/new.py: x = 3"]

    perform(scenario)


def test_a_persons_own_prompt_is_a_turn_and_is_submitted_by_their_key(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
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

    perform(scenario)


def test_nothing_is_submitted_in_the_middle_of_a_persons_turn(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(b"WORK 2\r")
        await stage.until("calls", 2)
        stage.type(b"\x1d")
        await stage.ends("exploring", 2)
        assert len(stage.noted("ends")) == 1 and len(stage.hub.of_type("diff:submit")) == 1
        await stage.ends("done", 2)
        assert len(stage.noted("ends")) == 2 and len(stage.hub.of_type("diff:submit")) == 2

    perform(scenario)


def test_a_pause_between_two_calls_in_which_the_program_draws_ends_no_turn(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("THINK 10\nFILE src/a/new.py: x = 1")
        await stage.ends("done")
        assert stage.states.count("done") == 1
        assert len(stage.noted("ends")) == 2, "it was submitted after the last call"
        assert len(stage.hub.of_type("diff:submit")) == 1 and len(stage.noted("calls")) == 2

    perform(scenario)


def test_a_prompt_that_comes_during_a_persons_turn_is_typed_after_it(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(b"WORK 2\r")
        await stage.until("calls", 2)
        number = await stage.work("FILE src/a/new.py: x = 3")
        await stage.until("calls", 3)
        assert stage.noted("ends")[1] == "WORK 2", "the person's turn was over"
        await stage.ends("done", 2)
        assert stage.answers()[number] == "delivered" and len(stage.hub.of_type("diff:submit")) == 2

    perform(scenario)


def test_the_key_submits_nothing_twice(perform: Perform) -> None:
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

    perform(scenario)


def test_the_key_counts_although_the_program_fails_afterwards(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(b"WORK 1 QUIT 1\r".replace(b" QUIT", b"\x1b[200~\nQUIT\x1b[201~"))
        await stage.until("calls", 2)
        (stage.worktree / "src/a/new.py").write_text("by hand = 1\n", "utf-8")
        stage.type(b"\x1d")
        await stage.ends("done", 2)
        assert len(stage.hub.of_type("diff:submit")) == 2

    perform(scenario)


def test_a_program_that_says_it_is_done_in_a_persons_turn_has_its_work_submitted(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(b"FILE src/a/new.py: x = 2\r")
        await stage.until("ends", 2)
        stage.box.ask_submission("fix(a): set x to 2")
        await stage.ends("done", 2)
        assert len(stage.hub.of_type("diff:submit")) == 2
        submitted = stage.hub.of_type("diff:submit")[1]
        assert git(stage.worktree, "log", "-1", "--format=%s", submitted.fields["head_oid"]) == "fix(a): set x to 2"

    perform(scenario)


def test_the_end_of_the_program_submits_a_persons_finished_work(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(b"FILE src/a/new.py: x = 2\r")
        await stage.ends("idle", 2)
        stage.type(b"/exit\r")
        await stage.ends("done", 2)
        assert len(stage.hub.of_type("diff:submit")) == 2
        submitted = stage.hub.of_type("diff:submit")[1]
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "x = 2"

    perform(scenario)


@pytest.mark.parametrize("keys", [b"/exit\r", b"\x03"], ids=["exit", "ctrl-c"])
def test_a_program_that_a_person_has_quit_submits_nothing_twice_and_is_started_again(
    perform: Perform, keys: bytes
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        stage.type(keys)
        await asyncio.sleep(1.0)
        assert len(stage.hub.of_type("diff:submit")) == 1 and stage.states[-1] == "done"
        number = await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        assert stage.answers()[number] == "delivered"
        assert [start[0] for start in stage.noted("starts")] == ["--new", "--resume"]

    perform(scenario)


def test_keys_without_a_call_to_the_model_are_no_turn(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        reports = len(stage.states)
        stage.type(b"\x1b[A\x1b[B/he")
        await asyncio.sleep(1.0)
        assert len(stage.states) == reports

    perform(scenario)


def test_keys_that_end_no_turn_leave_its_work_to_be_submitted(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nWORK 1")
        await stage.until("calls", 1)
        stage.type(b"\x1b[A\x1b[B/he")
        await stage.ends("done")
        assert len(stage.hub.of_type("diff:submit")) == 1

    perform(scenario)


def test_a_cancelled_turn_is_ended_in_the_programs_own_interface(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begin("WORK 30\nFILE src/a/new.py: x = 1")
        stage.session.interrupt()
        await stage.until("stopped", 1)
        await stage.ends("idle", 2)
        assert not stage.hub.of_type("diff:submit")
        await stage.work("FILE src/a/new.py: x = 3")
        await stage.ends("done")
        assert len(stage.noted("starts")) == 1

    perform(scenario)


def test_a_turn_is_also_ended_while_the_text_to_go_on_after_a_limit_is_on_its_way(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_BY_ITSELF_S", 0.1)

    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1")
        await stage.ends("failed")
        going_on = asyncio.create_task(stage.runner.go_on("WORK 30"))
        await stage.until("calls", 2)
        going_on.cancel()
        await stage.until("stopped", 1)

    perform(scenario, calls_model=False)


def test_a_turn_of_a_program_that_hangs_is_cancelled_by_ending_the_program(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_HUNG_S", 0.5)
    monkeypatch.setattr(delivery, "_READ_A_SECOND", 1_000_000)
    monkeypatch.setattr(terminal, "_KEY_S", 1.0)

    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        os.kill(stage.noted("pids")[0], signal.SIGSTOP)
        number = await stage.work("x" * 50_000)  # more than a terminal takes from which nobody reads
        await stage.ends("exploring", 2)
        await asyncio.sleep(1.0)
        stage.session.interrupt()
        await stage.ends("idle", 2)
        # A busy machine may not have typed a byte by then; the prompt is refused in that case.
        assert stage.answers()[number] in ("unknown", "refused")
        await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        assert [start[0] for start in stage.noted("starts")] == ["--new", "--resume"]

    perform(scenario)


@pytest.mark.parametrize("by_person", [False, True])
def test_a_program_that_forgets_an_interrupted_prompt_gets_it_again(perform: Perform, by_person: bool) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begin("WORK 4\nBriefly.")
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

    perform(scenario, forgets_interrupted=True)


@pytest.mark.parametrize("key", [b"\x1b", b"\x1b\x1b", b"\x03"], ids=["esc", "esc-esc", "ctrl-c-ends-it"])
def test_an_interrupted_turn_is_not_submitted_until_the_next_prompt_has_continued_it(
    perform: Perform, key: bytes
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begin("FILE src/a/new.py: half = 1\nWORK 30")
        stage.type(key)
        idle = await stage.ends("idle", 2)
        assert "interrupted" in idle.fields["note"]
        assert not stage.hub.of_type("diff:submit")
        await stage.work("FILE src/a/new.py: whole = 1")
        await stage.ends("done")
        (submitted,) = stage.hub.of_type("diff:submit")
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "whole = 1"

    perform(scenario)


def test_an_interrupted_turn_is_submitted_by_the_persons_key(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begin("FILE src/a/new.py: half = 1\nWORK 30")
        stage.type(b"\x1b")
        await stage.ends("idle", 2)
        stage.type(b"\x1d")
        await stage.ends("done")
        assert len(stage.hub.of_type("diff:submit")) == 1

    perform(scenario)


def test_a_program_that_a_person_interrupts_at_its_usage_limit_does_not_go_on_by_itself(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begin("FILE src/a/new.py: half = 1\nWORK 30")
        stage.type(b"\x1b")
        await stage.ends("idle", 2)
        assert stage.states == ["idle", "exploring", "idle"]

    perform(scenario, usage_limit={"rules": [{"pattern": "sent"}]})  # which its screen shows


def test_the_state_of_a_turn_follows_what_changes(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nWORK 7")
        await stage.ends("done")
        assert stage.states == ["idle", "exploring", "implementing", "done"]

    perform(scenario)
