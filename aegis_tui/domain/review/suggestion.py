"""Findings on their way to the authors of what was reviewed: `fix:suggested` (REV-3)."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.domain.ids import HUB
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.review.aggregate import Remark, distinct
from aegis_tui.domain.review.events import FixSuggested, ReviewCompleted
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace

MOST_SUGGESTED = 50
"""The most findings that go to an author at once, the most severe first; the report has all."""


def findings_of(reviews: Sequence[Review | ReviewCompleted]) -> list[Finding]:
    """Return what the reviewers found, each problem once, the most severe first; without the failed criteria."""
    return distinct(Remark(finding, item.lens, item.reviewer or "") for item in reviews for finding in item.findings)


def suggested(
    workspace: Workspace,
    run: Run,
    piece: Piece | None,
    findings: Sequence[Finding],
    *,
    by: ReviewCompleted,
    also: Sequence[Draft] = (),
) -> list[Draft]:
    """Return the events that suggest the findings to the author of a piece; none if it has no living author.

    Args:
        workspace: State after the last logged event.
        run: The run of the piece.
        piece: The piece; None for what is no piece's.
        findings: What was found, the most severe first.
        by: The verdict that leads to it.
        also: What else follows from the verdict: where a prompt to the author is among it, that has the findings too.
    """
    author = workspace.get_instance(piece.agent_id or "") if piece else None
    if piece is None or author is None or not author.is_alive:
        return []
    is_prompted = any(isinstance(data, MessageSent) and data.to == author.agent_id for _, data in also)
    return [
        (
            HUB,
            FixSuggested(
                run=run.run,
                review_id=by.review_id,
                piece=piece.name,
                to=author.agent_id,
                file=item.file,
                finding=item,
                stale=item.file in by.stale,
                prompted=is_prompted,
            ),
        )
        for item in findings[:MOST_SUGGESTED]
    ]
