"""Reviews as the state of a run holds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import StateModel
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.review.lens import GENERAL


class Review(StateModel):
    """One review of one piece (or of all merged pieces), at one commit, with one lens."""

    review_id: str
    piece: str
    base_oid: str
    head_oid: str
    files: tuple[str, ...]
    reviewer: str | None = None
    status: Literal["requested", "in_progress", "APPROVED", "CHANGES_REQUESTED"] = "requested"
    attempts: int = 0
    """How many reviewers have begun to read."""
    lens: str = GENERAL.name
    part: bool = False
    """Whether it is about unfinished work, so that it decides nothing."""
    blobs: dict[str, str] = Field(default_factory=dict)
    """Path -> id of the blob that is read, of at most 100 files."""
    stale: tuple[str, ...] = ()
    """The files among them that the author changed before there was a verdict."""
    criteria: tuple[Criterion, ...] = ()
    """The judged criteria of a rejection, kept until the author gets them together with those of the other lenses."""
    findings: tuple[Finding, ...] = ()
    """The findings of a rejection, kept like `criteria`."""

    @property
    def is_decided(self) -> bool:
        """Whether a verdict was given, an approval or a rejection."""
        return self.status in ("APPROVED", "CHANGES_REQUESTED")
