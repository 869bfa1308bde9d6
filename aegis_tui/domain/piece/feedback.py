"""The way back of a rejected piece: to its worker, then to another instance, then to the person (FLOW-10).

Nothing is lost on it: each submission stays in a ref, and the piece keeps each reason with the output that belongs to
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aegis_tui.domain.composition.leaving import (
    QA_GATE,
    leave_out,
    seek_culprits,
    waiting_for_partial,
    waits_for_key,
)
from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import spec_path
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.events import Because, PieceReopened, PieceStuck
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.run import events
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.failure import fail
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.spec.events import SpecUpdated
from aegis_tui.domain.workspace import Workspace

LEAVE_OUT_COMMAND: Final = "aegis-tui merge apply --leave-out {piece}"
"""The command by which a person ends the wait of a piece without it."""

_REASON_CHARACTERS = 2000


def send_back(
    workspace: Workspace, run: Run, piece: Piece, *, because: Because, reason: str, text: str, hint: str = ""
) -> list[Draft]:
    """Return the events that send a rejected piece back (FLOW-10).

    The first `max_rounds` rejections send it to its worker, with a prompt in the same conversation, or to a fresh
    worker if that one is not alive. The next one gives it to another instance, with the reasons and traces of all
    submissions, `handovers` times. Then it is left out if the run may end without it, or the person is asked if they
    watch the run, or the run fails.

    Args:
        workspace: The state after the last logged event.
        run: The run of the piece.
        piece: The piece; its `rejections` do not include this one.
        because: What rejected it.
        reason: Why it was rejected, for the message of a run that fails.
        text: The prompt for the worker.
        hint: What a person can do if the run fails.
    """
    worker = workspace.get_instance(piece.agent_id or "")
    alive = worker is not None and worker.is_alive
    is_over = piece.rounds >= run.options.max_rounds
    if is_over and not _may_hand_over(run, piece):
        return _after_all(workspace, run, piece, because=because, reason=reason, text=text, hint=hint)
    reopened = PieceReopened(
        run=run.run,
        piece=piece.name,
        reason=text,
        because=because,
        fresh=is_over or not alive,
        handed_over=is_over,
    )
    drafts: list[Draft] = [(HUB, reopened)]
    drafts.append((HUB, SpecUpdated(specId=piece.spec_id, path=spec_path(piece.spec_id), status="in-progress")))
    if alive and worker is not None:
        context = {"task": "fix", "spec_id": piece.spec_id, "base_oid": piece.base_oid}
        ended = InstanceStopping(reason=f"another instance takes over: {_tried(piece)}")
        prompt = MessageSent(to=worker.agent_id, text=text, kind="prompt", context=context)
        drafts.append((worker.agent_id, ended) if is_over else (HUB, prompt))
    return drafts


def _may_hand_over(run: Run, piece: Piece) -> bool:
    return run.options.max_rounds > 0 and len(piece.handed_over) < run.options.handovers


def _tried(piece: Piece) -> str:
    times = piece.rejections + 1
    by = f", by {counted(len(piece.handed_over) + 1, 'instance')}," if piece.handed_over else ""
    return f"{counted(times, 'submission')} of {piece.name}{by} {'was' if times == 1 else 'were'} not accepted"


def _after_all(
    workspace: Workspace, run: Run, piece: Piece, *, because: Because, reason: str, text: str, hint: str
) -> list[Draft]:
    """Return the events for a piece that no worker gets any more: left out, the person is asked, or the run fails."""
    message = f"{_tried(piece)}: {reason}"
    worker = workspace.get_instance(piece.agent_id or "")
    otherwise = fail(run, "rounds", message, hint, cause=reason, instance=worker, feature=piece.name)
    if run.options.attended:
        command = LEAVE_OUT_COMMAND.format(piece=piece.name)
        otherwise = [(HUB, PieceStuck(run=run.run, piece=piece.name, reason=text, because=because, command=command))]
    return leave_out(workspace, run, {piece.name: message}, otherwise=otherwise)


def reopen(
    workspace: Workspace,
    run: Run,
    blamed: Sequence[str],
    *,
    gate: str,
    reason: str,
    texts: str | dict[str, str],
    hint: str = "",
) -> list[Draft]:
    """Return the events that take a run back to MONITORING for another round, or let it fail (FLOW-10).

    `max_rounds` rounds of corrections are possible, and as many more for each instance that pieces are handed over to,
    if it is known which pieces are to blame. It fails when one more would be needed, or a piece is sent back too often.

    Args:
        workspace: State after the last logged event.
        run: The run whose merged tree was rejected.
        blamed: Names of the pieces that go back; empty means all features.
        gate: The gate that did not open.
        reason: Why, for the log.
        texts: The prompts to the workers: one text for all, or one by piece name; a piece without one gets `reason`.
        hint: What a person can do if the run fails.
    """
    drafts: list[Draft] = [
        (HUB, events.GateBlocked(run=run.run, stage=run.stage, gate=gate, reason=reason[:_REASON_CHARACTERS])),
    ]
    if _is_last(run, blamed):
        corrections = f" after {counted(run.round, 'round')} of corrections" if run.round else ""
        message = f"{gate} was not met{corrections}: {reason[:500]}"
        feature = blamed[0] if len(blamed) == 1 else None
        failed = fail(run, gate, message, hint, cause=reason[:_REASON_CHARACTERS], feature=feature)
        if gate != QA_GATE:
            reasons = dict.fromkeys(blamed, f"{gate} was not met: {reason}")
            return drafts + (leave_out(workspace, run, reasons, otherwise=failed) if blamed else failed)
        if sought := seek_culprits(run, reason, otherwise=[]):
            return drafts + sought
        return [waiting_for_partial(run, reason)] if waits_for_key(run) else drafts + failed
    changed = events.StageChanged(run=run.run, stage=Stage.MONITORING, round=run.round + 1, reason=reason[:500])
    drafts.append((HUB, changed))
    for name in blamed or [piece.name for piece in run.features()]:
        text = texts if isinstance(texts, str) else texts.get(name, reason)
        drafts += send_back(workspace, run, run.pieces[name], because="whole", reason=reason[:500], text=text)
    return drafts


def _is_last(run: Run, blamed: Sequence[str]) -> bool:
    """Return whether no further round of corrections follows.

    None follows after the last round, nor after pieces were composed anew, because the branches of the workers still
    contain what was left out. A run that may end without pieces does not send one back that was sent back too often.
    """
    pieces = [run.pieces[name] for name in blamed]
    tired = any(piece.rounds >= run.options.max_rounds and not _may_hand_over(run, piece) for piece in pieces)
    spare = min((run.options.handovers for piece in pieces), default=0) if run.options.max_rounds else 0
    rounds = (run.options.max_rounds + 1) * (spare + 1) - 1
    return run.round >= rounds or run.is_rebuilt or (run.may_be_partial and tired)
