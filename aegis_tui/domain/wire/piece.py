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


class CheckedTreeFields(TypedDict):
    """The tree on which a submission's own checks ran: the piece merged with the working ref."""

    head_oid: str
    onto_oid: str
    tree: str
    is_green: bool
    """Whether every check was passed; false where a check says nothing about the piece, as one that cannot run."""
    breaks: list[str]
    """Merged pieces in whose files the checks fail."""
    trace: str


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
    rounds: int
    """How often its present worker got it back."""
    handed_over: list[str]
    """The agent ids whose rounds were used up, so that another instance got it."""
    tested: CheckedTreeFields | None
    """Where the checks of the present submission ran last without an objection; null before."""
    stuck: str
    """Why the person is asked what becomes of it; empty if it does not wait for that."""
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
    predicted: bool
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
    part: bool
    """Whether it is about unfinished work, so that it decides nothing."""
    stale: list[str]
    """The files that the author changed before there was a verdict: it holds for what they contained."""
