"""Pieces, their conflicts and their reviews as JSON."""

from __future__ import annotations

from typing import TypedDict


class RuleFindingFields(TypedDict):
    """One place in a piece that a merge rule is about."""

    rule: str
    key: str
    file: str
    line: int | None
    msg: str
    remedy: str
    severity: str


class MergedFileFields(TypedDict):
    """One file that both sides of a merge changed: what merged it, and what is known about that."""

    path: str
    label: str
    """`proven`, `verified`, `unproven` or `refused`."""
    strategy: str | None
    reason: str


class PieceFields(TypedDict):
    """The work on one feature, or on the foundation, on its way to the working ref."""

    name: str
    spec_id: str
    depends_on: list[str]
    kind: str
    status: str
    agent_id: str | None
    agents: list[str]
    attempts: int
    rejections: int
    base_oid: str | None
    head_oid: str | None
    tokens: list[int]
    granted: list[str]
    applied_head: str | None
    merged: list[str]
    left_out: str
    """Why it is left out of the result; empty if it is not."""
    files: list[str]
    merged_files: list[MergedFileFields]
    """The files of it that the working ref had changed too when it was merged."""
    checked: bool
    review_id: str | None
    review_ids: list[str]
    asked: bool
    broken: list[RuleFindingFields]
    is_held: bool


class ConflictFields(TypedDict):
    """One path that two pieces change."""

    conflict_id: str
    a: str
    b: str
    path: str
    kind: str
    base: str | None
    ours: str | None
    theirs: str | None
    hunks: int
    text: str
    label: str | None
    strategy: str | None
    reason: str
    resolution: str | None


class ReviewFields(TypedDict):
    """One review of one piece (or of all merged pieces), at one commit, with one lens."""

    review_id: str
    piece: str
    base_oid: str
    head_oid: str
    files: list[str]
    reviewer: str | None
    status: str
    attempts: int
    lens: str
