"""Decide whether a check keeps the gate open, by comparing its results on merged tree and base (FLOW-7). Does no IO.

The rule is one-sided on purpose: a result that cannot be shown to be as good as the base closes the gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from aegis_tui.domain.count import counted
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.qa.check import BaseCheck, CheckResult, QaCheck, Status
from aegis_tui.domain.qa.command import program_name
from aegis_tui.domain.qa.identity import lost_tests
from aegis_tui.domain.qa.readers import tool_parts
from aegis_tui.errors import AegisError

SHOWN = 5
"""How many names one sentence lists."""

MAX_NAMES = 200
"""How many new failures are logged by name; the output of the check has them all."""


NO_TEST_SEEN = "no test was seen to run: it passed by its exit code alone"


class CheckVerdict(FrozenModel):
    """How one check is judged."""

    ok: bool
    status: Status
    new_failures: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    is_acceptable: bool = False
    """True when it fails only because the base cannot be compared, which a person may accept."""


def judge(
    command: str,
    result: CheckResult,
    base: CheckResult,
    *,
    removes: Sequence[str] = (),
    changed: Collection[str] | None = None,
) -> CheckVerdict:
    """Compare one command on the merged tree with the base, and return whether it keeps the gate open.

    Args:
        command: The command; used as the name of a failure that has none.
        result: Its result on the merged tree.
        base: Its result on the base.
        removes: Globs of files, or ids of tests, that the design removes on purpose.
        changed: Files that the result changes; None when that is not known.

    Returns:
        A verdict that is `ok` only if the command passed, or failed with exactly the failures of the base, and no test
        of the base is missing that the design does not remove. One that is not `ok` says why, and whether a person may
        accept it.
    """
    if result.status in ("not_run", "empty"):
        return _not_run(result, base, removes)
    if lost := _lost(result, base, removes, changed):
        unnamed = result.executed is not None and result.tests is None and base.tests is not None
        fresh, remedy = _fresh(result, base), _UNNAMED_HINT if unnamed else _LOST_HINT
        reason = f"{_named('new failure', fresh)}; {lost}" if fresh else lost
        return CheckVerdict(ok=False, status="failed", new_failures=fresh, reason=reason, remedy=remedy)
    if result.status == "passed":
        return CheckVerdict(ok=True, status="passed")
    return _failed(command, result, base)


_LOST_HINT = "restore the tests; if they are removed on purpose, list them in the design: qa: {removes: [glob]}"
_UNNAMED_HINT = "make the test tool write its results as on the base; its options or configuration prevent that now"
_STOPS_EARLY = "it fails on the base too and stops there, so the result of the parts after && is not known"
_CUT = "it fails on the base too, and its output is too long to show all failures"
_QUIET_HINT = "make it print less"
_PARTS_HINT = "make each part a command of its own"
_ACCEPT_HINT = (
    "repair the base, or accept it: aegis-tui run GOAL --accept-base-failures; "
    "during the run: aegis-tui qa --accept-base-failures, or accept it in the dashboard"
)


def _not_run(result: CheckResult, base: CheckResult, removes: Sequence[str]) -> CheckVerdict:
    """Judge a check that did not run or executed no test: it closes the gate.

    A person may accept that modules cannot be loaded if the base cannot load them either and all else ran as there.
    """
    only_unloaded = bool(result.unloaded) and bool(result.executed) and result.status == "not_run"
    same = only_unloaded and not Counter(result.unloaded) - Counter(base.unloaded)
    fresh = tuple((Counter(result.unloaded) - Counter(base.unloaded)).elements())
    as_good = same and not _fresh(result, base) and not _lost(result, base, removes) and not _rises(result, base)
    return CheckVerdict(
        ok=False,
        status=result.status,
        new_failures=fresh + _fresh(result, base),
        reason=result.reason,
        remedy="; ".join(filter(None, (result.remedy, _ACCEPT_HINT if as_good else ""))),
        is_acceptable=as_good,
    )


def _failed(command: str, result: CheckResult, base: CheckResult) -> CheckVerdict:
    if base.status == "passed":
        return _newly_failed(command, result)
    if base.status != "failed":
        reason = f"it fails, and cannot be compared with the base, where it did not run ({base.reason})"
        if base.status == "empty":
            reason = "it fails, and cannot be compared with the base, where it executed no test"
        return _incomparable(result, reason)
    if fresh := _fresh(result, base):
        return CheckVerdict(ok=False, status="failed", new_failures=fresh, reason=_named("new failure", fresh))
    if _rises(result, base):
        reason = f"{counted(result.failed or 0, 'failure')}, {base.failed} on the base"
        return CheckVerdict(ok=False, status="failed", new_failures=(command,), reason=reason)
    if reason := _ends_otherwise(result, base):
        return CheckVerdict(ok=False, status="failed", new_failures=(command,), reason=reason)
    both_named = bool(result.failures) and bool(base.failures)
    both_counted = bool(result.failed) and bool(base.failed) and not (result.failures or base.failures)
    if both_named or both_counted:
        return _as_on_base(command, result, base)
    if base.failures or base.failed:
        reason = "it fails differently than on the base, and names no test"
        return CheckVerdict(ok=False, status="failed", new_failures=(command,), reason=reason)
    return _incomparable(result, "it fails on the base too, and neither output names or counts the failures")


def _as_on_base(command: str, result: CheckResult, base: CheckResult) -> CheckVerdict:
    """Judge a check with the same failures as on the base: `ok` only if these certainly are all its failures.

    If that is not certain, it closes the gate, but a person may accept it.
    """
    if result.is_cut or base.is_cut:
        return _incomparable(result, _CUT, f"{_QUIET_HINT}; {_ACCEPT_HINT}")
    if len(tool_parts(command)) > 1:
        return _incomparable(result, _STOPS_EARLY, f"{_PARTS_HINT}; {_ACCEPT_HINT}")
    return CheckVerdict(ok=True, status="failed")


def _newly_failed(command: str, result: CheckResult) -> CheckVerdict:
    """Judge a check that passes on the base and fails on the result: it closes the gate.

    Without names of failures, the command itself counts as the new failure.
    """
    if result.failures:
        reason = _named("new failure", result.failures)
        return CheckVerdict(ok=False, status="failed", new_failures=result.failures, reason=reason)
    said = "" if result.failed or not result.executed else ", though none of its tests failed"
    reason = "it fails" if result.exit_code is None else f"it ends with exit code {result.exit_code}{said}"
    if result.failed:
        reason = f"{counted(result.failed, 'test')} failed"
    return CheckVerdict(ok=False, status="failed", new_failures=(command,), reason=f"{reason}; it passes on the base")


def _incomparable(result: CheckResult, reason: str, remedy: str = _ACCEPT_HINT) -> CheckVerdict:
    return CheckVerdict(
        ok=False,
        status="failed",
        new_failures=result.failures,
        reason=reason,
        remedy=remedy,
        is_acceptable=True,
    )


def _fresh(result: CheckResult, base: CheckResult) -> tuple[str, ...]:
    return tuple((Counter(result.failures) - Counter(base.failures)).elements())


def _ends_otherwise(result: CheckResult, base: CheckResult) -> str:
    """Return a message when the exit codes differ without a new failure that explains it; empty otherwise.

    Then a second program of the command fails now, or fails in another way. A code that is not known explains nothing:
    empty too.
    """
    if result.exit_code is None or base.exit_code is None or result.exit_code == base.exit_code:
        return ""
    if base.exit_code == 0 or (result.exit_code and Counter(result.failures) == Counter(base.failures)):
        return f"its exit code is {result.exit_code}, on the base {base.exit_code}, and no new failure explains that"
    return ""


def _rises(result: CheckResult, base: CheckResult) -> bool:
    return (result.failed or 0) > (base.failed or 0)


def _lost(
    result: CheckResult, base: CheckResult, removes: Sequence[str], changed: Collection[str] | None = None
) -> str:
    """Return a message when tests of the base did not run and the design does not remove them; empty otherwise.

    Args:
        result: The result on the merged tree.
        base: The result on the base.
        removes: Globs of files, or ids of tests, that the design removes on purpose.
        changed: Files that the result changes, in which tests can have moved; None when that is not known.
    """
    if not base.executed:
        return ""
    if result.executed is None:
        return f"{counted(base.executed, 'test')} ran on the base; now nothing shows that any test ran"
    if base.tests is not None and result.tests is None:
        return f"the output on the base names the {counted(base.executed, 'test')} that ran; the output now does not"
    if removes and (result.tests is None or base.tests is None):
        return ""
    before, now = base.tests or (), result.tests or ()
    excused = [name for name in before if name not in now and _is_named(name, removes)]
    gone = lost_tests([name for name in before if name not in excused], now, changed)
    if hidden := [name for name in gone if name in base.failures]:
        return f"tests that failed on the base did not run now: {_list(hidden)}"
    if base.executed - len(excused) > result.executed:
        words = f"{counted(result.executed, 'test')} ran, {base.executed} on the base"
        return f"{words}; gone: {_list(gone)}" if gone else words
    return f"tests that ran on the base did not run now: {_list(gone)}" if gone else ""


def _excused(result: CheckResult, base: CheckResult, removes: Sequence[str]) -> str:
    """Return a note for the report on tests that are missing because the design removes them; empty if none is."""
    if result.tests is None or base.tests is None:
        fewer = (base.executed or 0) - (result.executed or 0)
        return f"{counted(fewer, 'fewer test')} than on the base: the design removes some" if fewer > 0 else ""
    names = [name for name in base.tests if name not in result.tests and _is_named(name, removes)]
    return f"removed, as the design says: {_list(names)}" if names else ""


def _is_named(test: str, removes: Sequence[str]) -> bool:
    path = test.partition("::")[0]
    return any(test == entry or fnmatchcase(test, entry) or _matches(entry, path) for entry in removes)


def _matches(glob: str, path: str) -> bool:
    try:
        return compile_glob(glob).matches(path)
    except AegisError:
        return False


def _named(what: str, names: Sequence[str]) -> str:
    return f"{counted(len(names), what)}: {_list(names)}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def compare(
    number: int,
    command: str,
    result: CheckResult,
    base: CheckResult,
    *,
    removes: Sequence[str] = (),
    changed: Collection[str] | None = None,
    tail: str = "",
) -> QaCheck:
    """Judge one check with `judge`, and return it in the form in which it is logged.

    At most `MAX_NAMES` new failures are named. A check that passed by its exit code alone, without a count of tests,
    gets a note that says so.

    Args:
        number: Its position among the commands, from 1.
        command: The command as the person wrote it.
        result: Its result on the merged tree.
        base: Its result on the base.
        removes: Globs of files, or ids of tests, that the design removes on purpose.
        changed: Files that the result changes; None when that is not known.
        tail: The end of its output on the merged tree; kept if the check closes the gate.
    """
    verdict = judge(command, result, base, removes=removes, changed=changed)
    unseen = NO_TEST_SEEN if verdict.ok and result.status == "passed" and result.executed is None else ""
    return QaCheck(
        check=f"{number} {program_name(command)}",
        command=command,
        status=verdict.status,
        ok=verdict.ok,
        executed=result.executed,
        passed=result.passed,
        failed=result.failed,
        new_failures=verdict.new_failures[:MAX_NAMES],
        reason=verdict.reason or None,
        remedy=verdict.remedy.replace("--output CHECK", f"--output {number}"),
        note="; ".join(filter(None, [unseen, _excused(result, base, removes) if verdict.ok else "", result.note])),
        is_acceptable=verdict.is_acceptable,
        base=BaseCheck(**base.model_dump(include=set(BaseCheck.model_fields))),
        duration_s=result.duration_s,
        output_tail="" if verdict.ok else tail,
    )
