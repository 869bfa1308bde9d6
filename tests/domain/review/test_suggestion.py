"""What reviewers found goes to the author as `fix:suggested`, at the moment at which it is of use (REV-3)."""

from __future__ import annotations

from aegis_tui.domain.core import Actor
from aegis_tui.domain.instance.commands import AgentLeave
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.events import FixSuggested
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.lens import GENERAL
from aegis_tui.domain.review.suggestion import MOST_SUGGESTED
from tests.domain.review.test_lens import SECURITY, STYLE, Bench


def suggested(bench: Bench) -> list[FixSuggested]:
    return [event.data for event in bench.hub.log if isinstance(event.data, FixSuggested)]


def approve(bench: Bench, lens: str, *findings: Finding) -> None:
    name = bench.reviewers()[lens]
    bench.hub.bring_up(name)
    review = bench.hub.workspace.instances.by_id[name].review_id or ""
    bench.hub.send(ReviewVerdict(review_id=review, decision="approve", findings=findings), Actor(name, "instance"))
    bench.hub.bring_down()


def test_the_findings_of_a_rejection_are_suggested_with_the_prompt_that_has_them() -> None:
    bench = Bench(GENERAL, SECURITY)
    bench.judge("security", "SQL injection")
    assert suggested(bench) == []
    bench.judge("general", "it is wrong")
    assert [(item.to, item.file, item.finding.msg, item.prompted) for item in suggested(bench)] == [
        (bench.worker, "src/a/x.py", "it is wrong", True),
        (bench.worker, "src/a/x.py", "SQL injection", True),
    ]


def test_what_two_lenses_found_is_suggested_once() -> None:
    bench = Bench(GENERAL, SECURITY)
    bench.judge("security", "the name reaches SQL unescaped")
    bench.judge("general", "the name reaches SQL, unescaped")
    (item,) = suggested(bench)
    (text,) = bench.prompts()
    assert text.count("reaches SQL") == 1 and item.prompted


def test_the_remarks_of_an_approval_are_suggested_at_once_and_send_nothing_back() -> None:
    bench = Bench(GENERAL, SECURITY)
    approve(bench, "general", Finding(file="src/a/x.py", line=4, msg="a name", severity="info"))
    (item,) = suggested(bench)
    assert not item.prompted and not bench.prompts()


def test_a_lens_that_does_not_block_suggests_when_the_piece_is_not_sent_back() -> None:
    bench = Bench(GENERAL, STYLE)
    bench.judge("style", "a name says nothing")
    assert suggested(bench) == []
    bench.judge("general")
    assert [(item.finding.msg, item.prompted) for item in suggested(bench)] == [("a name says nothing", False)]


def test_a_late_verdict_suggests_too() -> None:
    bench = Bench(GENERAL, STYLE)
    bench.judge("general")
    bench.judge("style", "a name says nothing")
    assert [item.prompted for item in suggested(bench)] == [False]


def test_nothing_is_suggested_to_an_author_that_is_gone() -> None:
    bench = Bench(GENERAL)
    bench.hub.send(AgentLeave(), Actor(bench.worker, "instance"))
    approve(bench, "general", Finding(msg="a name"))
    assert suggested(bench) == []


def test_the_most_severe_of_many_are_suggested() -> None:
    bench = Bench(GENERAL)
    many = [Finding(file="src/a/x.py", line=n * 9 + 1, msg=f"m{n}", severity="info") for n in range(MOST_SUGGESTED)]
    approve(bench, "general", *many, Finding(msg="severe", severity="error"))
    assert len(suggested(bench)) == MOST_SUGGESTED and suggested(bench)[0].finding.msg == "severe"
