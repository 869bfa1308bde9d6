"""The events of pieces on their way to the working ref, and of their conflicts (contract 6)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.merge.label import FileLabel, Strategy
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.model import EventData, FrozenModel
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.rule.finding import RuleFinding

Because = Literal["checks", "rules", "merge", "review", "whole", ""]
"""What sent a piece back: its own checks, partition or merge rules, the merge, a review, or the whole merged tree."""

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
    label: FileLabel | None = None
    """What is known about its merge; None if only lines were compared, or an older version recorded it (GIT-3)."""
    strategy: Strategy | None = None
    """What would merge it; None if nothing would."""
    reason: str = ""
    """Why nothing would, or why the merge is not proven."""


class PieceChecked(EventData):
    """A submitted piece was checked against its partition, its locks and the other pieces."""

    type: Literal["piece:checked"] = "piece:checked"
    run: str
    piece: str
    head_oid: str
    ok: bool
    files: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    broken: tuple[RuleFinding, ...] = ()
    """What the merge rules found, also what a person has allowed (FLOW-9)."""
    scanner: str = ""
    """Which secret scanner ran, with its version; empty if there was nothing to look at."""
    contents: dict[str, str] = Field(default_factory=dict)
    """Path -> blob id of the files that it changes and does not delete, of at most 100."""
    names_used: int = 0
    """How many uses of names in its added Python lines were looked at."""
    names_unknown: int = 0
    """How many of these nothing defines."""


class PieceHeld(EventData):
    """A submitted piece waits for a person, who alone may allow what the merge rules found in it (FLOW-9)."""

    type: Literal["piece:held"] = "piece:held"
    run: str
    piece: str
    head_oid: str
    broken: tuple[RuleFinding, ...]
    scanner: str = ""


class RuleAllowed(EventData):
    """A person allowed what a merge rule found; the same content is allowed for the rest of the run."""

    type: Literal["rule:allowed"] = "rule:allowed"
    run: str
    piece: str
    finding: RuleFinding
    by: str
    reason: str = ""


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
    because: Because = ""
    """What sent it back; empty if nothing did, as when its worker was lost, or in an older log."""
    handed_over: bool = False
    """True when the rounds of its worker are used up, so that another one gets it with all reasons and traces."""


class PieceTested(EventData):
    """A submission's own checks ran on its tree merged with the working ref; without an objection, it can be merged."""

    type: Literal["piece:tested"] = "piece:tested"
    run: str
    piece: str
    head_oid: str
    onto_oid: str
    """The commit of the working ref that it was merged with, in the object store alone."""
    tree: str = ""
    """The merged tree; empty if it could not be merged, or there was nothing to run."""
    ok: bool
    """False if the piece goes back to its worker."""
    checks: tuple[QaCheck, ...] = ()
    reason: str = ""
    """Which checks fail and why; or why their result says nothing about the piece; empty if all are passed."""
    breaks: tuple[str, ...] = ()
    """Merged pieces in whose files the checks fail; they go back to their workers when this piece is merged."""
    proposed: tuple[MergedFile, ...] = ()
    """How the files that both sides changed were merged, if a proposal solved the conflicts in them (GIT-3)."""


class PieceStuck(EventData):
    """No worker could finish a piece, so the person is asked what becomes of it; all submissions are kept (FLOW-10)."""

    type: Literal["piece:stuck"] = "piece:stuck"
    run: str
    piece: str
    reason: str
    because: Because = ""
    command: str
    """The command by which the person leaves it out."""


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
    merged: tuple[MergedFile, ...] = ()
    """The files that both the piece and the working ref had changed, with what merged them (GIT-3)."""


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
    label: FileLabel | None = None
    """What is known about its merge; None if only lines were compared, or an older version recorded it (GIT-3)."""
    strategy: Strategy | None = None
    """What would merge it; None if nothing would."""
    reason: str = ""
    """Why nothing would, or why the merge is not proven."""


class ConflictResolved(EventData):
    """A conflict is resolved; `resolution` says how."""

    type: Literal["conflict:resolved"] = "conflict:resolved"
    run: str
    conflict_id: str
    resolution: Resolution


LoopEvent = PieceTested | PieceReopened | PieceStuck
SubmissionEvent = PieceChecked | PieceHeld | RuleAllowed
PieceEvent = SubmissionEvent | LoopEvent


MergeEvent = MergeQueued | MergeApplied | MergeRejected | ConflictDetected | ConflictResolved
