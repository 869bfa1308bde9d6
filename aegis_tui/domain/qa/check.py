"""One check of QA as it is logged and reported: the four words, and what opens the gate (contract 4, FLOW-7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aegis_tui.domain.count import counted
from aegis_tui.domain.model import FrozenModel

Status = Literal["passed", "failed", "not_run", "empty"]
"""`not_run`: it could not run, or not to its end. `empty`: a test tool that executed no test."""


class CheckResult(FrozenModel):
    """What one command gave on one tree."""

    status: Status
    executed: int | None = None
    """Tests that ran; None where the output tells no number."""
    passed: int | None = None
    failed: int | None = None
    failures: tuple[str, ...] = ()
    """Identities of what failed; a name that failed twice is in it twice."""
    unloaded: tuple[str, ...] = ()
    """Modules, files or crates that could not be imported, collected or compiled."""
    tests: tuple[str, ...] | None = None
    """Identities of the tests that ran, sorted; None where the tool names failures only."""
    reason: str = ""
    """Why it did not run, or executed nothing."""
    remedy: str = ""
    """The command or step that would mend that."""
    note: str = ""
    """What else a person should know of it."""
    is_cut: bool = False
    """True when its tests were read from an output whose middle was left out: names and numbers are not whole."""
    exit_code: int | None = None
    """How it ended; None when it was killed, or was noted by an older version."""
    duration_s: float = 0.0


class BaseCheck(FrozenModel):
    """What the same command gave on the base."""

    status: Status
    executed: int | None = None
    passed: int | None = None
    failed: int | None = None
    reason: str = ""


class QaCheck(FrozenModel):
    """One command of QA, on the merged tree, read as a difference against the base (FLOW-7)."""

    check: str
    """Its number, from 1, and the program: `1 pytest`."""
    command: str
    status: Status
    ok: bool
    """True when it leaves the gate open."""
    executed: int | None = None
    passed: int | None = None
    failed: int | None = None
    new_failures: tuple[str, ...] = ()
    reason: str | None = None
    """Why it shuts the gate."""
    remedy: str = ""
    """The command that would mend it."""
    note: str = ""
    """What else a person should know of it."""
    is_acceptable: bool = False
    """True when only the base stands in the way, so that a person may accept it."""
    accepted_by: str | None = None
    base: BaseCheck | None = None
    duration_s: float = 0.0
    output_tail: str = ""
    """The end of what it printed, when it shuts the gate."""


def accept(check: QaCheck, by: str) -> QaCheck:
    """The same check once a person has accepted that its base cannot be compared; others stay as they are."""
    if not check.is_acceptable:
        return check
    return check.model_copy(update={"ok": True, "is_acceptable": False, "accepted_by": by})


def waits_for_person(checks: Sequence[QaCheck]) -> bool:
    """True when only bases that cannot be compared shut the gate: a person may accept them."""
    failing = [check for check in checks if not check.ok]
    return bool(failing) and all(check.is_acceptable for check in failing)


def why(check: QaCheck) -> str:
    """Why a check shuts the gate, in words; never empty."""
    if check.reason:
        return check.reason
    if check.new_failures:
        return f"{counted(len(check.new_failures), 'new failure')}"
    return {"not_run": "it could not run", "empty": "it executed no test"}.get(check.status, "it failed")
