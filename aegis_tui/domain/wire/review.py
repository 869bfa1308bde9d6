"""The joint report of all reviewers as JSON (REV-2)."""

from __future__ import annotations

from typing import Literal, TypedDict

from aegis_tui.domain.run.report_model import CriterionReport

JointVerdict = Literal["APPROVED", "CHANGES_REQUESTED", "PENDING"]


class JointFinding(TypedDict):
    """One problem, found by one reviewer or by several."""

    file: str | None
    line: int | None
    end_line: int | None
    """Both ends of the lines are included; None if the finding names no line."""
    severity: str
    rule: str
    msg: str
    suggestion: str
    confidence: float
    """How likely it is right, from 0 to 1: the more reviewers found it, the likelier."""
    score: float
    """Its weight: that of its severity (10, 4 or 1) times the confidence."""
    lenses: list[str]
    reviewers: list[str]


class LensVerdict(TypedDict):
    """What one reviewer said of a piece."""

    lens: str
    blocking: bool
    reviewer: str | None
    verdict: JointVerdict
    criteria: list[CriterionReport]


class PieceReview(TypedDict):
    """What all reviewers say of one piece, at the commit that was submitted last."""

    piece: str
    base_oid: str
    head_oid: str
    verdict: JointVerdict
    """APPROVED if all blocking lenses approve; CHANGES_REQUESTED as soon as one of them does not."""
    score: float
    """The sum of the scores of its findings."""
    lenses: list[LensVerdict]
    findings: list[JointFinding]
    """By score, the highest first."""


class ReviewShowOutput(TypedDict):
    """`review show`."""

    run: str
    pieces: list[PieceReview]


class RequestedOutput(TypedDict):
    """`review request`."""

    piece: str
    review_id: str


class WaitingComment(TypedDict):
    """A comment of the person that is not sent yet."""

    number: int
    piece: str
    file: str
    line: int
    text: str
    quote: str
    """The line as the person saw it; empty if that is not known."""


class CommentsOutput(TypedDict):
    """`review comments`."""

    run: str | None
    """None if there is no run."""
    comments: list[WaitingComment]


class CommentedOutput(TypedDict):
    """`review comment`."""

    piece: str
    number: int
    file: str
    line: int
    waiting: int
    """How many comments on the piece wait, this one included."""


class DiscardedOutput(TypedDict):
    """`review discard`."""

    piece: str
    numbers: list[int]


class CommentsSentOutput(TypedDict):
    """`review send`."""

    piece: str
    comments: int
    agent_id: str
    delivery: str
    seq: int
