"""The commands about pieces: submit one, resolve a conflict, and the hub's own about checks and merges."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.field import Key, Name, Oid, Text
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.model import CommandData, Count
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.rule.finding import RuleFinding


class DiffSubmit(CommandData):
    """Submit the commits `base_oid..head_oid` as the piece of a spec."""

    type: Literal["diff:submit"] = "diff:submit"
    spec_id: Name
    base_oid: Oid
    head_oid: Oid
    tokens: tuple[Count, ...] = ()


class ConflictResolve(CommandData):
    """Record how a conflict was resolved."""

    type: Literal["conflict:resolve"] = "conflict:resolve"
    conflict_id: Key
    resolution: Literal["rebased", "merged", "person", "none"]


class PieceMarkChecked(CommandData):
    """Record what the check of a submitted piece found."""

    type: Literal["piece:mark-checked"] = "piece:mark-checked"
    run: str
    piece: str
    head_oid: str
    files: tuple[str, ...]
    blobs: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # path -> blob ids of the locked writes that match
    contents: dict[str, str] = Field(default_factory=dict)  # path -> blob id of the files that it changes
    findings: tuple[Finding, ...] = ()
    overlaps: tuple[Overlapping, ...] = ()
    blocking: tuple[Overlapping, ...] = ()
    broken: tuple[RuleFinding, ...] = ()  # what the merge rules of the base commit found (FLOW-9)
    scanner: str = ""  # which secret scanner ran
    names_used: int = 0  # how many uses of names in added Python lines were looked at
    names_unknown: int = 0  # how many of these nothing defines


class PieceMarkTested(CommandData):
    """Record what a submission's own checks gave on its tree merged with the working ref (FLOW-7)."""

    type: Literal["piece:mark-tested"] = "piece:mark-tested"
    run: str
    piece: str
    head_oid: str
    onto_oid: str
    tree: str = ""
    checks: tuple[QaCheck, ...] = ()
    blamed: tuple[str, ...] = ()  # pieces whose files the failures name
    overlaps: tuple[Overlapping, ...] = ()  # where it cannot be merged with the working ref
    problem: str = ""  # why nothing could be run; then the piece is not held up
    proposed: tuple[MergedFile, ...] = ()  # how `tree` was merged, if a proposal solved its conflicts (GIT-3)


class ConflictsObserved(CommandData):
    """Record the conflicts that are predicted between pairs of unfinished pieces (GIT-2)."""

    type: Literal["conflicts:observed"] = "conflicts:observed"
    run: str
    overlaps: tuple[Overlapping, ...]
    compared: tuple[tuple[str, str], ...] = ()  # the pairs of which `overlaps` is all there is; see `prediction.Pair`


class MergeMarkApplied(CommandData):
    """Record that the working ref now contains the piece."""

    type: Literal["merge:mark-applied"] = "merge:mark-applied"
    run: str
    piece: str
    head_oid: str
    oid: str
    kept: tuple[str, ...] = ()  # paths in which the merge keeps what was merged under newer tokens
    merged: tuple[MergedFile, ...] = ()  # the files that both the piece and the working ref had changed


class MergeMarkRejected(CommandData):
    """Record that a piece cannot be merged: it conflicts with merged lines, or would remove some of them (`stale`)."""

    type: Literal["merge:mark-rejected"] = "merge:mark-rejected"
    run: str
    piece: str
    head_oid: str
    overlaps: tuple[Overlapping, ...]
    stale: tuple[Finding, ...] = ()


class PieceRetry(CommandData):
    """Give a piece that is stuck one more try, with a word of advice. Only for the person."""

    type: Literal["piece:retry"] = "piece:retry"
    piece: Name
    run: Name | None = None
    text: Text = ""


PieceClientCommand = DiffSubmit | ConflictResolve | PieceRetry
PieceHubCommand = PieceMarkChecked | PieceMarkTested | ConflictsObserved | MergeMarkApplied | MergeMarkRejected
