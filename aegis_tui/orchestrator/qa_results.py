"""What a QA command left behind, as the result and the output that are kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis_tui.domain.qa.check import CheckResult, QaCheck
from aegis_tui.domain.qa.flaky import flaky_tests, settle
from aegis_tui.orchestrator.qa_outputs import Kept
from aegis_tui.orchestrator.qa_run import CommandRun

SHOWN = 4
SET_UP = "git submodule update --init"


def settled_checks(
    checks: Sequence[QaCheck],
    again: Sequence[QaCheck],
    suspects: Sequence[int],
    first: Mapping[str, Kept],
    second: Mapping[str, Kept],
) -> tuple[QaCheck, ...]:
    """Return all checks, those that were tried twice with what both tries together mean.

    Args:
        checks: The checks of the first try.
        again: All checks with the results of the second try.
        suspects: The places in both of the checks that were tried twice.
        first: Command -> its result in the first try.
        second: Command -> its result in the second try.
    """
    settled = list(checks)
    for number in suspects:
        command = checks[number].command
        flaky = flaky_tests(first[command].result, second[command].result)
        settled[number] = settle(checks[number], again[number], flaky)
    return tuple(settled)


def keep_run(ran: CommandRun, result: CheckResult) -> Kept:
    """Return the result of a command with its output, and with notes on changed files, submodules and lock files.

    The reasons why it could not run, if any, are appended to its output.

    Args:
        ran: How the command ended.
        result: What that means.
    """
    said = [result.note] if result.note else []
    if ran.changed:
        said.append(f"it changed {_list(ran.changed)}; the changes were undone before the next check")
    if ran.empty and result.status != "passed":
        said.append(f"empty submodules: {_list(ran.empty)}; to fill them, run in your checkout: {SET_UP}")
        result = result.model_copy(update={"remedy": f"{SET_UP}, or {result.remedy}" if result.remedy else SET_UP})
    if ran.outdated and result.status != "passed":
        said.append(f"it ran in the environment of the base, and {_list(ran.outdated)} changed since")
    result = result.model_copy(update={"note": "; ".join(said)})
    notes = [f"[aegis-tui: {item.reason}]" for item in ran.outcome.obstacles]
    return Kept(result, "\n".join([ran.outcome.output, *notes]) if notes else ran.outcome.output)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
