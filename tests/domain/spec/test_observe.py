"""What a spec file asks for is executed once, in whatever order and however often it is seen (SPEC-3, SPEC-10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain.answer import answers_to
from aegis_tui.domain.command import parse_command
from aegis_tui.domain.composition.commands import MergeApply
from aegis_tui.domain.core import THE_PERSON
from aegis_tui.domain.need import needs, waiting_since
from aegis_tui.domain.run.commands import (
    CompositionMarkChecked,
    RunCancel,
    RunFail,
    RunMarkFinished,
    RunMarkPrepared,
    RunStart,
)
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.spec.commands import SpecFail, SpecObserve, SpecWait, TaskClaim
from aegis_tui.domain.spec.events import SpecUpdated
from aegis_tui.domain.spec.model import SpecState, SpecStatus
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, Conflict, Refused
from tests.domain.test_core import BASE, DESIGN, Hub


def see(hub: Hub, spec_id: str = "s1", digest: str = "d1", status: SpecStatus = "approved", **more: Any) -> Any:
    path = f".agents/specs/active/{spec_id}.yaml"
    return hub.send(SpecObserve(spec_id=spec_id, path=path, digest=digest, status=status, title=spec_id, **more)).reply


def spec(hub: Hub, spec_id: str = "s1") -> SpecState:
    return hub.workspace.specs.by_id[spec_id]


def start_for(hub: Hub, spec_id: str = "s1", run: str = "run1") -> None:
    facts = RunFacts(workspace="k", base_oid=BASE, base_branch="main", qa_commands=("pytest",))
    hub.send(RunStart(goal="g", design=DESIGN, options=RunOptions(), run=run, facts=facts, spec=spec_id))


def types(hub: Hub, spec_id: str = "s1") -> list[str]:
    return [event.type for event in hub.log if getattr(event.data, "specId", "") == spec_id]


def test_a_spec_follows_its_run_to_the_end_and_the_log_gives_the_same_state() -> None:
    hub = Hub()
    see(hub)
    start_for(hub)
    assert (spec(hub).status, spec(hub).by_run) == ("planning", "run1")
    hub.send(RunMarkPrepared(run="run1"))
    assert spec(hub).status == "in-progress"
    hub.to_final_qa()
    assert spec(hub).status == "diff-submitted"
    hub.qa(ok=True)
    hub.finish()
    assert (spec(hub).status, spec(hub).error) == ("completed", "")
    assert types(hub) == [
        "specs.created",
        "specs.updated",
        "specs.in-progress",
        "specs.updated",
        "specs.completed",
    ]
    again = Workspace()
    for event in hub.log:
        again.evolve(event)
    assert again.dump() == hub.workspace.dump()
    assert Workspace.load(hub.workspace.dump()).specs.at_work == again.specs.at_work == set()


def test_a_run_that_fails_gives_its_reason_and_the_person_can_approve_again() -> None:
    hub = Hub()
    see(hub)
    start_for(hub)
    assert Workspace.load(hub.workspace.dump()).specs.at_work == {"s1"}
    hub.send(RunFail(run="run1", code="x", message="the disk\nis full"))
    hub.bring_down()
    hub.send(RunMarkFinished(run="run1", report={}))
    assert (spec(hub).status, spec(hub).error) == ("failed", "run1: the disk is full")
    with pytest.raises(Conflict):
        start_for(hub, run="run2")
    assert see(hub, digest="d2") == {"spec_id": "s1", "status": "approved", "refused": ""}
    assert (spec(hub).by_run, spec(hub).error) == (None, "")
    start_for(hub, run="run2")
    assert spec(hub).by_run == "run2"


def test_a_spec_is_claimed_once_and_a_refused_run_claims_none() -> None:
    hub = Hub()
    see(hub)
    see(hub, "s2")
    start_for(hub)
    before = hub.workspace.dump()
    for spec_id in ("s1", "s2", "none"):
        with pytest.raises((Conflict, Refused)):
            start_for(hub, spec_id, "run2")
    assert hub.workspace.dump() == before
    (alpha,) = hub.living("worker") if list(hub.living("worker")) else ("",)
    assert spec(hub, "s2").status == "approved" and alpha == ""
    with pytest.raises(AegisError):
        hub.send(TaskClaim(spec_id="s1", expect_rev=spec(hub).rev), THE_PERSON)


@pytest.mark.parametrize(
    ("now", "wanted", "then"),
    [
        ("draft", "approved", "approved"),
        ("approved", "draft", "draft"),
        ("approved", "completed", "approved"),
        ("approved", "planning", "approved"),
        ("completed", "approved", "completed"),
        ("failed", "approved", "approved"),
        ("cancelled", "approved", "cancelled"),
    ],
)
def test_a_status_in_a_file_is_a_wish(now: SpecStatus, wanted: SpecStatus, then: SpecStatus) -> None:
    hub = Hub()
    see(hub, status=now)
    reply = see(hub, digest="d2", status=wanted)
    assert (reply["status"], bool(reply["refused"]), spec(hub).status) == (then, then != wanted, then)
    assert see(hub, digest="d2", status="draft")["status"] == then, "the same content is read again"


def test_a_new_file_is_what_it_says_but_nobody_works_on_it() -> None:
    for status, then in (("draft", "draft"), ("completed", "completed"), ("in-progress", "draft")):
        hub = Hub()
        assert see(hub, status=status)["status"] == then  # type: ignore[arg-type]
        assert types(hub) == ["specs.created"]


def test_the_content_is_that_of_the_file_and_made_inert() -> None:
    hub = Hub()
    see(hub, priority=1)
    see(hub, "s2", dependencies=("s1",))
    assert [item.spec_id for item in hub.workspace.specs.startable()] == ["s1"]
    hub.send(SpecObserve(spec_id="s1", path="p", digest="d2", status="approved", title="a\x1b[2Jb\nc", priority=2))
    assert (spec(hub).path, spec(hub).priority) == ("p", 2)
    assert "\x1b" not in spec(hub).title and "\n" not in spec(hub).title
    with pytest.raises(Refused, match="s1 -> s2 -> s1"):
        see(hub, digest="d3", dependencies=("s2",))


def test_a_file_that_is_gone_is_not_started_until_it_is_back() -> None:
    hub = Hub()
    see(hub)
    see(hub, digest="")
    see(hub, digest="")
    assert (spec(hub).status, hub.workspace.specs.startable()) == ("approved", [])
    with pytest.raises(Conflict):
        start_for(hub)
    see(hub, "never", digest="")
    assert "never" not in hub.workspace.specs.by_id
    see(hub)
    start_for(hub)


def test_the_id_of_a_feature_of_a_run_is_taken() -> None:
    hub = Hub()
    hub.start(DESIGN)
    with pytest.raises(Refused) as refused:
        see(hub, "run1-alpha")
    assert refused.value.code == "spec.exists"


def test_what_cannot_be_started_fails_once() -> None:
    hub = Hub()
    see(hub)
    for _ in range(2):
        hub.send(SpecFail(spec_id="s1", reason="no\nQA"))
    hub.send(SpecFail(spec_id="none", reason="x"))
    assert (spec(hub).status, spec(hub).error, types(hub)) == ("failed", "no QA", ["specs.created", "specs.failed"])


def test_what_a_ready_spec_waits_for_is_recorded_once_and_needs_the_person() -> None:
    hub = Hub()
    see(hub)
    see(hub, "s2")
    for reason in ("no\nmodel\x1b", "no\nmodel\x1b"):
        for name in ("s1", "s2", "none"):
            hub.send(SpecWait(spec_id=name, reason=reason))
    assert types(hub) == ["specs.created", "specs.updated"] and spec(hub).waits.startswith("no model")
    (need,) = needs(hub.workspace)
    assert (need.kind, need.key) == ("spec", "s1") and need.words.startswith("s1 and 1 more spec cannot be started: no")
    assert list(waiting_since(hub.log)) == [("spec", "s1"), ("spec", "s2")]
    see(hub, digest="d2", priority=1)
    assert spec(hub).waits.startswith("no model")
    hub.send(SpecWait(spec_id="s2", reason=""))
    start_for(hub)
    assert (spec(hub).waits, spec(hub, "s2").waits, needs(hub.workspace)) == ("", "", [])


def test_a_completed_spec_is_told_with_its_result_until_the_person_has_seen_it() -> None:
    hub = Hub()
    see(hub)
    start_for(hub)
    hub.send(RunMarkPrepared(run="run1"))
    hub.to_final_qa()
    hub.qa(ok=True)
    hub.finish()
    (need,) = needs(hub.workspace)
    assert (need.kind, need.key) == ("done", "run1") and ("done", "run1") in waiting_since(hub.log)
    assert need.words == f"run1 has completed s1: {spec(hub).oid[:10]} on {spec(hub).branch}" and spec(hub).oid
    (answer,) = answers_to(need)
    for _ in range(2):
        hub.send(parse_command({"type": answer.command, **answer.fields}))
    assert types(hub)[-2:] == ["specs.completed", "specs.updated"] and spec(hub).is_seen
    assert (spec(hub).status, needs(hub.workspace)) == ("completed", [])


def start_together(hub: Hub, run: str = "run1") -> None:
    facts = RunFacts(workspace="k", base_oid=BASE, base_branch="main", qa_commands=("pytest",))
    options = RunOptions(partial=True, max_rounds=0)
    pieces = {"s1": ("alpha",), "s2": ("beta",)}
    hub.send(RunStart(goal="g", design=DESIGN, options=options, run=run, facts=facts, specs=pieces))


def test_of_two_specs_of_one_run_the_one_that_fails_does_not_take_the_other_with_it() -> None:
    hub = Hub()
    see(hub)
    see(hub, "s2", dependencies=("s1",))
    start_together(hub)
    assert (spec(hub).pieces, spec(hub, "s2").pieces) == (("alpha",), ("beta",))
    hub.send(RunMarkPrepared(run="run1"))
    (worker,) = hub.living("worker")
    hub.bring_up(worker)
    hub.land(worker, "a1", ("src/a/x.py",))
    hub.send(MergeApply(leave_out=("beta",)), THE_PERSON)
    hub.bring_down()
    hub.send(CompositionMarkChecked(run="run1", oid="ma1", files=("src/a/x.py",)))
    hub.approve()
    hub.qa(ok=True)
    hub.finish()
    assert (spec(hub).status, bool(spec(hub).oid)) == ("completed", True)
    assert spec(hub, "s2").status == "failed" and "beta" in spec(hub, "s2").error
    assert [need.kind for need in needs(hub.workspace)] == ["ended", "done"]


def test_nothing_is_claimed_if_one_of_several_specs_cannot_be() -> None:
    hub = Hub()
    see(hub)
    see(hub, "s2", status="draft")
    with pytest.raises(Conflict, match="s2 cannot be claimed"):
        start_together(hub)
    assert hub.workspace.runs.current() is None and spec(hub).status == "approved"


def test_the_other_specs_of_a_run_go_on_in_another_one_when_one_is_cancelled() -> None:
    hub = Hub()
    see(hub)
    see(hub, "s2")
    start_together(hub)
    hub.send(RunMarkPrepared(run="run1"))
    see(hub, "s2", digest="d2", status="cancelled")
    hub.send(RunCancel(run="run1", reason="its spec was cancelled"))
    hub.bring_down()
    hub.send(RunMarkFinished(run="run1", report={}))
    assert (spec(hub).status, spec(hub).by_run, spec(hub, "s2").status) == ("approved", None, "cancelled")
    assert [item.spec_id for item in hub.workspace.specs.startable()] == ["s1"]


def test_an_ended_spec_that_the_state_has_dropped_is_not_started_again() -> None:
    hub = Hub()
    for number in range(70):
        see(hub, f"s{number}", status="completed")
    see(hub, "x")
    hub.send(SpecFail(spec_id="x", reason="r"))
    assert "s0" in hub.workspace.specs.past and "s0" not in hub.workspace.specs.by_id
    assert see(hub, "s0", status="approved")["status"] == "completed"
    assert see(hub, "s0", status="completed") == {"spec_id": "s0", "status": "completed", "refused": ""}
    assert "s0" not in hub.workspace.specs.by_id


pings = st.lists(
    st.sampled_from(["ping a", "ping a", "ping b", "ping a gone", "start a", "start b", "start a again", "end"]),
    max_size=25,
)


@settings(deadline=None, max_examples=150)
@given(pings)
def test_any_order_and_duplication_of_pings_gives_one_execution(steps: list[str]) -> None:
    hub = Hub()
    runs = 0
    for step in [*steps, "ping a", "end", "start a", "end", "ping b", "start b", "end", "ping a", "start a"]:
        name = "a" if " a" in step else "b"
        try:
            if step.startswith("ping"):
                see(hub, name, digest="" if step.endswith("gone") else f"of {name}")
            elif step.startswith("start"):
                start_for(hub, name, f"run{runs + 1}")
                runs += 1
            elif (run := hub.workspace.runs.current()) is not None:
                hub.send(RunCancel(run=run.run), THE_PERSON)
                hub.bring_down()
                hub.send(RunMarkFinished(run=run.run, report={}))
        except AegisError:
            continue
    claims = [event.data.specId for event in hub.log if isinstance(event.data, SpecUpdated) and event.data.by_run]
    assert sorted(claims) == ["a", "b"]
    assert runs == 2
