"""The work on a piece is reviewed while it goes on: what is found is suggested, and nothing is decided (REV-1)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.core import THE_PERSON, Actor
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.commands import ReviewPart, ReviewRequest, ReviewVerdict
from aegis_tui.domain.review.events import FixSuggested
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.summary import fold_reviews
from aegis_tui.errors import Refused, UsageError
from tests.domain.test_core import DESIGN, Hub

PART = ReviewPart(head_oid="p1", files=("src/a/x.py",))


@pytest.fixture
def hub() -> Hub:
    """A run in which a worker builds alpha and has submitted nothing."""
    made = Hub()
    made.start(DESIGN)
    made.bring_up(worker_of(made))
    return made


def worker_of(hub: Hub) -> str:
    return str(hub.run.pieces["alpha"].agent_id)


def ask(hub: Hub, actor: Actor = THE_PERSON, part: ReviewPart | None = PART) -> None:
    hub.send(ReviewRequest(piece="alpha", part=part), actor)


def judge(hub: Hub, decision: Any = "reject") -> None:
    (reviewer,) = hub.living("reviewer")
    hub.bring_up(reviewer)
    review = hub.workspace.instances.by_id[reviewer].review_id or ""
    finding = Finding(file="src/a/x.py", line=2, msg="it is slow")
    command = ReviewVerdict(review_id=review, decision=decision, findings=(finding,))
    hub.send(command, Actor(reviewer, "instance"))
    hub.bring_down()


def test_a_reviewer_starts_at_once_on_the_work_as_it_stands(hub: Hub) -> None:
    ask(hub)
    (reviewer,) = hub.living("reviewer")
    instance = hub.workspace.instances.by_id[reviewer]
    assert instance.base_oid == "p1" and hub.stands("alpha") is PieceStatus.WORKING
    hub.bring_up(reviewer)
    (message,) = hub.workspace.messages.for_agent(reviewer)
    assert "The work is not finished" in message.text and "src/a/x.py" in message.text


@pytest.mark.parametrize("decision", ["reject", "approve"])
def test_what_is_found_is_suggested_to_the_worker_who_goes_on(hub: Hub, decision: str) -> None:
    ask(hub)
    judge(hub, decision)
    found = [event.data for event in hub.log if isinstance(event.data, FixSuggested)]
    assert [(item.to, item.finding.msg, item.prompted) for item in found] == [(worker_of(hub), "it is slow", False)]
    assert hub.stands("alpha") is PieceStatus.WORKING and hub.run.pieces["alpha"].rejections == 0
    assert not list(hub.living("reviewer"))


def test_the_submission_is_reviewed_as_ever_and_the_part_decides_nothing(hub: Hub) -> None:
    ask(hub)
    worker = worker_of(hub)
    hub.submit(worker, "a1")
    hub.check("alpha", "a1", ("src/a/x.py",))
    assert hub.stands("alpha") is PieceStatus.REVIEWING
    parts = [item.part for item in hub.run.reviews.values()]
    assert parts == [True, False]
    assert [piece["head_oid"] for piece in fold_reviews(hub.log, "run1")] == ["a1"]


def test_its_own_worker_may_ask_and_no_other_instance(hub: Hub) -> None:
    hub.send(AgentRegister(agent_type="CLAUDE", instance_id="own", role="worker"), THE_PERSON)
    with pytest.raises(Refused, match="not assigned"):
        ask(hub, Actor("CLAUDE-own", "instance"))
    ask(hub, Actor(worker_of(hub), "instance"))
    assert list(hub.living("reviewer"))


def test_one_part_is_reviewed_at_a_time_and_the_next_one_afterwards(hub: Hub) -> None:
    ask(hub)
    with pytest.raises(Refused, match="is in progress"):
        ask(hub)
    judge(hub)
    ask(hub, part=ReviewPart(head_oid="p2", files=("src/a/x.py", "src/a/y.py")))
    assert len(list(hub.living("reviewer"))) == 1


@pytest.mark.parametrize("part", [None, ReviewPart(head_oid="p1", files=())])
def test_nothing_is_reviewed_where_nothing_is_changed(hub: Hub, part: ReviewPart | None) -> None:
    with pytest.raises(Refused, match="changed nothing"):
        ask(hub, part=part)


def test_only_work_that_goes_on_is_reviewed_in_parts(hub: Hub) -> None:
    hub.submit(worker_of(hub), "a1")
    with pytest.raises(Refused, match="submitted"):
        ask(hub)
    with pytest.raises(UsageError, match="no piece nothing"):
        hub.send(ReviewRequest(piece="nothing"), THE_PERSON)
