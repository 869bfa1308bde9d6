"""How a run ends without a commit, and when a task is given to nobody else (FLOW-10, contract 4).

What a person reads names the first cause, who met it, the last words of that agent and where the log is.
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
"""Pieces in one hint."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why a task is not given to another instance."""

    words: str
    """What follows the name of the task in a sentence."""
    cause: str
    hint: str
    instance: Instance
    """Who met the first cause."""


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
    """The run ends without a commit; what was written stays in rescue refs.

    Args:
        run: The run that ends.
        code: For programs.
        message: What happened, to what, and why.
        hint: What to do about it.
        cause: The first error in its own words; the message when left out.
        instance: Who met it.
        feature: The piece that it is about.
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


def kept_words(run: Run) -> str:
    """Where the work of a run without a commit is, and the commands that show it and take it over."""
    place = f"refs/aegis/runs/{run.run}"
    words = []
    if run.working_oid != run.facts.base_oid:
        merged = f"{place}/integration"
        words.append(f"what was merged is kept: git diff {run.facts.base_oid[:12]} {merged} shows it")
        words.append(f"git merge --squash {merged} takes it over")
    waiting = [piece.name for piece in run.pieces.values() if piece.head_oid not in (None, piece.applied_head)]
    words += [f"submitted and not merged: git merge --squash {place}/{name}" for name in waiting[:_SHOWN]]
    words.append(f"all that was written is kept: git for-each-ref {place} refs/aegis/rescue/{run.run}")
    return "; ".join(words)


def error_lines(error: Mapping[str, Any]) -> list[str]:
    """How a run failed, for a person: what, the first cause, who met it, its last words, what to do, where the log is.

    Args:
        error: Of a report. Older logs have fewer fields.
    """
    message, cause, words = (str(error.get(name) or "") for name in ("message", "cause", "last_words"))
    lines = [message or "failed"]
    if not _is_in(cause, message):
        lines.append(f"first cause: {cause}")
    if error.get("instance"):
        feature = f", at {error['feature']}" if error.get("feature") else ""
        lines.append(f"met by {error['instance']}{feature}")
    if not _is_in(words, f"{message} {cause}"):
        lines.append(f"its last words: {words}")
    if error.get("hint"):
        lines.append(str(error["hint"]))
    if error.get("log"):
        lines.append(f"log: {error['log']}")
    return lines


def _is_in(words: str, text: str) -> bool:
    """Whether a text holds these words, however its lines are broken."""
    return "".join(words.split()) in "".join(text.replace("; ", "").split())


def _log_of(run: Run, instance: Instance | None) -> str | None:
    if not run.facts.logs:
        return None
    has_pane = instance is not None and instance.pane is not None
    return f"{run.facts.logs}/{instance.instance_id if instance and has_pane else 'hub'}.log"


def fail_task(run: Run, code: str, task: str, given_up: GivenUp, *, back: str = "") -> list[Draft]:
    """The run ends because nobody does one of its tasks.

    Args:
        run: The run that ends.
        code: For programs.
        task: The task as a person calls it, `cart` or `the review of cart`.
        given_up: Why it is given up.
        back: What had been asked of the worker when its submission was sent back.
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
    """Why nobody else is tried, or None while another attempt may succeed.

    Args:
        tried: The instances that had the task, in order; all have ended.
        limit: How many are tried at most.
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
        words = f"failed twice by the same refusal, which {last.agent_id} could not put right either: "
        return GivenUp(words + one_line(why(first)), why(first), hint, first)
    if len(tried) < limit:
        return None
    words = f"failed {counted(len(tried), 'time')}: {first.agent_id}: {one_line(why(first))}"
    if last is not first and why(last) != why(first):
        words += f"; the last time, {last.agent_id}: {one_line(why(last))}"
    return GivenUp(words, why(first), hint, first)


def why(instance: Instance) -> str:
    """Why an instance ended without its task done, in the words of who met it."""
    if instance.cause is not None:
        return instance.cause.message
    return instance.note or "it ended without saying why"
