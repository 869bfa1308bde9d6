"""What ends a task for good, what is tried again, and what a person is told of it (FLOW-10)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from aegis_tui.domain.cause import Cause, ended, gist
from aegis_tui.domain.core import THE_PERSON, Actor
from aegis_tui.domain.count import counted
from aegis_tui.domain.instance.commands import (
    AgentLeave,
    AgentReport,
    InstanceMarkExited,
    InstanceMarkFailed,
    InstanceMarkLaunched,
    InstanceMarkPrepared,
    InstanceSend,
    InstanceStop,
)
from aegis_tui.domain.piece.commands import MergeMarkApplied
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.run.failure import error_lines, kept_words
from tests.domain.test_core import DESIGN, Hub

HOOK = Cause(code="commit.hook", message="the commit was refused:\nlint: no tabs", hint="mend it", outlook="certain")
SAME = Cause(code="usage", message="the design is not proposed yet (3 of 60)", outlook="repeated")


def report(hub: Hub, agent: str, state: str, **fields: Any) -> None:
    fields = {"note": "no idea", **fields}
    hub.send(AgentReport.model_validate({"state": state, **fields}), Actor(agent, "instance"))


def one_fails(hub: Hub, role: str, **fields: Any) -> str:
    (agent,) = hub.living(role)
    hub.bring_up(agent)
    report(hub, agent, "failed", **fields)
    hub.bring_down()
    return agent


def error_of(hub: Hub) -> dict[str, Any]:
    assert hub.run.ok is False and hub.run.error is not None
    return hub.run.error


def test_what_is_certain_to_fail_again_ends_the_run_after_one_worker_with_the_first_cause() -> None:
    hub = Hub()
    hub.start(DESIGN)
    worker = one_fails(hub, "worker", cause=HOOK)
    error = error_of(hub)
    assert not list(hub.living("worker"))
    assert error["message"].startswith("alpha failed, and every other attempt would fail in the same way")
    assert "lint: no tabs" in error["message"]
    assert (error["cause"], error["instance"], error["feature"]) == (HOOK.message, worker, "alpha")
    assert error["last_words"] == "no idea"
    assert error["hint"].startswith("mend it; ") and "refs/aegis/rescue/run1" in error["hint"]


def test_a_certain_cause_that_comes_with_the_goodbye_counts_as_well() -> None:
    hub = Hub()
    hub.start(DESIGN)
    (worker,) = hub.living("worker")
    hub.bring_up(worker)
    hub.send(AgentLeave(reason="the model server says no", cause=HOOK), Actor(worker, "instance"))
    hub.bring_down()
    assert "lint: no tabs" in error_of(hub)["message"]


def test_an_instance_that_cannot_be_prepared_for_good_is_not_replaced() -> None:
    hub = Hub()
    hub.start(DESIGN)
    (worker,) = hub.living("worker")
    hub.send(InstanceMarkFailed(agent_id=worker, reason="disk full", cause=HOOK))
    hub.bring_down()
    assert error_of(hub)["cause"] == HOOK.message


def test_a_certain_cause_waits_for_no_free_place_among_the_workers() -> None:
    features = [
        {"id": name, "title": name, "brief": name, "partition": [f"{name}/**"]} for name in ("one", "two", "three")
    ]
    hub = Hub()
    hub.start({"goal": "g", "features": features}, workers=2)
    first, second = hub.living("worker")
    hub.bring_up(first)
    hub.bring_up(second)
    report(hub, first, "failed", cause=HOOK)
    hub.bring_down()
    assert error_of(hub)["feature"] == "one"


def test_the_same_refusal_met_by_two_instances_is_not_given_to_a_third() -> None:
    hub = Hub()
    hub.start(None, yes=True)
    first = one_fails(hub, "commander", cause=SAME)
    assert hub.run.ok is None
    one_fails(hub, "commander", cause=SAME.model_copy(update={"message": SAME.message.replace("3", "4")}))
    error = error_of(hub)
    assert (error["code"], error["instance"], error["cause"]) == ("design.failed", first, SAME.message)
    assert "the design failed twice with the same refusal" in error["message"]


@pytest.mark.parametrize("outlook", ["may-pass", "repeated"])
def test_what_may_pass_is_tried_as_often_as_the_options_say_and_the_first_cause_is_named(outlook: str) -> None:
    hub = Hub()
    hub.start(DESIGN)
    for number, word in enumerate(("first", "second", "third")):
        assert hub.run.ok is None, number
        one_fails(hub, "worker", cause={"message": f"{word} trouble", "outlook": outlook})
    error = error_of(hub)
    assert error["message"].startswith("alpha failed 3 times: NATIVE-w01: first trouble; the last time, NATIVE-w03:")
    assert error["cause"] == "first trouble"


def test_a_failed_review_says_why() -> None:
    hub = Hub()
    hub.start(DESIGN, max_attempts=2)
    (alpha,) = hub.living("worker")
    hub.bring_up(alpha)
    hub.submit(alpha, "a1")
    hub.check("alpha", "a1", ("src/a/x.py",))
    for _ in range(2):
        one_fails(hub, "reviewer", note="severity: Input should be 'info'")
    error = error_of(hub)
    assert error["message"].startswith("the review of alpha failed 2 times: NATIVE-r01: severity: Input should be")
    assert error["instance"] == "NATIVE-r01"


def test_a_program_that_ends_before_it_speaks_is_quoted_from_its_pane() -> None:
    hub = Hub()
    hub.start(DESIGN, max_attempts=1)
    (worker,) = hub.living("worker")
    hub.send(InstanceMarkPrepared(agent_id=worker, worktree="/w", token_hash="t"))
    hub.send(InstanceMarkLaunched(agent_id=worker, pane="%1", pid=1))
    hub.send(InstanceMarkExited(agent_id=worker, status=1, words="bwrap: Can't bind mount\n/x on /newroot/x"))
    hub.bring_down()
    assert "exited with status 1: bwrap: Can't bind mount; /x on /newroot/x" in error_of(hub)["message"]


def test_a_program_that_ends_twice_in_the_same_words_before_it_speaks_is_not_started_again() -> None:
    hub = Hub()
    hub.start(DESIGN)
    for number in range(2):
        assert hub.run.ok is None
        (worker,) = hub.living("worker")
        hub.send(InstanceMarkPrepared(agent_id=worker, worktree="/w", token_hash=worker))
        hub.send(InstanceMarkLaunched(agent_id=worker, pane="%1", pid=number))
        words = f"bwrap: Can't bind mount /state/instances/w0{number}/git"
        hub.send(InstanceMarkExited(agent_id=worker, status=1, words=words))
        hub.bring_down()
    assert "failed twice" in error_of(hub)["message"]


def merged(hub: Hub) -> str:
    """Start, and bring alpha to the working ref; its worker."""
    hub.start(DESIGN)
    (alpha,) = hub.living("worker")
    hub.bring_up(alpha)
    hub.land(alpha, "a1", ("src/a/x.py",))
    return alpha


@pytest.mark.parametrize("state", ["failed", "blocked"])
def test_a_worker_whose_piece_is_merged_cannot_undo_it(state: str) -> None:
    hub = Hub()
    alpha = merged(hub)
    report(hub, alpha, state, cause=HOOK)
    instance = hub.workspace.instances.by_id[alpha]
    assert hub.stands("alpha") is PieceStatus.APPLIED and hub.run.ok is None
    assert (instance.state, instance.progress, instance.is_alive) == ("done", 1.0, True)
    assert "the submission of alpha stands" in (instance.note or "")


@pytest.mark.parametrize("how", ["failed", "blocked", "lost", "stopped"])
def test_a_merged_piece_that_a_person_wrote_about_is_merged_again_whatever_its_worker_does(how: str) -> None:
    hub = Hub()
    alpha = merged(hub)
    before = hub.run.pieces["alpha"].attempts
    hub.send(InstanceSend(agent_id=alpha, text="why this way?"), THE_PERSON)
    assert hub.stands("alpha") is PieceStatus.WORKING
    if how == "lost":
        hub.send(InstanceMarkExited(agent_id=alpha, signal=9))
    elif how == "stopped":
        hub.send(InstanceStop(agent_id=alpha), THE_PERSON)
    else:
        report(hub, alpha, how, cause=HOOK)
    assert hub.stands("alpha") is PieceStatus.ACCEPTED and hub.run.merge_queue == ["alpha"]
    hub.send(MergeMarkApplied(run="run1", piece="alpha", head_oid="a1", oid="ma1"))
    hub.bring_down()
    assert hub.stands("alpha") is PieceStatus.APPLIED and hub.run.ok is None
    assert hub.run.pieces["alpha"].attempts == before


def test_a_submitted_piece_that_a_person_wrote_about_is_submitted_again_as_it_was() -> None:
    hub = Hub()
    hub.start(DESIGN)
    (alpha,) = hub.living("worker")
    hub.bring_up(alpha)
    hub.submit(alpha, "a1")
    hub.check("alpha", "a1", ("src/a/x.py",))
    hub.send(InstanceSend(agent_id=alpha, text="one more"), THE_PERSON)
    report(hub, alpha, "failed")
    assert hub.stands("alpha") is PieceStatus.SUBMITTED and hub.run.pieces["alpha"].head_oid == "a1"
    hub.bring_down()
    assert hub.run.pieces["alpha"].attempts == 1


def test_a_piece_that_was_sent_back_is_not_restored_when_its_worker_fails() -> None:
    hub = Hub()
    hub.start(DESIGN)
    (alpha,) = hub.living("worker")
    hub.bring_up(alpha)
    hub.submit(alpha, "a1")
    hub.check("alpha", "a1", ("src/a/x.py",))
    hub.approve("reject", findings=[{"msg": "wrong"}])
    report(hub, alpha, "failed")
    hub.bring_down()
    assert hub.stands("alpha") is PieceStatus.WORKING
    assert list(hub.living("worker")) == ["NATIVE-w02"]


def test_a_person_reads_each_fact_of_a_failure_once() -> None:
    hub = Hub()
    hub.start(DESIGN)
    one_fails(hub, "worker", cause=HOOK)
    lines = error_lines({**error_of(hub), "log": "/state/logs/w01.log"})
    assert "lint: no tabs" in lines[0]
    assert lines[1:3] == ["agent: NATIVE-w01, working on alpha", "its last output: no idea"]
    assert lines[3].startswith("mend it; ") and lines[4] == "log: /state/logs/w01.log"
    assert error_lines({"message": "no", "hint": "do"}) == ["no", "do"]
    said = "4 unusable calls; the last: Error: there is no tool 'x'"
    assert error_lines({"message": f"alpha failed: {said}", "cause": said, "last_words": said}) == [
        f"alpha failed: {said}"
    ]


@pytest.mark.parametrize(("text", "limit"), itertools.product(["", "abc", "x" * 30], [9, 10, 29]))
def test_a_long_text_keeps_its_beginning_and_its_end(text: str, limit: int) -> None:
    cut = ended(text, limit)
    assert len(cut) <= limit and (cut == text or (len(text) > limit and " ... " in cut))


def test_numbers_and_ids_do_not_tell_two_refusals_apart_and_words_do() -> None:
    assert gist("error in 3 files,  took 0.12s at 0a1b2c3d") == gist("error in 14 files, took 9.4s at ffee1200")
    assert gist("no tabs in a.py") != gist("no tabs in z.py")


def test_a_failed_run_says_how_to_take_over_what_is_kept_of_it() -> None:
    hub = Hub()
    hub.start(DESIGN)
    every = "all work is kept: git for-each-ref refs/aegis/runs/run1 refs/aegis/rescue/run1 lists it"
    assert kept_words(hub.run) == every
    hub.run.working_oid = "w" * 40
    alpha, beta, *_ = hub.run.pieces.values()
    alpha.head_oid = alpha.applied_head = "a1"
    beta.head_oid = "b1"
    assert kept_words(hub.run).split("; ") == [
        f"what was merged is kept: git diff {hub.run.facts.base_oid[:12]} refs/aegis/runs/run1/integration shows it",
        "git merge --squash refs/aegis/runs/run1/integration brings it into your branch",
        f"submitted but not merged: git merge --squash refs/aegis/runs/run1/{beta.name}",
        every,
    ]


@pytest.mark.parametrize(
    ("number", "noun", "words"), [(0, "file", "0 files"), (1, "file", "1 file"), (2, "more line", "2 more lines")]
)
def test_a_number_stands_with_its_noun_in_the_right_form(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words
