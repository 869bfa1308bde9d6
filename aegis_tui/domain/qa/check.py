"""QA checks as they are logged and reported: their status, and whether they keep the gate open (contract 4, FLOW-7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aegis_tui.domain.count import counted
from aegis_tui.domain.model import FrozenModel

Status = Literal["passed", "failed", "not_run", "empty"]
"""`not_run`: the command could not run, or not to its end. `empty`: its test tool executed no test."""


class CheckResult(FrozenModel):
    """The result of one command on one tree."""

    status: Status
    executed: int | None = None
    """How many tests ran; None when the output gives no number."""
    passed: int | None = None
    failed: int | None = None
    failures: tuple[str, ...] = ()
    """Names of the tests that failed; one that failed twice is listed twice."""
    unloaded: tuple[str, ...] = ()
    """Modules, files or crates that could not be imported, collected or compiled."""
    tests: tuple[str, ...] | None = None
    """Names of the tests that ran, sorted; None when the tool names only failures."""
    reason: str = ""
    """Why it did not run, or executed no test."""
    remedy: str = ""
    """The command or step that would help."""
    note: str = ""
    """A further remark for the person."""
    is_cut: bool = False
    """True when its tests were read from an output without its middle, so that names and counts are incomplete."""
    exit_code: int | None = None
    """Its exit code; None when it was ended early, or when an older version recorded the result."""
    duration_s: float = 0.0


class BaseCheck(FrozenModel):
    """The result of the same command on the base, without names."""

    status: Status
    executed: int | None = None
    passed: int | None = None
    failed: int | None = None
    reason: str = ""


class QaCheck(FrozenModel):
    """The result of one QA command on the merged tree, compared with the base (FLOW-7)."""

    check: str
    """Its number, from 1, and the program: `1 pytest`."""
    command: str
    status: Status
    ok: bool
    """True when it does not close the gate."""
    executed: int | None = None
    passed: int | None = None
    failed: int | None = None
    new_failures: tuple[str, ...] = ()
    reason: str | None = None
    """Why it closes the gate."""
    remedy: str = ""
    """The command or step that would help."""
    note: str = ""
    """A further remark for the person."""
    is_acceptable: bool = False
    """True when it fails only because the base cannot be compared, which a person may accept."""
    accepted_by: str | None = None
    flaky: tuple[str, ...] = ()
    """Tests that failed, and passed when the command ran again on the same tree."""
    base: BaseCheck | None = None
    duration_s: float = 0.0
    output_tail: str = ""
    """The end of its output, if it closes the gate."""


def accept(check: QaCheck, by: str) -> QaCheck:
    """Return a copy of the check with `ok` set and accepted by `by` if it is acceptable; any other check unchanged."""
    if not check.is_acceptable:
        return check
    return check.model_copy(update={"ok": True, "is_acceptable": False, "accepted_by": by})


def waits_for_person(checks: Sequence[QaCheck]) -> bool:
    """Return whether the gate is closed only by checks that a person may accept; False if it is not closed."""
    failing = [check for check in checks if not check.ok]
    return bool(failing) and all(check.is_acceptable for check in failing)


def why(check: QaCheck) -> str:
    """Return why a check closes the gate, in words; never empty. Only for a check that is not `ok`."""
    if check.reason:
        return check.reason
    if check.new_failures:
        return f"{counted(len(check.new_failures), 'new failure')}"
    return {"not_run": "it could not run", "empty": "it executed no test"}.get(check.status, "it failed")
