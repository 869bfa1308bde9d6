"""A review: what waits for a verdict."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import StateModel
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.review.lens import GENERAL


class Review(StateModel):
    """One request for a verdict: one piece, one commit, one lens."""

    review_id: str
    piece: str
    base_oid: str
    head_oid: str
    files: tuple[str, ...]
    reviewer: str | None = None
    status: Literal["requested", "in_progress", "APPROVED", "CHANGES_REQUESTED"] = "requested"
    attempts: int = 0
    lens: str = GENERAL.name
    criteria: tuple[Criterion, ...] = ()
    """What a rejection judged, until it goes back to the author together with what the other lenses found."""
    findings: tuple[Finding, ...] = ()
    """As `criteria`."""

    @property
    def is_decided(self) -> bool:
        """True once a verdict was given."""
        return self.status in ("APPROVED", "CHANGES_REQUESTED")
