"""A piece is reviewed once through each lens of its run, and merged when those that block have approved it (ROLE-9)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.core import THE_PERSON, Actor, Workspace
from aegis_tui.domain.instance.commands import AgentReport
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.lens import GENERAL, ReviewLens
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.commands import RunHalt, RunResume
from aegis_tui.domain.run.events import COMPOSITION
from aegis_tui.domain.run.report import fold_report
from tests.domain.test_core import DESIGN, Hub

SECURITY = ReviewLens(name="security", brief="- injection: nothing unescaped")
STYLE = ReviewLens(name="style", blocking=False, brief="- names: say what they are")


class Bench:
    """A run whose first piece is submitted and checked."""

    def __init__(self, *lenses: ReviewLens, **options: Any) -> None:
        self.hub = Hub()
        self.hub.start(DESIGN, found={"lenses": lenses}, **options)
        (self.worker,) = self.hub.living("worker")
        self.hub.bring_up(self.worker)
        self.submit("a1")

    def submit(self, head: str) -> None:
        self.hub.submit(self.worker, head)
        self.hub.check("alpha", head, ("src/a/x.py",))

    def reviewers(self) -> dict[str, str]:
        """Lens -> the living instance that reviews through it."""
        instances = self.hub.workspace.instances.by_id
        return {
            self.hub.run.reviews[instances[name].review_id or ""].lens: name for name in self.hub.living("reviewer")
        }

    def judge(self, lens: str, finding: str = "") -> None:
        """Approve, or reject with a finding."""
        name = self.reviewers()[lens]
        self.hub.bring_up(name)
        review = self.hub.workspace.instances.by_id[name].review_id or ""
        findings = (Finding(file="src/a/x.py", msg=finding),) if finding else ()
        command = ReviewVerdict(review_id=review, decision="reject" if finding else "approve", findings=findings)
        self.hub.send(command, Actor(name, "instance"))
        self.hub.bring_down()

    def stands(self) -> PieceStatus:
        return self.hub.stands("alpha")

    def prompts(self) -> list[str]:
        """What the worker was sent after its first brief."""
        return [message.text for message in self.hub.workspace.messages.for_agent(self.worker)][1:]


def test_without_a_choice_a_piece_has_one_general_review() -> None:
    bench = Bench(GENERAL)
    assert list(bench.reviewers()) == ["general"]
    bench.judge("general")
    assert bench.stands() is PieceStatus.ACCEPTED


def test_every_lens_is_asked_at_once_and_the_first_approval_merges_nothing() -> None:
    bench = Bench(GENERAL, SECURITY)
    assert list(bench.reviewers()) == ["general", "security"]
    bench.judge("security")
    assert bench.stands() is PieceStatus.REVIEWING
    bench.judge("general")
    assert bench.stands() is PieceStatus.ACCEPTED


@pytest.mark.parametrize("order", [["general", "security"], ["security", "general"]])
def test_one_rejection_sends_the_piece_back_once_the_other_has_spoken(order: list[str]) -> None:
    bench = Bench(GENERAL, SECURITY)
    for lens in order:
        assert bench.stands() is PieceStatus.REVIEWING and not bench.prompts()
        bench.judge(lens, "SQL injection" if lens == "security" else "")
    assert bench.stands() is PieceStatus.WORKING
    assert bench.hub.run.pieces["alpha"].rejections == 1
    (text,) = bench.prompts()
    assert "SQL injection" in text


def test_two_rejections_come_back_as_one_prompt_that_names_both_reviewers() -> None:
    bench = Bench(GENERAL, SECURITY)
    names = bench.reviewers()
    bench.judge("general", "does not compute")
    bench.judge("security", "SQL injection")
    (text,) = bench.prompts()
    assert "does not compute" in text and "SQL injection" in text
    assert names["general"] in text and names["security"] in text
    assert bench.hub.run.pieces["alpha"].rejections == 1
    assert all(not review.findings for review in bench.hub.run.reviews.values())


def test_every_lens_looks_again_at_what_is_submitted_anew() -> None:
    bench = Bench(GENERAL, SECURITY)
    bench.judge("general")
    bench.judge("security", "SQL injection")
    bench.submit("a2")
    assert list(bench.reviewers()) == ["general", "security"]
    bench.judge("general")
    assert bench.stands() is PieceStatus.REVIEWING
    bench.judge("security")
    assert bench.stands() is PieceStatus.ACCEPTED
    assert [review.head_oid for review in bench.hub.run.reviews.values()] == ["a1", "a1", "a2", "a2"]


def test_a_lens_that_does_not_block_holds_nothing_up_and_its_findings_are_reported() -> None:
    bench = Bench(GENERAL, STYLE)
    bench.judge("general")
    assert bench.stands() is PieceStatus.ACCEPTED
    bench.judge("style", "a name says nothing")
    assert bench.stands() is PieceStatus.ACCEPTED and not bench.prompts()
    reviews = fold_report(bench.hub.log, "run1")["reviews"]
    verdicts = [(item["lens"], item["verdict"]) for item in reviews]
    assert verdicts == [("general", "APPROVED"), ("style", "CHANGES_REQUESTED")]
    assert reviews[1]["findings"][0]["msg"] == "a name says nothing"


def test_what_a_lens_that_does_not_block_has_found_goes_back_with_a_rejection() -> None:
    bench = Bench(GENERAL, STYLE)
    bench.judge("style", "a name says nothing")
    assert bench.stands() is PieceStatus.REVIEWING
    bench.judge("general", "does not compute")
    (text,) = bench.prompts()
    assert "a name says nothing" in text and "does not compute" in text


def test_reviewers_of_a_lens_that_does_not_block_may_all_fail() -> None:
    bench = Bench(GENERAL, STYLE, max_attempts=2)
    for _ in range(2):
        reviewer = bench.reviewers()["style"]
        bench.hub.bring_up(reviewer)
        bench.hub.send(AgentReport(state="failed", note="no idea"), Actor(reviewer, "instance"))
        bench.hub.bring_down()
    assert list(bench.reviewers()) == ["general"] and bench.hub.run.error is None
    bench.judge("general")
    assert bench.stands() is PieceStatus.ACCEPTED


def test_a_verdict_on_what_was_submitted_before_changes_nothing() -> None:
    bench = Bench(GENERAL, STYLE)
    bench.judge("general", "does not compute")
    bench.submit("a2")
    reviews = {
        i.agent_id: bench.hub.run.reviews[i.review_id or ""]
        for i in bench.hub.workspace.instances.alive()
        if i.review_id
    }
    late, review = next((name, item.review_id) for name, item in reviews.items() if item.head_oid == "a1")
    bench.hub.bring_up(late)
    bench.hub.send(ReviewVerdict(review_id=review, decision="approve"), Actor(late, "instance"))
    assert bench.stands() is PieceStatus.REVIEWING
    assert list(bench.reviewers()) == ["general", "style"]


def test_a_reviewer_is_given_the_checklist_of_its_lens_and_no_other() -> None:
    bench = Bench(GENERAL, SECURITY, STYLE)
    texts = {}
    for lens, name in bench.reviewers().items():
        bench.hub.bring_up(name)
        (message,) = bench.hub.workspace.messages.for_agent(name)
        texts[lens] = str(message.context["guidance"])
        assert "lens" not in message.text
    assert "- injection" in texts["security"] and "- names" in texts["style"]
    assert "lens" not in texts["general"] and "- names" not in texts["security"]


def test_a_snapshot_from_before_there_were_lenses_knows_the_review_of_a_piece() -> None:
    bench = Bench(GENERAL)
    plain = bench.hub.workspace.dump()
    (run,) = plain["runs"]
    del run["facts"]["lenses"], run["pieces"]["alpha"]["review_ids"]
    for review in run["reviews"].values():
        del review["lens"], review["criteria"], review["findings"]
    old = Workspace.load(plain)
    found = old.runs.by_id["run1"]
    assert [review.lens for review in found.reviews_of(found.pieces["alpha"])] == ["general"]
    bench.hub.workspace = old
    bench.judge("general")
    assert bench.stands() is PieceStatus.ACCEPTED


def test_a_composition_needs_its_review_even_where_a_team_lets_the_general_lens_not_block() -> None:
    bench = Bench(ReviewLens(name="general", blocking=False), SECURITY, max_attempts=2)
    hub = bench.hub
    review = Review(review_id="v9", piece=COMPOSITION, base_oid="b", head_oid="h", files=())
    hub.run.reviews["v9"], hub.run.composition_review = review, "v9"
    for _ in range(2):
        hub.send(RunHalt(), THE_PERSON)
        hub.send(RunResume(), THE_PERSON)
        instances = hub.workspace.instances.by_id
        reviewer = next(name for name in hub.living("reviewer") if instances[name].review_id == "v9")
        hub.bring_up(reviewer)
        hub.send(AgentReport(state="failed", note="no idea"), Actor(reviewer, "instance"))
        hub.bring_down()
    assert hub.run.error is not None and hub.run.error["code"] == "review.failed"


def test_findings_are_kept_only_until_they_go_back_or_the_piece_is_merged() -> None:
    bench = Bench(GENERAL, STYLE)
    bench.judge("style", "a name says nothing")
    assert [len(review.findings) for review in bench.hub.run.reviews.values()] == [0, 1]
    bench.judge("general")
    assert bench.stands() is PieceStatus.ACCEPTED
    late = Bench(GENERAL, STYLE)
    late.judge("general")
    late.judge("style", "a name says nothing")
    for run in (bench.hub.run, late.hub.run):
        assert all(not review.findings for review in run.reviews.values())


def test_the_author_gets_the_lines_the_rule_and_the_suggestion_of_a_finding() -> None:
    bench = Bench(GENERAL)
    name = bench.reviewers()["general"]
    bench.hub.bring_up(name)
    finding = Finding(file="src/a/x.py", line=3, end_line=5, msg="SQL injection", rule="input", suggestion="bind it")
    review = bench.hub.workspace.instances.by_id[name].review_id or ""
    bench.hub.send(ReviewVerdict(review_id=review, decision="reject", findings=(finding,)), Actor(name, "instance"))
    (text,) = bench.prompts()
    assert "- src/a/x.py:3-5: SQL injection (error, input)\n  Suggestion: bind it" in text
