"""What failed once and passes on the same tree is flaky; what cannot be shown to have passed is not (FLOW-7)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.flaky import flaky_tests, is_worth_a_rerun, settle
from aegis_tui.domain.qa.verdict import compare

BASE = CheckResult(status="passed", executed=3, passed=3, tests=("a", "b", "c"))


def result(*failed: str, tests: tuple[str, ...] | None = ("a", "b", "c"), executed: int = 3) -> CheckResult:
    return CheckResult(
        status="failed" if failed else "passed",
        executed=executed,
        passed=executed - len(failed),
        failed=len(failed),
        failures=failed,
        tests=tests,
        exit_code=1 if failed else 0,
    )


@pytest.mark.parametrize(
    ("second", "flaky"),
    [
        (result(), ("a", "b")),
        (result("a"), ("b",)),
        (result("a", "b"), ()),
        (result("c"), ("a", "b")),
        (result(tests=("b", "c"), executed=2), ("b",)),
        (result(tests=None), ("a", "b")),
        (result(tests=None, executed=2), ()),
        (CheckResult(status="not_run", tests=("a", "b", "c")), ()),
        (CheckResult(status="empty"), ()),
    ],
)
def test_what_passes_in_the_second_run_is_flaky(second: CheckResult, flaky: tuple[str, ...]) -> None:
    assert flaky_tests(result("a", "b"), second) == flaky


def test_only_failures_with_names_are_worth_a_rerun() -> None:
    assert is_worth_a_rerun(compare(1, "t", result("a"), BASE), result("a"))
    linted = CheckResult(status="failed", failures=("a.py: F401",), exit_code=1)
    assert not is_worth_a_rerun(compare(1, "ruff check", linted, CheckResult(status="passed")), linted)
    unnamed = CheckResult(status="failed", exit_code=1)
    assert not is_worth_a_rerun(compare(1, "t", unnamed, BASE), unnamed)
    assert not is_worth_a_rerun(compare(1, "t", result(), BASE), result())
    lost = result(tests=("a",), executed=1)
    assert not is_worth_a_rerun(compare(1, "t", lost, BASE), lost)


def test_the_second_run_counts_only_if_it_is_clean_and_explains_every_failure_of_the_first() -> None:
    first, clean = compare(1, "t", result("a", "b"), BASE), compare(1, "t", result(), BASE)
    assert settle(first, clean, ("a", "b")).ok
    assert not settle(first, clean, ("a",)).ok
    other = compare(1, "t", result("c"), BASE)
    kept = settle(first, other, ("a", "b"))
    assert not kept.ok and kept.new_failures == ("a", "b") and kept.flaky == ("a", "b")
    assert settle(first, clean, ()) == first
