"""A piece: the work of one feature or of the foundation, and where two of them cross."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import StateModel


class PieceStatus(StrEnum):
    """Where a piece stands between the plan and the working ref."""

    PENDING = "pending"
    WORKING = "working"
    SUBMITTED = "submitted"
    REVIEWING = "reviewing"
    ACCEPTED = "accepted"
    APPLIED = "applied"


class Piece(StateModel):
    """One feature's work (or the foundation's) as it moves to the working ref."""

    name: str
    spec_id: str
    depends_on: tuple[str, ...] = ()
    kind: str = "native"
    status: PieceStatus = PieceStatus.PENDING
    agent_id: str | None = None
    agents: list[str] = Field(default_factory=list)
    attempts: int = 0
    rejections: int = 0
    base_oid: str | None = None
    head_oid: str | None = None
    tokens: tuple[int, ...] = ()
    granted: tuple[str, ...] = ()
    """Paths that its workers were granted (PART-6); they stay granted to the piece when a worker ends."""
    applied_head: str | None = None
    files: tuple[str, ...] = ()
    checked: bool = False
    review_id: str | None = None
    """The review that was asked for last; None while none is open."""
    review_ids: tuple[str, ...] = ()
    """The reviews of the submission that is under review: one for each lens that was asked."""
    feedback: str = ""
    asked: bool = False
    """Its worker works for a person who wrote to it after its submission: what was merged stays merged."""


class Conflict(StateModel):
    """One path that two pieces change; blob ids, never marker text."""

    conflict_id: str
    a: str
    b: str
    path: str
    kind: Literal["hot", "soft"]
    base: str | None
    ours: str | None
    theirs: str | None
    hunks: int
    text: str = ""
    resolution: str | None = None
