"""What can happen to a piece on its way to the working ref (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData, FrozenModel
from aegis_tui.domain.review.finding import Finding

Resolution = Literal["rebased", "merged", "person", "none"]


class Overlapping(FrozenModel):
    """One path that two pieces change: `hot` crosses the same lines, `soft` merges cleanly (GIT-2)."""

    a: str
    b: str
    path: str
    kind: Literal["hot", "soft"]
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None
    hunks: int = 0
    text: str = ""


class PieceChecked(EventData):
    """A handed-in piece was compared with its partition, its locks and the other pieces."""

    type: Literal["piece:checked"] = "piece:checked"
    run: str
    piece: str
    head_oid: str
    ok: bool
    files: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class PieceReopened(EventData):
    """A piece goes back to its worker, or to a fresh one, with the reason (FLOW-10)."""

    type: Literal["piece:reopened"] = "piece:reopened"
    run: str
    piece: str
    reason: str
    fresh: bool
    counts: bool = True
    asked: bool = False
    """A person wrote to its worker after its submission; the work that was submitted is not in doubt."""


class MergeQueued(EventData):
    """A piece waits for its turn on the working ref."""

    type: Literal["merge:queued"] = "merge:queued"
    run: str
    piece: str
    head_oid: str


class MergeApplied(EventData):
    """The working ref moved to `oid`, which contains the piece."""

    type: Literal["merge:applied"] = "merge:applied"
    run: str
    piece: str
    head_oid: str
    oid: str


class MergeRejected(EventData):
    """A piece could not be composed."""

    type: Literal["merge:rejected"] = "merge:rejected"
    run: str
    piece: str
    reason: str


class ConflictDetected(EventData):
    """Two pieces change the same path."""

    type: Literal["conflict:detected"] = "conflict:detected"
    run: str
    conflict_id: str
    a: str
    b: str
    path: str
    kind: Literal["hot", "soft"]
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None
    hunks: int = 0
    text: str = ""


class ConflictResolved(EventData):
    """How a conflict ended."""

    type: Literal["conflict:resolved"] = "conflict:resolved"
    run: str
    conflict_id: str
    resolution: Resolution


PieceEvent = PieceChecked | PieceReopened


MergeEvent = MergeQueued | MergeApplied | MergeRejected | ConflictDetected | ConflictResolved
