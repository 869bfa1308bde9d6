"""The person's commit hooks as checks of FINAL-QA: what a refusal means, and for whom it is (GIT-6). Does no IO.

A refusal closes the gate only if the hook accepts the base's own last commit: then a worker can do something about it.
A hook that refuses that too, or does not come to an end there, cannot judge a commit here, and the person is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from aegis_tui.domain.cause import one_line
from aegis_tui.domain.count import counted
from aegis_tui.domain.qa.check import BaseCheck, QaCheck

COMMAND: Final = "git hook run"
"""How the command of such a check begins; the name of the hook follows."""

PRE_COMMIT: Final = "pre-commit"
TAIL_CHARACTERS: Final = 8_000
LATER: Final = "git commit --amend --no-edit"
"""The command with which a person runs their hooks on a commit that is there."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class HookResult:
    """How a hook ended on a commit."""

    name: str
    """The hook."""
    exit_code: int | None
    """None if it was ended early."""
    output: str
    duration_s: float = 0.0
    stopped: str = ""
    """Why it was ended early, in words."""
    changed: tuple[str, ...] = ()
    """The files that it changed in what would be committed, or, if it refused, in the worktree; sorted."""
    difference: str = ""
    """What it changed, as a diff."""
    tried: str = field(default="")
    """The message that it refused, for a hook that sees one."""

    @property
    def refuses(self) -> bool:
        """Whether git would make no commit."""
        return self.exit_code != 0


def is_hook_check(check: QaCheck) -> bool:
    """Return whether a check is that of a hook, and not of a command of the project."""
    return check.command.startswith(f"{COMMAND} ")


def is_message_check(check: QaCheck) -> bool:
    """Return whether a check is that of a hook which sees the message of the commit and not its files."""
    return is_hook_check(check) and check.command != f"{COMMAND} {PRE_COMMIT}"


def passed_check(result: HookResult, note: str = "") -> QaCheck:
    """Return the check of a hook that accepts the result.

    Args:
        result: How it ended.
        note: What the person should know besides.
    """
    return _check(result, ok=True, status="passed", note=note)


def told_check(result: HookResult, control: HookResult) -> QaCheck:
    """Return the check of a hook that cannot judge a commit here, which keeps no gate closed, with a note.

    Args:
        result: How it ended on the result.
        control: How it ended on the last commit of the base.
    """
    note = (
        f"your hook {result.name} refuses the last commit of the base here too ({reason_of(control)}), so it could not "
        f"judge the result; run it when you merge: {LATER}"
    )
    return _check(result, ok=True, status="not_run", note=note)


def refused_check(result: HookResult, *, was_tried: bool) -> QaCheck:
    """Return the check of a hook that refuses the result and accepts the last commit of the base; it closes the gate.

    A refused message may be accepted by a person, because nothing else is wrong with the result, but not before the
    workers had it as a task.

    Args:
        result: How it ended on the result.
        was_tried: Whether FINAL-QA has sent pieces back before.
    """
    is_message = result.name != PRE_COMMIT
    what = "each message that was tried" if is_message else "the result"
    reason = f"your hook {result.name} refuses {what}: {reason_of(result)}"
    remedy = "to commit it all the same: aegis-tui qa --accept-base-failures" if is_message and was_tried else ""
    is_acceptable = is_message and was_tried
    return _check(result, ok=False, status="failed", reason=reason, remedy=remedy, is_acceptable=is_acceptable)


def changing_check(result: HookResult, own: tuple[str, ...]) -> QaCheck:
    """Return the check of a hook that accepts the result but changes what is committed, as a formatter does.

    It closes the gate if it changes files that the result changes: a worker makes the same change, and QA then runs on
    what is committed. Changes in other files are told to the person alone.

    Args:
        result: How it ended.
        own: Those of its changed files that the result changes.
    """
    if own:
        reason = f"your hook {result.name} changes {_named(own)}: the same change belongs in the pieces"
        return _check(result, ok=False, status="failed", reason=reason)
    note = f"your hook {result.name} would also change {_named(result.changed)}, which the result does not touch"
    return _check(result, ok=True, status="passed", note=note)


def reason_of(result: HookResult) -> str:
    """Return why a hook refused, in one line: why it was ended, or the first line that it printed."""
    if result.exit_code is None:
        return result.stopped or "it did not come to an end"
    said = next((line for line in result.output.splitlines() if line.strip()), "")
    return one_line(said)[:200] or f"exit code {result.exit_code}"


def _check(
    result: HookResult,
    *,
    ok: bool,
    status: str,
    reason: str = "",
    remedy: str = "",
    note: str = "",
    is_acceptable: bool = False,
) -> QaCheck:
    return QaCheck.model_validate(
        {
            "check": f"hook {result.name}",
            "command": f"{COMMAND} {result.name}",
            "status": status,
            "ok": ok,
            "reason": reason or None,
            "remedy": remedy,
            "note": note,
            "is_acceptable": is_acceptable,
            "base": None if ok else BaseCheck(status="passed"),
            "duration_s": result.duration_s,
            "output_tail": "" if ok else _tail(result),
        }
    )


def _tail(result: HookResult) -> str:
    """Return what a worker needs to know: the message, what the hook printed, and what it would change."""
    parts = [result.output.strip()[-TAIL_CHARACTERS // 2 :]]
    if result.tried:
        parts = [
            f"This message for the commit of the result was refused:\n\n{result.tried.strip()}\n",
            *parts,
            "The message of the newest commit of your branch is tried too: give it one that the hook accepts "
            "(git commit --amend, or --allow-empty for another commit), and submit it again.",
        ]
    if result.difference:
        parts.append(f"It would make this change:\n{result.difference[: TAIL_CHARACTERS // 2]}")
    return "\n".join(part for part in parts if part)[:TAIL_CHARACTERS]


def _named(paths: tuple[str, ...]) -> str:
    more = f" and {counted(len(paths) - _SHOWN, 'more file')}" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
