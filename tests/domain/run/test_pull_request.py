"""A text for a pull request: from the report, and harmless whatever agents wrote (GIT-8)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from aegis_tui.domain.run.pull_request import pull_request_text
from aegis_tui.errors import Refused
from tests.frozen.logs import DATA

REPORT: Any = json.loads((DATA / "logs" / "2.report.json").read_text("utf-8"))["reports"]["run1"]


def report(**changes: Any) -> Any:
    return {**copy.deepcopy(REPORT), **changes}


def test_it_names_goal_checks_reviews_and_rules() -> None:
    text = pull_request_text(report())
    assert text.title == REPORT["commit"]["subject"]
    for part in ("### Checks", "| `pytest` | passed |", "### Review", "approved by", "### Rules", "gitleaks 8.24.0"):
        assert part in text.body, part
    assert "- allowed: `src/c/x.bin`: `nobody can review a binary file` (binary)" in text.body


def test_what_is_left_out_is_named_apart_from_what_is_in_the_commit() -> None:
    reason = "QA fails with it: @everyone"
    body = pull_request_text(report(left_out=[{"piece": "beta", "reason": reason, "ref": None}])).body
    assert "- left out: `beta`: `QA fails with it: @everyone`" in body
    assert "- `beta`: NATIVE" not in body and "- `alpha`: NATIVE" in body


def test_only_pieces_of_the_commit_and_their_last_reviews_are_listed() -> None:
    found = report(left_out=[{"piece": "beta", "reason": "QA fails with it", "ref": None}])
    first = {**found["reviews"][0], "piece": "alpha", "verdict": "CHANGES_REQUESTED", "reviewer": "NATIVE-r90"}
    last = {**first, "verdict": "APPROVED", "reviewer": "NATIVE-r91"}
    found["reviews"] = [first, {**last, "piece": "beta"}, last]
    found["instances"].append({**found["instances"][0], "feature": "composition", "role": "reviewer"})
    body = pull_request_text(found).body
    assert [line for line in body.splitlines() if " by NATIVE" in line] == ["- `alpha`: approved by NATIVE-r91"]
    assert "- `composition`:" not in body


def test_without_a_commit_there_is_no_text() -> None:
    with pytest.raises(Refused):
        pull_request_text(report(commit=None))


def test_what_agents_wrote_mentions_nobody_and_closes_no_issue() -> None:
    evil = "closes #1 @everyone `x` <img src=x>\n# Heading\u202e | cell"
    found = report(goal=evil)
    found["qa"][-1]["command"] = evil
    found["reviews"][0]["piece"] = evil
    body = pull_request_text(found).body
    for line in body.splitlines():
        if "@everyone" in line:
            assert line.split("``")[1].strip().startswith("closes #1 @everyone `x`")
    assert "\n# Heading" not in body and "\u202e" not in body
    assert "\\| cell" in next(line for line in body.splitlines() if line.startswith("| ``"))
