"""Failures of a run: how it ends without a commit, and when a task is given up (FLOW-10, contract 4).

The message to the person names the first cause, the instance that met it, its last output and the log file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis_tui.domain.cause import one_line
from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.run import events
from aegis_tui.domain.run.model import Run

_SHOWN = 3
"""How many pieces one hint names."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why a task is given up instead of given to another instance."""

    words: str
    """The reason, worded to follow the name of the task in a sentence."""
    cause: str
    hint: str
    instance: Instance
    """The instance that met the first cause."""


def fail(
    run: Run,
    code: str,
    message: str,
    hint: str = "",
    *,
    cause: str = "",
    instance: Instance | None = None,
    feature: str | None = None,
) -> list[Draft]:
    """Return the event that ends a run without a commit, with its error; the work so far stays in rescue refs.

    Args:
        run: The run that ends.
        code: The error code, for programs.
        message: What happened, to what, and why.
        hint: What to do about it; where the work is kept is added to it.
        cause: The message of the first error; `message` when left out.
        instance: The instance that met it; its last note and its log file are named.
        feature: The piece that it concerns; that of the instance when left out.
    """
    kept = kept_words(run)
    error = {
        "code": code,
        "message": message,
        "hint": f"{hint.rstrip('.')}; {kept}" if hint else kept,
        "cause": cause or message,
        "instance": instance.agent_id if instance else None,
        "feature": feature or (instance.piece if instance else None),
        "last_words": instance.said if instance else None,
        "log": _log_of(run, instance),
    }
    return [(HUB, events.RunEnding(run=run.run, ok=False, error=error))]


def partial_error(run: Run, branch: str) -> dict[str, Any] | None:
    """Return the error of a run that ends with a commit but without some of its pieces; None if it has all of them.

    Args:
        run: The run that ends.
        branch: The branch of its commit.
    """
    left = [piece for piece in run.pieces.values() if piece.left_out]
    if not left:
        return None
    names = ", ".join(piece.name for piece in left)
    place = f"refs/aegis/runs/{run.run}"
    return {
        "code": "left_out",
        "message": f"{len(left)} of {counted(len(run.pieces), 'piece')} left out of the result: {names}",
        "hint": f"the others are in one commit: git merge --ff-only {branch}; "
        f"what is left out is kept: git for-each-ref {place} refs/aegis/rescue/{run.run} lists it",
        "cause": f"{left[0].name}: {left[0].left_out}",
        "instance": None,
        "feature": left[0].name,
        "last_words": None,
        "log": None,
    }


def kept_words(run: Run) -> str:
    """Return where the work of a run without a commit is kept, and the git commands to show and use it, for a person.

    It is one line of parts separated by `; `; at most three pieces that were submitted but not merged are named.
    """
    place = f"refs/aegis/runs/{run.run}"
    words = []
    if run.working_oid != run.facts.base_oid:
        merged = f"{place}/integration"
        words.append(f"what was merged is kept: git diff {run.facts.base_oid[:12]} {merged} shows it")
        words.append(f"git merge --squash {merged} brings it into your branch")
    waiting = [piece.name for piece in run.pieces.values() if piece.head_oid not in (None, piece.applied_head)]
    words += [f"submitted but not merged: git merge --squash {place}/{name}" for name in waiting[:_SHOWN]]
    words.append(f"all work is kept: git for-each-ref {place} refs/aegis/rescue/{run.run} lists it")
    return "; ".join(words)


def error_lines(error: Mapping[str, Any]) -> list[str]:
    """Return lines that say how a run failed: message, first cause, instance, its last output, hint, log file.

    What is not known, or is in the message already, has no line; there is at least one line.

    Args:
        error: The `error` of a report. In older logs it has fewer fields.
    """
    message, cause, words = (str(error.get(name) or "") for name in ("message", "cause", "last_words"))
    lines = [message or "failed"]
    if not _is_in(cause, message):
        lines.append(f"first cause: {cause}")
    if error.get("instance"):
        feature = f", working on {error['feature']}" if error.get("feature") else ""
        lines.append(f"agent: {error['instance']}{feature}")
    if not _is_in(words, f"{message} {cause}"):
        lines.append(f"its last output: {words}")
    if error.get("hint"):
        lines.append(str(error["hint"]))
    if error.get("log"):
        lines.append(f"log: {error['log']}")
    return lines


def _is_in(words: str, text: str) -> bool:
    """Return whether a text contains these words, ignoring white space and semicolons; True for no words."""
    plain, known = ("".join(item.replace(";", "").split()) for item in (words, text))
    return plain in known


def _log_of(run: Run, instance: Instance | None) -> str | None:
    if not run.facts.logs:
        return None
    has_pane = instance is not None and instance.pane is not None
    return f"{run.facts.logs}/{instance.instance_id if instance and has_pane else 'hub'}.log"


def fail_task(run: Run, code: str, task: str, given_up: GivenUp, *, back: str = "") -> list[Draft]:
    """Return the event that ends a run because one of its tasks was given up, with cause, hint and instance of that.

    Args:
        run: The run that ends.
        code: The error code, for programs.
        task: The task in words for a person, `cart` or `the review of cart`.
        given_up: Why it is given up.
        back: The feedback with which the worker's last submission was sent back; empty if none was.
    """
    sent = f"; it had been sent back: {one_line(back)}" if back else ""
    return fail(
        run,
        code,
        f"{task} {given_up.words}{sent}",
        given_up.hint,
        cause=given_up.cause,
        instance=given_up.instance,
    )


def given_up(tried: Sequence[Instance], limit: int) -> GivenUp | None:
    """Return why a task is given up; None while another attempt may succeed, also before the first.

    A task is given up if its last failure is certain to repeat, if the last two met the same refusal (`Cause.repeats`),
    or after `limit` attempts.

    Args:
        tried: The instances that had the task, in order; all have ended.
        limit: The largest number of attempts.
    """
    if not tried:
        return None
    last = tried[-1]
    if last.cause is not None and last.cause.is_certain:
        words = f"failed, and every other attempt would fail in the same way: {one_line(why(last))}"
        return GivenUp(words, why(last), last.cause.hint, last)
    first = next((item for item in tried if item.cause), tried[0])
    hint = first.cause.hint if first.cause else ""
    if len(tried) > 1 and last.cause is not None and last.cause.repeats(tried[-2].cause):
        words = f"failed twice with the same refusal, which {last.agent_id} could not resolve either: "
        return GivenUp(words + one_line(why(first)), why(first), hint, first)
    if len(tried) < limit:
        return None
    words = f"failed {counted(len(tried), 'time')}: {first.agent_id}: {one_line(why(first))}"
    if last is not first and why(last) != why(first):
        words += f"; the last time, {last.agent_id}: {one_line(why(last))}"
    return GivenUp(words, why(first), hint, first)


def why(instance: Instance) -> str:
    """Return why an instance ended without finishing its task: the message of its cause, else its note.

    If it has neither, words that it gave no reason; never empty.
    """
    if instance.cause is not None:
        return instance.cause.message
    return instance.note or "it ended without giving a reason"
