from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aegis_tui.domain.qa.check import CheckResult, Status, accept
from aegis_tui.domain.qa.identity import lost_tests
from aegis_tui.domain.qa.verdict import compare, judge

NAMES = st.lists(st.sampled_from(["a", "b", "c", "d::x", "d::y"]), max_size=4).map(tuple)
COUNT = st.none() | st.integers(0, 6)
STATUSES: tuple[Status, ...] = ("passed", "failed", "not_run", "empty")


@st.composite
def results(draw: st.DrawFn) -> CheckResult:
    """Any result, also ones that no reader would give."""
    status = draw(st.sampled_from(STATUSES))
    failures = draw(NAMES) if status in ("failed", "not_run") else ()
    unloaded = draw(NAMES) if status == "not_run" else ()
    return CheckResult(
        status=status,
        executed=draw(COUNT),
        passed=draw(COUNT),
        failed=draw(COUNT) if status != "passed" else None,
        failures=failures,
        unloaded=unloaded,
        tests=draw(st.none() | NAMES.map(lambda names: tuple(sorted(set(names))))),
    )


def fewer(now: CheckResult, base: CheckResult) -> bool:
    return bool(base.executed) and (now.executed is None or now.executed < (base.executed or 0))


def fresh(now: CheckResult, base: CheckResult) -> bool:
    return bool(Counter(now.failures) - Counter(base.failures)) or (now.failed or 0) > (base.failed or 0)


FAILED = CheckResult(status="failed", failed=2)
ONE_FAILED = CheckResult(status="failed", failed=1)


@given(now=results(), base=results())
@example(now=FAILED, base=ONE_FAILED)
@example(now=CheckResult(status="passed", executed=3), base=CheckResult(status="passed", executed=10))
def test_a_new_failure_a_lost_test_or_a_check_that_did_not_run_shuts_the_gate(
    now: CheckResult, base: CheckResult
) -> None:
    verdict = judge("make check", now, base)
    is_new = now.status == "failed" and (base.status == "passed" or fresh(now, base))
    named = base.executed and now.executed is not None and now.tests is not None and base.tests is not None
    is_lost = named and lost_tests(base.tests or (), now.tests or ())
    if now.status in ("not_run", "empty") or fewer(now, base) or is_new or is_lost:
        assert not verdict.ok


@given(now=results(), base=results())
def test_an_open_gate_has_a_ground_and_a_shut_one_a_reason(now: CheckResult, base: CheckResult) -> None:
    verdict = judge("make check", now, base)
    if verdict.ok:
        assert now.status == "passed" or (base.status == "failed" and not fresh(now, base))
        return
    assert verdict.reason or verdict.status in ("not_run", "empty")
    if verdict.is_acceptable:
        assert base.status != "passed"
        assert not fewer(now, base)
        assert now.status == "failed" or (now.status == "not_run" and now.executed and now.unloaded)
        if now.status == "not_run":
            assert not Counter(now.unloaded) - Counter(base.unloaded)
            assert not fresh(now, base)


def result(status: Status, *failures: str, executed: int | None = None, **fields: object) -> CheckResult:
    plain = {"status": status, "failures": failures, "executed": executed, "failed": len(failures) or None}
    return CheckResult.model_validate({**plain, **fields})


@pytest.mark.parametrize(
    ("now", "base", "ok", "new", "words"),
    [
        (result("passed", executed=10), result("passed", executed=10), True, (), ""),
        (result("passed", executed=11), result("failed", "a", executed=10), True, (), ""),
        (result("failed", "a", executed=3), result("failed", "a", "b", executed=3), True, (), ""),
        (result("failed", "a"), result("passed"), False, ("a",), "1 new failure: a"),
        (result("failed"), result("passed"), False, ("make",), "it fails; it passes on the base"),
        (result("failed", exit_code=2), result("passed"), False, ("make",), "it ends with exit code 2; it passes"),
        (result("failed", executed=3, exit_code=2), result("passed", executed=3), False, ("make",), "none of its"),
        (result("failed", "a", "c"), result("failed", "a"), False, ("c",), "1 new failure: c"),
        (result("failed", "a", "a"), result("failed", "a"), False, ("a",), "1 new failure: a"),
        (FAILED, ONE_FAILED, False, ("make",), "2 failures, 1 on the base"),
        (ONE_FAILED, ONE_FAILED, True, (), ""),
        (result("passed", executed=3), result("passed", executed=10), False, (), "3 tests ran, 10 on the base"),
        (result("passed"), result("passed", executed=10), False, (), "nothing shows that any test ran"),
        (result("failed", "a", executed=2), result("failed", "a", executed=3), False, (), "2 tests ran, 3 on the base"),
        (result("failed"), result("failed", "a"), False, ("make",), "differently than on the base"),
        (result("failed", "a"), result("failed", failed=1), False, ("a",), "1 new failure: a"),
        (result("not_run", reason="jest is missing"), result("not_run"), False, (), "jest is missing"),
        (result("not_run", reason="timed out"), result("failed", "a"), False, (), "timed out"),
        (result("not_run", unloaded=("cart",), reason="r"), result("failed", "a"), False, ("cart",), "r"),
        (result("empty", executed=0, reason="r"), result("empty", executed=0), False, (), "r"),
    ],
)
def test_each_pair_of_results_has_its_verdict(
    now: CheckResult, base: CheckResult, ok: bool, new: tuple[str, ...], words: str
) -> None:
    verdict = judge("make", now, base)
    assert (verdict.ok, verdict.new_failures) == (ok, new)
    assert words in verdict.reason
    assert not verdict.is_acceptable


