"""The commands of reviews."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from aegis_tui.domain.field import Name, Note, Oid, PathText, Reason
from aegis_tui.domain.model import CommandData, Count, FrozenModel
from aegis_tui.domain.review.finding import Criterion, Finding, checked_findings


class ReviewVerdict(CommandData):
    """Approve or reject what a review is about, with judged criteria and findings."""

    type: Literal["review:verdict"] = "review:verdict"
    review_id: Name
    decision: Literal["approve", "reject"]
    criteria: tuple[Criterion, ...] = ()
    findings: tuple[Finding, ...] = ()

    _check = field_validator("findings")(checked_findings)


class ReviewPart(FrozenModel):
    """The unfinished work on a piece, as it is now."""

    head_oid: Oid
    """A commit of it, with what is not committed yet."""
    files: tuple[PathText, ...]
    """What it changes."""
    blobs: dict[str, str] = Field(default_factory=dict)
    """Path -> blob id of those that it does not delete."""


class ReviewRequest(CommandData):
    """Have the unfinished work on a piece reviewed. Its worker and a person may; the hub sets `part`."""

    type: Literal["review:request"] = "review:request"
    piece: Name
    part: ReviewPart | None = None


class ReviewComment(CommandData):
    """Note a comment on a line of a piece; it waits until `review:send`. Only a person may."""

    type: Literal["review:comment"] = "review:comment"
    piece: Name
    file: PathText
    line: int = Field(ge=1)
    text: Note
    quote: Reason = ""
    """The line as the person sees it."""


class ReviewDiscard(CommandData):
    """Discard comments that wait: those with the numbers, or all of a piece. Only a person may."""

    type: Literal["review:discard"] = "review:discard"
    piece: Name
    numbers: tuple[Count, ...] = ()
    """Empty: all."""


class ReviewSend(CommandData):
    """Send all comments on a piece that wait to its agent, as one prompt. Only a person may."""

    type: Literal["review:send"] = "review:send"
    piece: Name


ReviewClientCommand = ReviewVerdict | ReviewRequest | ReviewComment | ReviewDiscard | ReviewSend
