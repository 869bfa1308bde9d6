"""What several reviewers found is told once, with a score, and in one order (REV-2)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.review.aggregate import Remark, distinct, is_same, joined
from aegis_tui.domain.review.finding import Finding


def remark(lens: Any = "general", /, **finding: Any) -> Remark:
    return Remark(Finding(**{"file": "a.py", "msg": "wrong", **finding}), lens, f"NATIVE-{lens}")


INJECTION: dict[str, Any] = {"line": 10, "end_line": 12, "msg": "The name reaches the SQL query unescaped."}
ALSO: dict[str, Any] = {
    "line": 12,
    "msg": "SQL query takes the name without escaping, unescaped input",
    "suggestion": "bind it",
}


def test_one_problem_that_two_reviewers_found_is_told_once_with_both() -> None:
    (item,) = joined([remark("general", **INJECTION), remark("security", rule="injection", **ALSO)])
    assert (item["lenses"], item["reviewers"]) == (["general", "security"], ["NATIVE-general", "NATIVE-security"])
    assert (item["rule"], item["suggestion"]) == ("injection", "bind it")
    assert item["confidence"] == 0.84 and item["score"] == 8.4


@pytest.mark.parametrize(
    "other",
    [
        {"line": 13},
        {"file": "b.py"},
        {"msg": "no test covers the branch where the cart is empty"},
        {"file": None, "line": None},
    ],
)
def test_another_place_or_another_matter_is_another_problem(other: dict[str, Any]) -> None:
    assert len(joined([remark(**INJECTION), remark("security", **{**ALSO, **other})])) == 2


def test_the_same_rule_about_overlapping_lines_is_one_problem_whatever_the_words() -> None:
    one, other = {**INJECTION, "rule": "injection"}, {"line": 11, "rule": "injection", "msg": "bind parameters"}
    assert len(joined([remark(**one), remark("security", **other)])) == 1


def test_without_a_line_the_words_decide_alone() -> None:
    whole = {"line": None, "msg": "the name reaches the SQL query unescaped"}
    assert len(joined([remark(**INJECTION), remark("security", **whole)])) == 1
    assert len(joined([remark(**INJECTION), remark("security", line=None, msg="SQL is used")])) == 2


def test_the_most_severe_and_surest_finding_tells_the_problem() -> None:
    mild = remark("style", **{**INJECTION, "severity": "info", "msg": "SQL query with the name unescaped, hm"})
    (item,) = joined([mild, remark("security", confidence=0.9, **INJECTION)])
    assert (item["severity"], item["msg"], item["line"], item["end_line"]) == ("error", INJECTION["msg"], 10, 12)


def test_a_reviewer_that_says_a_thing_twice_is_not_surer() -> None:
    (item,) = joined([remark(confidence=0.5, **INJECTION), remark(confidence=0.5, **INJECTION)])
    assert item["confidence"] == 0.5


def test_a_sure_error_comes_first_and_an_unsure_one_after_a_sure_warning() -> None:
    items = joined(
        [
            remark(msg="perhaps wrong", line=1, confidence=0.2),
            remark(msg="names", line=20, severity="warning", confidence=0.9),
            remark(msg="certainly broken", line=40, confidence=1.0),
        ]
    )
    assert [item["msg"] for item in items] == ["certainly broken", "names", "perhaps wrong"]
    assert [item["score"] for item in items] == [9.9, 3.6, 2.0]


def test_the_order_of_the_reviewers_makes_no_difference() -> None:
    remarks = [remark(**INJECTION), remark("security", **ALSO), remark("style", line=3), remark("style", line=3)]
    assert len({str(joined(order)) for order in permutations(remarks)}) == 1


def test_the_author_gets_each_problem_as_one_finding() -> None:
    (finding,) = distinct([remark(**INJECTION), remark("security", rule="injection", **ALSO)])
    assert (finding.msg, finding.rule, finding.suggestion) == (INJECTION["msg"], "injection", "bind it")


_FINDINGS = st.builds(
    Finding,
    file=st.sampled_from([None, "a.py", "b.py"]),
    line=st.none() | st.integers(1, 9),
    msg=st.sampled_from(["sql name unescaped", "the name is unescaped", "no test", "", "…"]),
    severity=st.sampled_from(["info", "warning", "error"]),
    rule=st.sampled_from(["", "injection"]),
    confidence=st.none() | st.floats(0, 1),
)


@given(st.lists(st.tuples(_FINDINGS, st.sampled_from(["general", "security"])), max_size=12))
def test_nothing_is_lost_and_nothing_is_told_twice(drawn: list[tuple[Finding, str]]) -> None:
    remarks = [Remark(finding, lens, f"NATIVE-{lens}") for finding, lens in drawn]
    items = joined(remarks)
    assert bool(items) == bool(remarks) and len(items) <= len(remarks)
    assert all(0 <= item["confidence"] <= 0.99 and item["reviewers"] for item in items)
    told = distinct(remarks)
    for one in remarks:
        assert any(one.finding.file == item.file for item in told)
    lone = [one for one in remarks if not any(is_same(one.finding, other.finding) for other in remarks if other != one)]
    assert all(any(one.finding.msg == item.msg for item in told) for one in lone)
