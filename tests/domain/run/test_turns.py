"""Turns of a run that whole courses seldom take: who starts from what, and what a word is worth."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.cause import MESSAGE_CHARS, ended
from aegis_tui.domain.core import THE_PERSON, Actor
from aegis_tui.domain.instance.commands import AgentRegister, InstanceMarkExited
from aegis_tui.domain.lock.commands import LockAcquire, LockRelease
from aegis_tui.domain.piece.feedback import reopen
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.run.brief import work_brief
from aegis_tui.domain.run.events import GateBlocked
from aegis_tui.errors import Refused
from tests.domain.run.test_failure import error_of, one_fails
from tests.domain.test_core import BASE, DESIGN, Hub

APART = {**DESIGN, "features": [{**feature, "depends_on": []} for feature in DESIGN["features"]]}
ROOTED: dict[str, Any] = {**DESIGN, "foundation": {"brief": "lay it", "partition": ["src/base/**"]}}


def at_review(hub: Hub, design: dict[str, Any] = DESIGN) -> str:
    """The first worker's piece waits for its verdict; the worker."""
    hub.start(design)
    alpha, *_ = hub.living("worker")
    hub.bring_up(alpha)
    hub.submit(alpha, "a1")
    hub.check("alpha", "a1", ("src/a/x.py",))
    return alpha


def base_of(hub: Hub, agent: str) -> str | None:
    return hub.workspace.instances.by_id[agent].base_oid


def replaced(hub: Hub, agent: str) -> str:
    """Who follows a worker that dies."""
    hub.send(InstanceMarkExited(agent_id=agent, signal=9))
    hub.bring_down()
    return next(name for name in hub.living("worker") if hub.workspace.instances.by_id[name].piece == "alpha")


def test_a_fresh_worker_goes_on_from_what_was_handed_in_and_not_yet_composed() -> None:
    hub = Hub()
    alpha = at_review(hub)
    assert base_of(hub, alpha) == BASE
    hub.approve("reject", findings=[{"msg": "unsafe"}])
    assert base_of(hub, replaced(hub, alpha)) == "a1"


def test_a_fresh_worker_of_a_piece_that_is_composed_starts_from_the_working_ref() -> None:
    hub = Hub()
    hub.start(DESIGN)
    hub.to_final_qa()
    hub.qa(ok=False, blamed=("alpha",))
    fresh = replaced(hub, hub.run.pieces["alpha"].agent_id or "")
    assert base_of(hub, fresh) == hub.run.working_oid == "mb1"


def test_what_is_handed_in_again_unchanged_after_it_was_composed_is_merged_and_not_reviewed() -> None:
    hub = Hub()
    hub.start(DESIGN)
    hub.to_final_qa()
    hub.qa(ok=False, blamed=("alpha",))
    alpha = hub.run.pieces["alpha"].agent_id or ""
    hub.submit(alpha, "a2")
    hub.check("alpha", "a2", ())
    assert hub.run.merge_queue == ["alpha"]
    assert not list(hub.living("reviewer"))


def test_a_reviewer_judges_its_own_review_and_no_other() -> None:
    hub = Hub()
    hub.start(APART)
    for agent, piece in zip(list(hub.living("worker")), "ab", strict=True):
        hub.bring_up(agent)
        hub.submit(agent, f"{piece}1")
        name = {"a": "alpha", "b": "beta"}[piece]
        hub.check(name, f"{piece}1", (f"src/{piece}/x.py",))
    one, other = hub.living("reviewer")
    hub.bring_up(one)
    foreign = hub.workspace.instances.by_id[other].review_id
    assert foreign is not None
    with pytest.raises(Refused) as refused:
        hub.send(ReviewVerdict(review_id=foreign, decision="approve"), Actor(one, "instance"))
    assert refused.value.code == "review.foreign"


def test_joining_again_keeps_the_session() -> None:
    hub = Hub()
    hub.start(DESIGN)
    (alpha,) = hub.living("worker")
    hub.bring_up(alpha)
    session = hub.workspace.instances.by_id[alpha].session
    outcome = hub.send(AgentRegister(), Actor(alpha, "instance"))
    assert outcome.events == () and outcome.reply["session"] == session


def test_a_person_who_waits_for_a_lock_gets_it() -> None:
    hub = Hub()
    hub.start(DESIGN)
    (alpha,) = hub.living("worker")
    hub.bring_up(alpha)
    worker = Actor(alpha, "instance")
    lock = hub.send(LockAcquire(path="src/routes.py"), worker).reply["locks"][0]
    assert hub.send(LockAcquire(path="src/routes.py", wait_s=30), THE_PERSON).pending
    hub.send(LockRelease(lock_id=lock["lock_id"], token=lock["token"]), worker)
    assert [held.agent_id for held in hub.workspace.locks.locks()] == [THE_PERSON.agent_id]


def test_the_foundation_is_built_with_the_words_for_the_commander() -> None:
    hub = Hub()
    hub.start(ROOTED, role_notes={"commander": "mind the tabs", "worker": "be quick"})
    text = work_brief(hub.run, hub.run.pieces["foundation"], rescue_ref=None)
    assert "mind the tabs" in text and "be quick" not in text and text.endswith("lay it")
    assert "be quick" in work_brief(hub.run, hub.run.pieces["alpha"], rescue_ref=None)


def test_the_same_words_from_another_are_not_told_twice() -> None:
    hub = Hub()
    hub.start(DESIGN, max_attempts=2)
    one_fails(hub, "worker", cause={"message": "no luck", "outlook": "may-pass"})
    one_fails(hub, "worker", cause={"message": "no luck", "outlook": "may-pass"})
    assert error_of(hub)["message"].count("no luck") == 1


def test_a_reason_is_logged_up_to_its_limit() -> None:
    hub = Hub()
    hub.start(DESIGN)
    drafts = reopen(hub.workspace, hub.run, [], gate="qa_passed", reason="x" * 3000, texts="again")
    assert [len(data.reason) for _, data in drafts if isinstance(data, GateBlocked)] == [2000]


def test_a_text_of_just_the_limit_is_whole() -> None:
    whole = "y" * MESSAGE_CHARS
    assert ended(whole) == whole
    assert len(ended(f"{whole}y")) < MESSAGE_CHARS
