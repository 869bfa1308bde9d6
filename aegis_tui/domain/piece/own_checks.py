"""Rules for a submission's own checks on its tree merged with the working ref, and for a piece that is stuck.

A submission counts as done when these checks object to nothing (FLOW-7). What they find goes to its worker while that
still has the conversation about it (FLOW-10).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import spec_path
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.commands import PieceMarkTested, PieceRetry
from aegis_tui.domain.piece.events import PieceReopened, PieceTested
from aegis_tui.domain.piece.feedback import send_back
from aegis_tui.domain.piece.model import PIECE_WORDS, Piece, PieceStatus
from aegis_tui.domain.piece.prediction import observed
from aegis_tui.domain.piece.rules import crossed
from aegis_tui.domain.qa.check import QaCheck, why
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.rules import find_open_run
from aegis_tui.domain.spec.events import SpecUpdated
from aegis_tui.domain.wire.reply import SubmittedReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def mark_tested(workspace: Workspace, command: PieceMarkTested, actor: Actor, request_id: str) -> Decision:
    """Record the checks of a submission; send it back if one objects to it, or if it conflicts with merged lines.

    A check objects if it fails here and not on the working ref; one that could not run, or that cannot be compared,
    does not: QA of the whole decides about it. A worker that submits the same commit again, while others are not merged
    yet, says that it needs one of those: the piece is then merged as it is. No events for an old submission, for one
    that is not waiting to be merged, for an objection to a merge with an older working ref, or if the run is not open.
    If all that fails is in the files of merged pieces, those go back instead, as soon as this one is merged.
    """
    run = workspace.runs.by_id.get(command.run)
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None or not run.is_open or not piece.is_judged:
        return Decision()
    is_newest = command.onto_oid == run.working_oid
    objections = [check for check in command.checks if is_objection(check)]
    if command.head_oid != piece.head_oid or (not is_newest and (objections or command.overlaps)):
        return Decision()
    if command.overlaps:
        back = [*_without_reviewers(workspace, run, piece), *crossed(workspace, run, piece, command.overlaps)]
        return Decision([*observed(run, command.overlaps), *back])
    elsewhere = _elsewhere(run, piece, command.blamed) if objections else []
    waits = bool(objections) and not elsewhere and _needs_others(run, piece)
    tested = PieceTested(
        **command.model_dump(include={"run", "piece", "head_oid", "onto_oid", "tree"}),
        checks=command.checks,
        ok=not objections or waits or bool(elsewhere),
        reason=_reason(command, objections, waits=waits, elsewhere=elsewhere)[:2000],
        breaks=tuple(elsewhere),
        proposed=command.proposed,
    )
    if tested.ok:
        return Decision([(HUB, tested)])
    text = brief.piece_qa_brief(run, piece.name, objections)
    back = send_back(
        workspace, run, piece, because="checks", reason=tested.reason[:500], text=text, hint=_hint(objections)
    )
    return Decision([(HUB, tested), *_without_reviewers(workspace, run, piece), *back])


def is_objection(check: QaCheck) -> bool:
    """Return whether a check says that the piece breaks something: it ran, and fails with what is new.

    One that could not run or be compared, here or on what the piece is merged with, says nothing about the piece.
    """
    return not check.ok and check.status == "failed" and not check.is_acceptable


def _elsewhere(run: Run, piece: Piece, blamed: Sequence[str]) -> list[str]:
    """Return the merged pieces whose files the failures name, if they name none of the piece's own.

    Its worker may not write there: the others have to follow what it changed.
    """
    known = [name for name in blamed if name in run.pieces]
    return [] if piece.name in known else [name for name in known if run.pieces[name].status is PieceStatus.APPLIED]


def _needs_others(run: Run, piece: Piece) -> bool:
    """Return whether the worker submitted the same commit again that was sent back, and other pieces are still open."""
    done = (PieceStatus.APPLIED, PieceStatus.LEFT_OUT)
    others = any(other.status not in done for other in run.features() if other.name != piece.name)
    return others and bool(piece.traces) and piece.traces[-1].head_oid == piece.head_oid


def _reason(command: PieceMarkTested, objections: Sequence[QaCheck], *, waits: bool, elsewhere: Sequence[str]) -> str:
    if command.problem:
        return command.problem
    shown = objections or [check for check in command.checks if not check.ok]
    words = "; ".join(f"{check.command}: {why(check)}" for check in shown)
    if elsewhere:
        others = f"other pieces ({', '.join(elsewhere)}), which are sent back when this piece is merged"
        return f"the failures are in files of {others}: {words}"
    if waits:
        return f"its worker submitted it again as it is, because it needs a piece that is not merged: {words}"
    return words


def _hint(checks: Sequence[QaCheck]) -> str:
    return "; ".join(dict.fromkeys(check.remedy for check in checks if check.remedy))


def _without_reviewers(workspace: Workspace, run: Run, piece: Piece) -> list[Draft]:
    """Return the events that end the reviewers of a submission that goes back: what they find would be of no use."""
    return [
        (item.agent_id, InstanceStopping(reason=f"{piece.name} goes back to its worker"))
        for item in workspace.instances.of_run(run.run)
        if item.is_alive and item.review_id in piece.review_ids
    ]


def retry(workspace: Workspace, command: PieceRetry, actor: Actor, request_id: str) -> Decision:
    """Give a piece that is stuck one more try, with the person's words: to its worker, or to a fresh one if it ended.

    The reply has the name of the piece.

    Raises:
        UsageError: There is no such run or piece.
        Refused: The run has ended, or the piece is not stuck.
    """
    run = find_open_run(workspace, command.run)
    piece = run.pieces.get(command.piece)
    if piece is None:
        raise UsageError(f"{run.run} has no piece {command.piece}", f"it has {', '.join(run.pieces)}")
    if piece.status is not PieceStatus.STUCK:
        raise Refused(
            f"{piece.name} is {PIECE_WORDS[piece.status]}, not stuck", "see aegis-tui inbox", code="piece.not-stuck"
        )
    worker = workspace.get_instance(piece.agent_id or "")
    alive = worker is not None and worker.is_alive
    text = f"The person says about {piece.name}:\n{command.text}" if command.text else piece.stuck
    reopened = PieceReopened(run=run.run, piece=piece.name, reason=text, fresh=not alive, counts=False)
    drafts: list[Draft] = [(actor.agent_id, reopened)]
    drafts.append((HUB, SpecUpdated(specId=piece.spec_id, path=spec_path(piece.spec_id), status="in-progress")))
    if alive and worker is not None:
        context = {"task": "fix", "spec_id": piece.spec_id, "base_oid": piece.base_oid}
        drafts.append((actor.agent_id, MessageSent(to=worker.agent_id, text=text, kind="prompt", context=context)))
    return Decision(drafts, SubmittedReply(piece=piece.name))


RULES: Final[Rules] = MappingProxyType({PieceMarkTested: mark_tested, PieceRetry: retry})
