"""How the events of the feedback loop change a piece (FLOW-10)."""

from __future__ import annotations

from aegis_tui.domain.piece.events import PieceReopened, PieceStuck, PieceTested
from aegis_tui.domain.piece.model import CheckedTree, Piece, PieceStatus, Trace

TRACE_CHARACTERS, TRACES_KEPT = 4_000, 24
"""How much of each reason a piece keeps, and of how many of its newest ones; the log has all of them."""


def reopen(piece: Piece, data: PieceReopened) -> None:
    """Give a piece back to its worker, or let another one be found; its reviews and tests do not count any more."""
    if data.counts:
        _remember(piece, data)
    _forget_judgement(piece)
    piece.feedback, piece.stuck = data.reason, ""
    piece.rejections += data.counts
    piece.rounds = 0 if data.handed_over else piece.rounds + data.counts
    piece.asked = data.asked
    piece.status = PieceStatus.PENDING if data.fresh else PieceStatus.WORKING
    if data.handed_over and piece.agent_id:
        piece.handed_over = (*piece.handed_over, piece.agent_id)
    if data.fresh:
        piece.agent_id = None


def note_tested(piece: Piece, data: PieceTested) -> None:
    """Record where a submission's checks ran, if they do not send it back."""
    if not data.ok or piece.head_oid != data.head_oid:
        return
    tails = "\n\n".join(f"$ {check.command}\n{check.output_tail}" for check in data.checks if not check.ok)
    piece.tested = CheckedTree(
        head_oid=data.head_oid,
        onto_oid=data.onto_oid,
        tree=data.tree,
        is_green=bool(data.checks) and all(check.ok for check in data.checks),
        breaks=data.breaks,
        trace=tails[-TRACE_CHARACTERS:] if data.breaks else "",
        proposed=data.proposed,
    )


def hold(piece: Piece, data: PieceStuck) -> None:
    """Let a piece wait for the person."""
    _remember(piece, data)
    _forget_judgement(piece)
    piece.rejections += 1
    piece.stuck, piece.status = data.reason, PieceStatus.STUCK


def _forget_judgement(piece: Piece) -> None:
    piece.checked, piece.is_held, piece.tested = False, False, None
    piece.review_id, piece.review_ids = None, ()


def _remember(piece: Piece, data: PieceReopened | PieceStuck) -> None:
    text = data.reason[:TRACE_CHARACTERS]
    trace = Trace(agent_id=piece.agent_id, head_oid=piece.head_oid, because=data.because, text=text)
    piece.traces = (*piece.traces, trace)[-TRACES_KEPT:]
