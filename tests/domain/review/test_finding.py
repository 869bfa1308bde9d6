"""What a reviewer sends has to say clearly what it is about, and is told everything that does not (FLOW-11)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.events import ReviewCompleted
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.tool.model import VerdictArguments, parse_arguments
from aegis_tui.errors import UsageError

GOOD = {
    "file": "src/app.py",
    "line": 3,
    "end_line": 5,
    "msg": "the name reaches SQL unescaped",
    "severity": "error",
    "rule": "injection",
    "suggestion": "pass it as a parameter",
    "confidence": 0.9,
}


def call(*findings: dict[str, Any]) -> VerdictArguments:
    """What the agent makes of a verdict as a model writes it."""
    fields = {"decision": "reject", "criteria": [{"id": "brief", "pass": True}], "findings": findings}
    arguments = parse_arguments("verdict", json.dumps(fields), allowed=["verdict"])
    assert isinstance(arguments, VerdictArguments)
    return arguments


def test_a_whole_finding_is_read_with_all_its_fields() -> None:
    (finding,) = call(GOOD).findings
    assert finding.model_dump(exclude={"type"}) == GOOD
    assert finding.lines == (3, 5)


def test_a_finding_needs_no_more_than_a_message() -> None:
    (finding,) = call({"msg": "no test covers the change"}).findings
    assert finding.lines is None and finding.confidence is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"msg": " "}, "findings.0.msg"),
        ({"file": "/etc/passwd"}, "relative to the repository"),
        ({"file": "src/../../x.py"}, "relative to the repository"),
        ({"file": ""}, "relative to the repository"),
        ({"line": 0}, "counted from 1"),
        ({"file": None}, "line: needs a file"),
        ({"end_line": 2}, "end_line"),
        ({"line": None}, "end_line"),
        ({"confidence": 90}, "less than or equal to 1"),
        ({"severity": "blocker"}, "'info', 'warning' or 'error'"),
        ({"line": "near the top"}, "valid integer"),
        ({"place": 3}, "Extra inputs"),
    ],
)
def test_a_finding_that_does_not_fit_is_refused_with_the_reason(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refusal:
        call({**GOOD, **wrong})
    assert told in str(refusal.value) and refusal.value.code == "tool.arguments"


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as refusal:
        call({**GOOD, "end_line": 1}, GOOD, {**GOOD, "msg": ""})
    assert "findings.0.end_line" in str(refusal.value) and "findings.2.msg" in str(refusal.value)


def test_the_hub_refuses_what_the_agent_would_for_reviewers_with_tools_of_their_own() -> None:
    with pytest.raises(ValidationError, match="counted from 1"):
        ReviewVerdict(review_id="run1-v1", decision="reject", findings=(Finding(file="a.py", line=0, msg="x"),))


def test_an_event_of_an_older_log_is_read_whatever_its_finding_names() -> None:
    fields = {"run": "run1", "review_id": "run1-v1", "reviewer": "NATIVE-r01", "piece": "alpha", "criteria": []}
    old = ReviewCompleted.model_validate(
        {**fields, "status": "CHANGES_REQUESTED", "findings": [{"type": "review", "file": "a", "line": 0, "msg": "x"}]}
    )
    assert old.findings[0].line == 0
