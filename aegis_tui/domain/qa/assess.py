"""Assess how one QA command ended on one tree: a status, with counts and names of tests (FLOW-7). Does no IO."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.command import Words, programs_of, script_of
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers import READERS, exit_reason
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, QaReader, plain, script_text
from aegis_tui.domain.qa.readers.lint import LINT_READERS
from aegis_tui.domain.qa.trouble import OWN_COMMAND, find_trouble, guess_trouble, import_remedy, is_placeholder

SHOWN = 4

_GAP = re.compile(r"^\[\d+ bytes left out\]$", re.M)
_CUT = "its output is too long, so its tests are not compared one by one"


def ask(command: str, place: CommandPlace) -> Asked:
    """Return how to run a command so that its test tools write machine-readable results; it still does the same.

    Args:
        command: The command as the person wrote it; unchanged in the result if no known tool is recognised in it.
        place: What may be known of the place where it will run.

    Returns:
        The command to run, the variables to set for it, and the result files that it will write.
    """
    environment: dict[str, str] = {}
    asked = Asked(command)
    for reader in READERS:
        more = reader.ask(asked.command, place)
        environment |= more.environment
        asked = Asked(more.command, environment, (*asked.files, *more.files))
    return asked


def tools_of(command: str, place: CommandPlace | None = None) -> tuple[QaReader, ...]:
    """Return the readers of the test tools that a command starts, by its text or by the package script that it runs.

    If all programs that it starts are known linters and type checkers, the readers of these are returned. Empty if no
    known tool is recognised.

    Args:
        command: The command line.
        place: Where package.json can be read; without it, a script is not looked up.
    """
    programs: Sequence[Words] = programs_of(command)
    script = script_of(command)
    if script is not None and place is not None:
        programs = programs_of(script_text(place, script) or command)
    tests = tuple(reader for reader in READERS if any(reader.starts(words) for words in programs))
    if tests or not programs:
        return tests
    linters = [next((reader for reader in LINT_READERS if reader.starts(words)), None) for words in programs]
    return tuple(dict.fromkeys(reader for reader in linters if reader)) if all(linters) else ()


def assess(command: str, outcome: Outcome, *, tools: Sequence[QaReader] = ()) -> CheckResult:
    """Determine the result of a command: status, counts and names of tests, and why it did not run or ran no test.

    The status is `not_run` if the command could not run, or not to its end, `empty` if its test tool executed no test,
    else `passed` or `failed`. If the output lacks its middle, counts and names of tests are left out.

    Args:
        command: The command as the person wrote it.
        outcome: How it ended, what it printed, and the result files that it left.
        tools: Readers of the test tools that it is known to start; without one, any tool is recognised by its output.
    """
    if trouble := find_trouble(command, outcome):
        return _result(outcome, "not_run", reason=trouble.reason, remedy=trouble.remedy)
    text = plain(outcome.output)
    if is_placeholder(text):
        reason = "package.json has npm's placeholder for tests"
        return _result(outcome, "empty", reason=reason, remedy=f"write a test script, {OWN_COMMAND}")
    reading = _combined([part for reader in (tools or READERS) if (part := reader.read(outcome))])
    if reading is None and tools:
        reading = _combined([part for reader in READERS if (part := reader.read(outcome))])
    is_cut = reading is not None and reading.tests is not None and not reading.is_from_file and bool(_GAP.search(text))
    if reading is not None and is_cut:
        failed = len(reading.failures) or None
        reading = replace(reading, tests=None, passed=None, failed=failed, ran=None)
        return _of_reading(command, outcome, reading, tools, text).model_copy(update={"is_cut": True, "note": _CUT})
    ran = reading is not None and bool(reading.executed or reading.failures)
    if not ran and (trouble := guess_trouble(command, outcome)):
        return _result(outcome, "not_run", reading, reason=trouble.reason, remedy=trouble.remedy)
    return _of_reading(command, outcome, reading, tools, text)


def _of_reading(
    command: str, outcome: Outcome, reading: Reading | None, tools: Sequence[QaReader], text: str
) -> CheckResult:
    ended_well = outcome.exit_code == 0
    if reading is None:
        if ended_well and tools:
            names = " and ".join(reader.tool for reader in tools)
            reason = f"nothing in its output shows that {names} ran a test"
            return _result(outcome, "empty", reason=reason, remedy=_SEE)
        if reason := _stop(command, outcome):
            return _result(outcome, "not_run", reason=reason, remedy=_SEE)
        return _result(outcome, "passed" if ended_well else "failed")
    stop = reading.stopped or _stop(command, outcome)
    if reading.unloaded or (stop and (tools or not ended_well)):
        return _result(outcome, "not_run", reading, reason=_why(reading, stop), remedy=_remedy(reading, text))
    failed = bool(reading.failures or reading.failed)
    if reading.executed == 0 and not failed:
        return _result(outcome, "empty", reading, reason=f"{reading.tool} executed no test", remedy=_EMPTY_HINT)
    if failed or not ended_well:
        return _result(outcome, "failed", reading, failed=reading.failed or None)
    return _result(outcome, "passed", reading)


_SEE = "see its output: aegis-tui qa --output CHECK"
_EMPTY_HINT = f"check where the command looks for tests, {OWN_COMMAND}"


def _stop(command: str, outcome: Outcome) -> str:
    """Return why the last program of a command stopped early, by its exit code.

    Empty when the code does not show that.
    """
    programs = programs_of(command)
    return exit_reason(programs[-1], outcome.exit_code) if programs else ""


def _why(reading: Reading, stop: str) -> str:
    if not reading.unloaded:
        return stop
    names = ", ".join(reading.unloaded[:SHOWN])
    more = f" and {len(reading.unloaded) - SHOWN} more" if len(reading.unloaded) > SHOWN else ""
    return f"{reading.tool} could not load {names}{more}"


def _remedy(reading: Reading, text: str) -> str:
    if reading.remedy:
        return reading.remedy
    return import_remedy(text) or _SEE


def _combined(readings: Sequence[Reading]) -> Reading | None:
    """Return one reading for several tools of one command; None for no reading.

    Counts are added, and lists joined. A count is unknown if any tool's is; only failures that are known are counted
    nevertheless. A tool that executed no test is left out if another executed some.
    """
    if len(readings) < 2:
        return readings[0] if readings else None
    counted = [item for item in readings if item.executed is not None]
    if any(item.executed for item in counted):
        readings = [item for item in readings if item.executed != 0 or item.unloaded or item.stopped]
    if len(readings) == 1:
        return readings[0]
    known = all(item.executed is not None for item in readings)
    named = all(item.tests is not None for item in readings)
    return Reading(
        " and ".join(item.tool for item in readings),
        sum(item.passed or 0 for item in readings) if known else None,
        sum(item.failed or 0 for item in readings) if known or any(item.failed for item in readings) else None,
        tuple(name for item in readings for name in item.failures),
        frozenset(name for item in readings for name in item.tests or ()) if named else None,
        tuple(name for item in readings for name in item.unloaded),
        next((item.stopped for item in readings if item.stopped), ""),
        next((item.remedy for item in readings if item.remedy), ""),
        all(item.is_machine_readable for item in readings),
        all(item.is_from_file for item in readings),
        sum(item.executed or 0 for item in readings) if known else None,
    )


def _result(outcome: Outcome, status: str, reading: Reading | None = None, **changes: object) -> CheckResult:
    fields: dict[str, object] = {
        "status": status,
        "exit_code": outcome.exit_code,
        "duration_s": round(outcome.duration_s, 3),
    }
    if reading is not None:
        fields |= {
            "executed": reading.executed,
            "passed": reading.passed,
            "failed": reading.failed,
            "failures": reading.failures,
            "unloaded": reading.unloaded,
            "tests": None if reading.tests is None else tuple(sorted(reading.tests)),
        }
    return CheckResult.model_validate(fields | changes)
