"""A review is in progress from the moment at which its reviewer begins to read (REV-1)."""

from __future__ import annotations

from aegis_tui.domain.core import Actor
from aegis_tui.domain.instance.commands import AgentReport
from aegis_tui.domain.instance.model import AgentStateName
from aegis_tui.domain.review.events import ReviewInProgress
from aegis_tui.domain.review.lens import GENERAL
from tests.domain.review.test_lens import Bench


def told(bench: Bench) -> list[str]:
    """Who has begun to read, in the order of the log."""
    return [event.data.reviewer for event in bench.hub.log if isinstance(event.data, ReviewInProgress)]


def report(bench: Bench, reviewer: str, state: AgentStateName) -> None:
    bench.hub.send(AgentReport(state=state), Actor(reviewer, "instance"))


def test_a_review_is_not_in_progress_while_its_reviewer_is_only_planned_started_or_idle() -> None:
    bench = Bench(GENERAL)
    reviewer = bench.reviewers()["general"]
    bench.hub.bring_up(reviewer)
    report(bench, reviewer, "idle")
    (review,) = bench.hub.run.reviews.values()
    assert told(bench) == [] and review.status == "requested" and review.reviewer is None


def test_it_is_in_progress_once_its_reviewer_reads_and_that_is_said_once() -> None:
    bench = Bench(GENERAL)
    reviewer = bench.reviewers()["general"]
    bench.hub.bring_up(reviewer)
    for state in ("idle", "reviewing", "self-QA", "reviewing"):
        report(bench, reviewer, state)
    (review,) = bench.hub.run.reviews.values()
    assert told(bench) == [reviewer]
    assert (review.status, review.reviewer, review.attempts) == ("in_progress", reviewer, 1)


def test_no_second_reviewer_is_planned_before_the_first_one_reads() -> None:
    bench = Bench(GENERAL)
    reviewer = bench.reviewers()["general"]
    bench.hub.bring_up(reviewer)
    assert list(bench.hub.living("reviewer")) == [reviewer]


def test_a_reviewer_that_takes_over_is_said_to_read_too() -> None:
    bench = Bench(GENERAL)
    first = bench.reviewers()["general"]
    bench.hub.bring_up(first)
    report(bench, first, "reviewing")
    report(bench, first, "failed")
    bench.hub.bring_down()
    second = bench.reviewers()["general"]
    bench.hub.bring_up(second)
    report(bench, second, "reviewing")
    assert told(bench) == [first, second] and first != second


def test_a_worker_that_works_begins_no_review() -> None:
    bench = Bench(GENERAL)
    report(bench, bench.worker, "reviewing")
    assert told(bench) == []
