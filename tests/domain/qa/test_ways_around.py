"""Ways around the gate that were tried on it: each must shut it (FLOW-7)."""

from __future__ import annotations

from aegis_tui.domain.qa.assess import assess, tools_of
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.verdict import judge

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
    assert not verdict.ok and "1 tests ran, 2 on the base" in verdict.reason


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