@pytest.mark.parametrize(
    ("now", "base", "words"),
    [
        (result("failed"), result("failed"), "neither output names or counts"),
        (result("failed", "a"), result("not_run", reason="no pytest"), "where it did not run (no pytest)"),
        (result("failed", "a"), result("empty"), "where it executed no test"),
        (
            result("not_run", executed=4, unloaded=("t",), reason="could not load t"),
            result("not_run", executed=4, unloaded=("t",)),
            "could not load t",
        ),
    ],
)
def test_a_base_that_cannot_be_compared_shuts_the_gate_until_a_person_accepts_it(
    now: CheckResult, base: CheckResult, words: str
) -> None:
    check = compare(1, "make", now, base)
    assert (check.ok, check.is_acceptable, check.accepted_by) == (False, True, None)
    assert words in (check.reason or "")
    accepted = accept(check, "person")
    assert (accepted.ok, accepted.status, accepted.accepted_by) == (True, now.status, "person")


def test_accepting_changes_no_other_check() -> None:
    check = compare(1, "make", FAILED, ONE_FAILED)
    assert accept(check, "person") == check


ALL = ("tests/a.py::x", "tests/b.py::y", "tests/b.py::z")


@pytest.mark.parametrize(
    ("removes", "ok"),
    [
        ((), False),
        (("tests/a.py",), False),
        (("tests/b.py",), True),
        (("tests/b*",), True),
        (("tests/b.py::y", "tests/b.py::z"), True),
        (("tests/**",), True),
        (("[",), False),
    ],
)
def test_tests_may_go_where_the_design_names_them(removes: tuple[str, ...], ok: bool) -> None:
    base = result("passed", executed=3, tests=ALL)
    now = result("passed", executed=1, tests=ALL[:1])
    verdict = judge("pytest", now, base, removes=removes)
    assert verdict.ok is ok
    if not removes:
        assert "gone: tests/b.py::y, tests/b.py::z" in verdict.reason


def test_without_names_a_design_that_removes_tests_excuses_their_number() -> None:
    now, base = result("passed", executed=3), result("passed", executed=10)
    assert judge("unittest", now, base, removes=("tests/old.py",)).ok
    assert not judge("unittest", result("empty", executed=0), base, removes=("tests/**",)).ok


def test_another_test_in_place_of_one_that_went_is_a_loss_also_where_the_number_is_the_same() -> None:
    base = result("passed", executed=2, tests=("t.py::a", "t.py::b"))
    now = result("passed", executed=3, tests=("t.py::a", "t.py::c", "t.py::d"))
    verdict = judge("pytest", now, base)
    assert (verdict.ok, verdict.reason) == (False, "tests that ran on the base did not run now: t.py::b")
    assert judge("pytest", now, base, removes=["t.py::b"]).ok


def test_a_check_is_named_by_its_number_and_program_and_keeps_the_output_of_a_shut_gate() -> None:
    shut = compare(2, "python3 -m pytest -q", result("failed", "a"), result("passed"), tail="the end")
    assert (shut.check, shut.output_tail) == ("2 pytest", "the end")
    assert compare(1, "true", result("passed"), result("passed"), tail="the end").output_tail == ""
    assert shut.base is not None and shut.base.status == "passed"


def test_a_hint_to_the_output_of_a_check_names_its_number() -> None:
    unloaded = result("not_run", remedy="see its output: aegis-tui qa --output CHECK")
    assert compare(2, "pytest", unloaded, unloaded).remedy == "see its output: aegis-tui qa --output 2"


def test_names_are_shown_up_to_their_limit_and_more_are_counted() -> None:
    names = tuple(f"t{number}" for number in range(6))

    def reason(count: int, *, executed: int | None = None) -> str:
        now = CheckResult(status="failed", failed=count, failures=names[:count])
        return judge("make check", now, CheckResult(status="passed", executed=executed)).reason

    assert reason(1) == "1 new failure: t0"
    assert reason(5) == "5 new failures: t0, t1, t2, t3, t4"
    assert reason(6) == "6 new failures: t0, t1, t2, t3, t4 and 1 more"
    assert reason(2, executed=9).startswith("2 new failures: t0, t1; 9 tests ran on the base; ")
