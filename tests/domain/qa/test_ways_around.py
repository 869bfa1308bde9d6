"""Ways around the gate that were tried on it: each must shut it (FLOW-7)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.qa.assess import assess, tools_of
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.outcome import Outcome, ResultFile
from aegis_tui.domain.qa.verdict import compare, judge

FIRST = "FAILED a/test_x.py::test_b - assert 0\n1 failed, 1 passed in 0.02s\n"
SECOND = "2 passed in 0.01s\n"


def test_a_failure_in_the_first_of_two_sessions_counts_whatever_the_last_one_says() -> None:
    command = "python3 -m pytest -q a; python3 -m pytest -q b"
    base = assess(command, Outcome(0, SECOND + SECOND), tools=tools_of(command))
    result = assess(command, Outcome(0, FIRST + SECOND), tools=tools_of(command))
    verdict = judge(command, result, base)
    assert not verdict.ok
    assert "a/test_x.py::test_b" in verdict.new_failures


def test_a_second_program_that_fails_now_is_not_covered_by_an_old_failure() -> None:
    old = CheckResult(status="failed", executed=2, passed=1, failed=1, failures=("t.py::b",), exit_code=0)
    verdict = judge("make test", old.model_copy(update={"exit_code": 2}), old)
    assert not verdict.ok and "no new failure explains" in verdict.reason
    assert judge("make test", old, old).ok


def test_fewer_failures_may_change_the_exit_code_of_a_tool_that_counts_them() -> None:
    base = CheckResult(status="failed", executed=3, passed=1, failed=2, failures=("a", "b"), exit_code=2)
    better = CheckResult(status="failed", executed=3, passed=2, failed=1, failures=("a",), exit_code=1)
    assert judge("mocha", better, base).ok


def test_a_line_that_looks_like_a_summary_does_not_stand_for_tests_with_names() -> None:
    base = CheckResult(status="passed", executed=2, passed=2, tests=("t.py::a", "t.py::b"), exit_code=0)
    faked = CheckResult(status="passed", executed=2, passed=2, exit_code=0)
    verdict = judge("sh t.sh", faked, base)
    assert not verdict.ok and "names" in verdict.reason


def test_a_failing_test_that_is_skipped_beside_a_new_one_is_no_repair() -> None:
    both = ("t.py::a", "t.py::b")
    base = CheckResult(status="failed", executed=2, passed=1, failed=1, failures=both[1:], tests=both, exit_code=1)
    result = CheckResult(status="passed", executed=2, passed=2, tests=("t.py::a", "t.py::c"), exit_code=0)
    verdict = judge("pytest", result, base)
    assert not verdict.ok and "t.py::b" in verdict.reason
    assert judge("pytest", result, base, removes=["t.py::b"]).ok
    assert judge("pytest", result.model_copy(update={"tests": both}), base).ok


def test_a_test_that_is_expected_to_fail_now_did_not_run() -> None:
    base = assess("make test", Outcome(0, "2 passed in 0.01s\n"))
    result = assess("make test", Outcome(0, "1 passed, 1 xfailed in 0.01s\n"))
    verdict = judge("make test", result, base)
    assert not verdict.ok and "1 test ran, 2 on the base" in verdict.reason


def test_a_tool_that_broke_has_not_run_whatever_a_later_program_ends_with() -> None:
    command = "python3 -m pytest -q; echo done"
    broken = "...INTERNALERROR> Traceback\nINTERNALERROR> ValueError: 1\n3 passed in 0.01s\ndone\n"
    result = assess(command, Outcome(0, broken), tools=tools_of(command))
    assert (result.status, result.reason) == ("not_run", "pytest broke: ValueError: 1")


def test_failures_that_a_wrapper_hides_behind_a_good_exit_code_count() -> None:
    ran = "Ran 2 tests in 0.001s\n\n"
    base = assess("make test", Outcome(0, f"{ran}OK\n"))
    result = assess("make test", Outcome(0, f"FAIL: test_b (test_a.T)\n{ran}FAILED (failures=1)\n"))
    verdict = judge("make test", result, base)
    assert (verdict.ok, verdict.new_failures) == (False, ("test_b (test_a.T)",))


def test_tests_of_the_same_names_elsewhere_stand_for_none_whose_file_is_as_it_was() -> None:
    base = CheckResult(status="passed", executed=1, passed=1, tests=("test_a.py::test_1",), exit_code=0)
    result = base.model_copy(update={"tests": ("other/test_o.py::test_1",)})
    verdict = judge("pytest", result, base, changed=["pytest.ini", "other/test_o.py"])
    assert not verdict.ok and "test_a.py::test_1" in verdict.reason
    assert judge("pytest", result, base, changed=["api/test_a.py", "other/test_o.py"]).ok


def test_what_comes_after_a_part_that_fails_on_the_base_too_is_not_taken_for_good() -> None:
    old = CheckResult(status="failed", executed=2, passed=1, failed=1, failures=("a/t.py::b",), exit_code=1)
    verdict = judge("pytest a && pytest b", old, old)
    assert (verdict.ok, verdict.is_acceptable) == (False, True)
    assert "after &&" in verdict.reason and "a command of its own" in verdict.remedy
    assert judge("cd a && pytest", old, old).ok
    assert judge("ruff check . && pytest", old, old).ok


def test_the_report_says_which_tests_went_because_the_design_names_them() -> None:
    base = CheckResult(status="passed", executed=2, passed=2, tests=("t.py::a", "t.py::b"), exit_code=0)
    result = base.model_copy(update={"executed": 1, "passed": 1, "tests": ("t.py::a",)})
    assert compare(1, "pytest", result, base, removes=["t.py::b"]).note == "removed, as the design says: t.py::b"
    unnamed = [item.model_copy(update={"tests": None}) for item in (result, base)]
    assert "1 fewer test than on the base" in compare(1, "pytest", *unnamed, removes=["t.py"]).note


def test_tests_that_were_read_from_an_output_with_a_gap_are_not_compared_by_name() -> None:
    line = '{"Action": "%s", "Package": "x", "Test": "Test%d"}'
    passed, failed = ([line % (word, number) for number in range(4)] for word in ("pass", "fail"))
    gap = "[12 bytes left out]"
    command = "go test ./..."
    whole = assess(command, Outcome(0, "\n".join(passed)), tools=tools_of(command))
    cut = assess(command, Outcome(0, "\n".join([*passed[:2], gap, passed[3]])), tools=tools_of(command))
    other = assess(command, Outcome(0, "\n".join([*passed[:1], gap, passed[3]])), tools=tools_of(command))
    assert judge(command, other, cut).ok and "too long" in compare(1, command, other, cut).note
    assert not judge(command, cut, whole).ok
    bad = assess(command, Outcome(1, "\n".join([failed[0], gap, passed[3]])), tools=tools_of(command))
    assert not judge(command, bad, cut).ok
    verdict = judge(command, bad, bad)
    assert (verdict.ok, verdict.is_acceptable) == (False, True) and "too long" in verdict.reason


@pytest.mark.parametrize("tool", ["pytest", "ctest"])
def test_a_file_of_another_tool_does_not_make_an_output_with_a_gap_whole(tool: str) -> None:
    line = '{"Action": "%s", "Package": "x", "Test": "Test%d"}'
    output = "\n".join([line % ("fail", 0), "[12 bytes left out]", line % ("pass", 3)])
    command = "go test ./..."
    found = assess(command, Outcome(1, output, (ResultFile(tool, b"<testsuites/>"),)), tools=tools_of(command))
    assert (found.is_cut, found.tests) == (True, None)
    verdict = judge(command, found, found)
    assert (verdict.ok, verdict.is_acceptable) == (False, True)
