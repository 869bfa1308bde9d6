"""The events of reviews (contract 6)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
    part: bool = False
    """Whether it is about unfinished work: what is found is suggested to the author, and decides nothing."""
    blobs: dict[str, str] = Field(default_factory=dict)
    """Path -> id of the blob that is to be read, of at most 100 files."""


class ReviewInProgress(EventData):
    """A reviewer has begun to read: its agent is running and is about to ask the model for the first time."""

    type: Literal["review:in_progress"] = "review:in_progress"
    run: str
    review_id: str
    reviewer: str


class ReviewStale(EventData):
    """The author changed a file while it is reviewed: the verdict will hold for the blob, not for the new content."""

    type: Literal["review:stale"] = "review:stale"
    run: str
    review_id: str
    path: str
    blob: str
    """Id of the blob that is reviewed."""
    oid: str | None
    """Blob id of the new content; None if it is not known, or there is none."""


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
    stale: dict[str, str] = Field(default_factory=dict)
    """Path -> id of the blob that was read, of the files that the author changed before the verdict."""


class FixSuggested(EventData):
    """A finding goes to the author of what was reviewed (REV-3)."""

    type: Literal["fix:suggested"] = "fix:suggested"
    run: str
    review_id: str
    piece: str
    to: str
    file: str | None
    finding: Finding
    stale: bool = False
    """Whether the author changed the file before the verdict, so that the finding may no longer apply."""
    prompted: bool = False
    """Whether a prompt to the author has it too, which sends the piece back; else the author may do without."""


class ReviewCommented(EventData):
    """A person commented on a line of a piece; the comment waits until all are sent."""

    type: Literal["review:commented"] = "review:commented"
    run: str
    piece: str
    number: int
    file: str
    line: int
    text: str
    quote: str = ""


class ReviewDiscarded(EventData):
    """A person discarded comments that waited."""

    type: Literal["review:discarded"] = "review:discarded"
    run: str
    piece: str
    numbers: tuple[int, ...]


class ReviewSent(EventData):
    """The comments on a piece went to its agent, in the prompt of the event before."""

    type: Literal["review:sent"] = "review:sent"
    run: str
    piece: str
    to: str
    numbers: tuple[int, ...]


CommentEvent = ReviewCommented | ReviewDiscarded | ReviewSent


VerdictEvent = ReviewRequested | ReviewInProgress | ReviewStale | ReviewCompleted | FixSuggested


ReviewEvent = VerdictEvent | CommentEvent
