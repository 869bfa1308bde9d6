"""Tells flaky tests from broken ones: what failed and passes when it runs again, on the same tree (FLOW-7). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.domain.qa.check import CheckResult, QaCheck

SHOWN = 5


def is_worth_a_rerun(check: QaCheck, result: CheckResult) -> bool:
    """Return whether one more run of a check may show that it is flaky, so that the gate need not stay closed.

    That is so if it closes the gate only by new failures of tests that have names.

    Args:
        check: The check, compared with the base.
        result: Its result on the merged tree.
    """
    named = set(result.failures)
    if result.executed is None:  # a linter, or a tool that does not count its tests
        return False
    return not check.ok and check.status == "failed" and bool(check.new_failures) and named >= set(check.new_failures)


def flaky_tests(first: CheckResult, second: CheckResult) -> tuple[str, ...]:
    """Return the tests that failed in the first run and passed in the second, each once, in the order of the first.

    A test that the second run did not execute is none. If the second run does not name its tests, it must have executed
    as many as the first. Empty if the second run did not run to its end.
    """
    if second.status not in ("passed", "failed"):
        return ()
    again = set(second.failures)
    if second.tests is not None:
        ran = set(second.tests)
        return tuple(name for name in dict.fromkeys(first.failures) if name in ran and name not in again)
    if second.executed is None or second.executed != first.executed:
        return ()
    return tuple(name for name in dict.fromkeys(first.failures) if name not in again)


def settle(check: QaCheck, again: QaCheck, flaky: Sequence[str]) -> QaCheck:
    """Return the check that counts after one more run of a command on the same tree; it names what is flaky.

    Args:
        check: The first run, compared with the base; it closes the gate.
        again: The second run, compared with the base.
        flaky: The result of `flaky_tests`.

    Returns:
        The second check if it keeps the gate open and every new failure of the first is flaky; else the first one.
    """
    if not flaky:
        return check
    shown = ", ".join(flaky[:SHOWN]) + (f" and {len(flaky) - SHOWN} more" if len(flaky) > SHOWN else "")
    note = f"flaky: {shown} failed, and passed when it ran again on the same tree"
    chosen = again if again.ok and set(check.new_failures) <= set(flaky) else check
    return chosen.model_copy(
        update={"flaky": tuple(flaky), "note": "; ".join(filter(None, (chosen.note, note)))},
    )
