"""The events of pieces on their way to the working ref, and of their conflicts (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData, FrozenModel
from aegis_tui.domain.review.finding import Finding

Resolution = Literal["rebased", "merged", "person", "none"]


class Overlapping(FrozenModel):
    """One path that two pieces change: `hot` if they change the same lines, `soft` if they merge cleanly (GIT-2)."""

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
    """A submitted piece was checked against its partition, its locks and the other pieces."""

    type: Literal["piece:checked"] = "piece:checked"
    run: str
    piece: str
    head_oid: str
    ok: bool
    files: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class PieceReopened(EventData):
    """A piece goes back to its worker, or with `fresh` to another one; `reason` is the prompt (FLOW-10)."""

    type: Literal["piece:reopened"] = "piece:reopened"
    run: str
    piece: str
    reason: str
    fresh: bool
    counts: bool = True
    asked: bool = False
    """True when a person wrote to its worker after the submission, and nothing was wrong with the submission."""


class MergeQueued(EventData):
    """A piece waits for its turn to be merged into the working ref."""

    type: Literal["merge:queued"] = "merge:queued"
    run: str
    piece: str
    head_oid: str


class MergeApplied(EventData):
    """The piece was merged: the working ref moved to `oid`, which contains it."""

    type: Literal["merge:applied"] = "merge:applied"
    run: str
    piece: str
    head_oid: str
    oid: str


class MergeRejected(EventData):
    """A piece could not be merged into the working ref."""

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
    """A conflict ended; `resolution` says how."""

    type: Literal["conflict:resolved"] = "conflict:resolved"
    run: str
    conflict_id: str
    resolution: Resolution


PieceEvent = PieceChecked | PieceReopened


MergeEvent = MergeQueued | MergeApplied | MergeRejected | ConflictDetected | ConflictResolved
