"""Rules for reviews of the work on a piece while it goes on: they suggest, and decide nothing (REV-1)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.count import counted
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.piece.model import PIECE_WORDS, Piece, PieceStatus
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.commands import ReviewPart, ReviewRequest
from aegis_tui.domain.review.events import ReviewRequested
from aegis_tui.domain.review.pinned import pinned_blobs
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.wire.reply import ReviewRequestedReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def request(workspace: Workspace, command: ReviewRequest, actor: Actor, request_id: str) -> Decision:
    """Request a review of what a worker has done so far; the reply has its id.

    Raises:
        UsageError: There is no such piece.
        Refused: The run has ended, nobody works on the piece, the sender is another instance than its worker, it is
            reviewed already, or nothing is changed yet.
    """
    run = workspace.runs.latest()
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None:
        raise UsageError(f"there is no piece {command.piece}", "aegis-tui status lists the pieces")
    if actor.kind == "instance" and piece.agent_id != actor.agent_id:
        raise Refused(f"{piece.name} is not assigned to {actor.agent_id}", "see your brief", code="spec.foreign")
    if not run.is_open or piece.status is not PieceStatus.WORKING:
        words = f"{piece.name} is {PIECE_WORDS[piece.status]}" if run.is_open else f"run {run.run} has ended"
        raise Refused(words, "a review can be requested only while a worker builds the piece", code="review.part")
    if (open_part := run.open_part(piece)) is not None:
        raise Refused(
            f"review {open_part.review_id} of {piece.name} is in progress",
            "wait until it has ended",
            code="review.part",
        )
    part = command.part
    if part is None or not part.files:
        raise Refused(f"{piece.name} has changed nothing yet", "ask again later", code="review.part")
    asked = _requested(workspace, run, piece, part)
    return Decision([(actor.agent_id, asked)], ReviewRequestedReply(review_id=asked.review_id))


def _requested(workspace: Workspace, run: Run, piece: Piece, part: ReviewPart) -> ReviewRequested:
    return ReviewRequested(
        run=run.run,
        review_id=f"{run.run}-v{workspace.seq + 1}",
        piece=piece.name,
        base_oid=piece.base_oid or run.working_oid,
        head_oid=part.head_oid,
        files=part.files,
        description=f"{piece.name} so far: {counted(len(part.files), 'file')}",
        part=True,
        blobs=pinned_blobs(part.blobs),
    )


RULES: Final[Rules] = MappingProxyType({ReviewRequest: request})
