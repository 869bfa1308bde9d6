"""The joint report of all reviewers of a piece, as fields, Markdown and SARIF (REV-2, REV-4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]

from aegis_tui.domain.core import Actor
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.review.lens import GENERAL
from aegis_tui.domain.review.markdown import review_markdown
from aegis_tui.domain.review.sarif import sarif_log
from aegis_tui.domain.review.summary import EVENTS, fold_reviews
from aegis_tui.domain.wire.review import PieceReview
from tests.domain.review.test_lens import SECURITY, STYLE, Bench

SCHEMA = json.loads(Path(__file__).with_name("sarif-schema-2.1.0.json").read_text("utf-8"))
"""The schema that the standard's committee publishes (github.com/oasis-tcs/sarif-spec)."""


def judge(bench: Bench, lens: str, *findings: Finding, approve: bool = False) -> None:
    name = bench.reviewers()[lens]
    bench.hub.bring_up(name)
    review = bench.hub.workspace.instances.by_id[name].review_id or ""
    criteria = (Criterion.model_validate({"id": "brief", "pass": approve, "evidence": "a|b"}),)
    decision: Any = "approve" if approve else "reject"
    command = ReviewVerdict(review_id=review, decision=decision, findings=findings, criteria=criteria)
    bench.hub.send(command, Actor(name, "instance"))
    bench.hub.bring_down()


def reviewed(bench: Bench) -> list[PieceReview]:
    return fold_reviews([event for event in bench.hub.log if event.data.type in EVENTS], "run1")


FINDING = Finding(
    file="src/a/größe x.py", line=3, end_line=4, msg="SQL `injection` <b>\x1b[31m", rule="input: SQL", confidence=0.9
)


@pytest.fixture
def rejected() -> Bench:
    bench = Bench(GENERAL, SECURITY, STYLE)
    judge(bench, "style", Finding(msg="a name says nothing", severity="info", suggestion="call it `rows`"))
    judge(bench, "security", FINDING)
    return bench


def test_one_blocking_lens_that_rejects_decides_before_the_others_have_spoken(rejected: Bench) -> None:
    (piece,) = reviewed(rejected)
    assert piece["verdict"] == "CHANGES_REQUESTED"
    assert [(item["lens"], item["blocking"], item["verdict"]) for item in piece["lenses"]] == [
        ("general", True, "PENDING"),
        ("security", True, "CHANGES_REQUESTED"),
        ("style", False, "CHANGES_REQUESTED"),
    ]
    assert [item["severity"] for item in piece["findings"]] == ["error", "info"] and piece["score"] == 9.6


def test_a_lens_that_does_not_block_does_not_decide() -> None:
    bench = Bench(GENERAL, STYLE)
    judge(bench, "style", Finding(msg="names"))
    assert reviewed(bench)[0]["verdict"] == "PENDING"
    judge(bench, "general", approve=True)
    assert reviewed(bench)[0]["verdict"] == "APPROVED"


def test_only_the_newest_submission_counts() -> None:
    bench = Bench(GENERAL)
    judge(bench, "general", Finding(msg="wrong"))
    bench.submit("a2")
    (piece,) = reviewed(bench)
    assert (piece["head_oid"], piece["verdict"], piece["findings"]) == ("a2", "PENDING", [])


def test_a_run_without_reviews_has_none() -> None:
    assert fold_reviews([], "run1") == []
    assert "Nothing has been reviewed yet" in review_markdown("run1", [])
    Draft4Validator(SCHEMA).validate(sarif_log("run1", [], version="1"))


def test_what_agents_wrote_stands_in_code_in_markdown(rejected: Bench) -> None:
    text = review_markdown("run1", reviewed(rejected))
    assert "## `alpha`: changes requested" in text
    assert "- **error** `src/a/größe x.py:3-4`: ``SQL `injection` <b>" in text and "\x1b" not in text
    assert "  Suggestion: `` call it `rows` ``" in text
    assert "- `security`: changes requested by NATIVE-" in text and "failed: `brief`" in text
    assert "- `style` (does not block)" in text


def test_the_sarif_log_is_one_by_the_published_schema(rejected: Bench) -> None:
    log = json.loads(json.dumps(sarif_log("run1", reviewed(rejected), version="0.1.0")))
    Draft4Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    first, second = run["results"]
    assert first["ruleId"] == "security/input-SQL" and first["level"] == "error" and first["rank"] == 90.0
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/a/gr%C3%B6%C3%9Fe%20x.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 3, "endLine": 4}
    assert "\x1b" not in first["message"]["text"]
    assert (
        second["level"] == "note" and "locations" not in second and "Suggestion: call it" in second["message"]["text"]
    )
    assert run["tool"]["driver"]["rules"][second["ruleIndex"]]["id"] == second["ruleId"]
    assert run["properties"]["verdict"] == "CHANGES_REQUESTED"


@pytest.mark.parametrize("change", ["level", "startLine", "extra"])
def test_the_schema_notices_what_is_wrong(rejected: Bench, change: str) -> None:
    log = sarif_log("run1", reviewed(rejected), version="0.1.0")
    result = log["runs"][0]["results"][0]
    if change == "level":
        result["level"] = "info"
    elif change == "startLine":
        result["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    else:
        result["file"] = "a.py"
    assert not Draft4Validator(SCHEMA).is_valid(log)
