"""The commands of pieces: handed in, compared, composed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.field import Key, Name, Oid
from aegis_tui.domain.model import CommandData, Count
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.review.finding import Finding


class DiffSubmit(CommandData):
    """Hand a piece in."""

    type: Literal["diff:submit"] = "diff:submit"
    spec_id: Name
    base_oid: Oid
    head_oid: Oid
    tokens: tuple[Count, ...] = ()


class ConflictResolve(CommandData):
    """A person, or the hub, says how a conflict ended."""

    type: Literal["conflict:resolve"] = "conflict:resolve"
    conflict_id: Key
    resolution: Literal["rebased", "merged", "person", "none"]


class PieceMarkChecked(CommandData):
    """What the comparison of a handed-in piece gave."""

    type: Literal["piece:mark-checked"] = "piece:mark-checked"
    run: str
    piece: str
    head_oid: str
    files: tuple[str, ...]
    blobs: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # by path the ids of writes its bytes answer to
    findings: tuple[Finding, ...] = ()
    overlaps: tuple[Overlapping, ...] = ()
    blocking: tuple[Overlapping, ...] = ()


class ConflictsObserved(CommandData):
    """What pairwise prediction found between pieces that are still being worked on (GIT-2)."""

    type: Literal["conflicts:observed"] = "conflicts:observed"
    run: str
    overlaps: tuple[Overlapping, ...]


class MergeMarkApplied(CommandData):
    """The working ref contains the piece."""

    type: Literal["merge:mark-applied"] = "merge:mark-applied"
    run: str
    piece: str
    head_oid: str
    oid: str
    kept: tuple[str, ...] = ()  # paths in which the merge keeps what was composed under newer tokens


class MergeMarkRejected(CommandData):
    """The piece crosses lines that are already on the working ref, or drops some of them (`stale`)."""

    type: Literal["merge:mark-rejected"] = "merge:mark-rejected"
    run: str
    piece: str
    head_oid: str
    overlaps: tuple[Overlapping, ...]
    stale: tuple[Finding, ...] = ()


PieceClientCommand = DiffSubmit | ConflictResolve
PieceHubCommand = PieceMarkChecked | ConflictsObserved | MergeMarkApplied | MergeMarkRejected
