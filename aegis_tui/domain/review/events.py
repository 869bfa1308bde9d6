"""The events of reviews (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.review.lens import GENERAL


class ReviewRequested(EventData):
    """A review of a piece, or of all merged pieces, was requested."""

    type: Literal["review:requested"] = "review:requested"
    run: str
    review_id: str
    piece: str
    base_oid: str
    head_oid: str
    files: tuple[str, ...]
    description: str
    lens: str = GENERAL.name


class ReviewInProgress(EventData):
    """A reviewer has begun to read: its agent is running and is about to ask the model for the first time."""

    type: Literal["review:in_progress"] = "review:in_progress"
    run: str
    review_id: str
    reviewer: str


class ReviewCompleted(EventData):
    """A reviewer gave a verdict (REV-4)."""

    type: Literal["review:completed"] = "review:completed"
    run: str
    review_id: str
    reviewer: str
    piece: str
    status: Literal["APPROVED", "CHANGES_REQUESTED"]
    criteria: tuple[Criterion, ...]
    findings: tuple[Finding, ...]
    lens: str = GENERAL.name


ReviewEvent = ReviewRequested | ReviewInProgress | ReviewCompleted
