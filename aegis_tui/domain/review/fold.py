"""Applies the events of reviews to the state of their run."""

from __future__ import annotations

from typing import assert_never

from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.events import (
    FixSuggested,
    ReviewCompleted,
    ReviewInProgress,
    ReviewRequested,
    ReviewStale,
    VerdictEvent,
)
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.events import COMPOSITION
from aegis_tui.domain.run.model import Run


def apply_review(run: Run, data: VerdictEvent) -> None:
    """Apply an event of a review to its run; one of a review that the run does not know changes nothing."""
    match data:
        case ReviewRequested():
            run.reviews[data.review_id] = Review(**data.model_dump(exclude={"type", "run", "description"}))
            if data.piece == COMPOSITION:
                run.composition_review = data.review_id
            elif (piece := run.pieces.get(data.piece)) and not data.part:
                piece.status = PieceStatus.REVIEWING
                piece.review_id, piece.review_ids = data.review_id, (*piece.review_ids, data.review_id)
        case ReviewInProgress():
            if review := run.reviews.get(data.review_id):
                review.reviewer, review.status = data.reviewer, "in_progress"
                review.attempts += 1
        case ReviewStale():
            if (review := run.reviews.get(data.review_id)) and data.path not in review.stale:
                review.stale = (*review.stale, data.path)
        case ReviewCompleted():
            _note_verdict(run, data)
        case FixSuggested():
            pass  # what it says is in the review
        case _:
            assert_never(data)


def _note_verdict(run: Run, data: ReviewCompleted) -> None:
    if review := run.reviews.get(data.review_id):
        review.status, review.reviewer = data.status, data.reviewer
        piece = run.pieces.get(data.piece)
        is_waiting = piece is not None and piece.status is PieceStatus.REVIEWING and review in run.reviews_of(piece)
        if is_waiting and data.status == "CHANGES_REQUESTED":
            review.criteria, review.findings = data.criteria, data.findings
