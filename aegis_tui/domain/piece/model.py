"""A piece, which is the work on one feature or on the foundation, and the conflict of two pieces."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from aegis_tui.domain.merge.label import FileLabel, Strategy
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.model import FrozenModel, StateModel
from aegis_tui.domain.piece.events import Because
from aegis_tui.domain.rule.finding import RuleFinding


class PieceStatus(StrEnum):
    """The status of a piece on its way from the plan to the working ref."""

    PENDING = "pending"
    WORKING = "working"
    SUBMITTED = "submitted"
    REVIEWING = "reviewing"
    ACCEPTED = "accepted"
    APPLIED = "applied"
    STUCK = "stuck"
    LEFT_OUT = "left-out"


PIECE_WORDS: Final[Mapping[PieceStatus, str]] = {
    PieceStatus.PENDING: "planned",
    PieceStatus.WORKING: "working",
    PieceStatus.SUBMITTED: "submitted",
    PieceStatus.REVIEWING: "in review",
    PieceStatus.ACCEPTED: "accepted",
    PieceStatus.APPLIED: "merged",
    PieceStatus.STUCK: "stuck",
    PieceStatus.LEFT_OUT: "left out",
}
"""The word for each status in texts for people."""


class Trace(FrozenModel):
    """Why one submission was sent back: what the next worker of the piece needs to know of it (FLOW-10)."""

    agent_id: str | None
    """Who submitted it."""
    head_oid: str | None
    """The submitted commit, which is kept."""
    because: Because = ""
    """What sent it back."""
    text: str
    """Reason and output, as the worker was told them; the end is cut off if it is long."""


class CheckedTree(FrozenModel):
    """The tree on which a submission's own checks ran: the piece merged with the working ref."""

    head_oid: str
    onto_oid: str
    """What the working ref was then."""
    tree: str
    """The merged tree; empty if there was nothing to run."""
    is_green: bool
    """Whether every check was passed; False where a check says nothing about the piece, as one that cannot run."""
    breaks: tuple[str, ...] = ()
    """Merged pieces in whose files the checks fail."""
    trace: str = ""
    """What these fail with."""
    proposed: tuple[MergedFile, ...] = ()
    """How its files were merged, if a proposal solved conflicts; it is merged just as it was tested (GIT-3)."""


class Piece(StateModel):
    """The work on one feature, or on the foundation, on its way to the working ref."""

    name: str
    spec_id: str
    depends_on: tuple[str, ...] = ()
    kind: str = "native"
    status: PieceStatus = PieceStatus.PENDING
    agent_id: str | None = None
    agents: list[str] = Field(default_factory=list)
    attempts: int = 0
    rejections: int = 0
    rounds: int = 0
    """How often its present worker, or one that was lost before it, got it back."""
    handed_over: tuple[str, ...] = ()
    """The instances whose rounds were used up, so that another one got it."""
    traces: tuple[Trace, ...] = ()
    """Why each earlier submission was sent back, oldest first."""
    tested: CheckedTree | None = None
    """Where the checks of the present submission ran last without an objection; None before."""
    stuck: str = ""
    """Why the person is asked what becomes of it; empty if it does not wait for that."""
    base_oid: str | None = None
    head_oid: str | None = None
    tokens: tuple[int, ...] = ()
    granted: tuple[str, ...] = ()
    """Paths that its workers were granted (PART-6); they stay granted to the piece when a worker ends."""
    applied_head: str | None = None
    merged: tuple[str, ...] = ()
    """The commits of it that the working ref contains, in the order in which they were merged."""
    left_out: str = ""
    """Why it is left out of the result (FLOW-7); empty if it is not."""
    files: tuple[str, ...] = ()
    merged_files: tuple[MergedFile, ...] = ()
    """The files of it that the working ref had changed too when it was merged, with their labels (GIT-3)."""
    checked: bool = False
    contents: dict[str, str] = Field(default_factory=dict)
    """Path -> blob id of what the checked submission contains, of at most 100 files that it changes."""
    review_id: str | None = None
    """The review that was requested last; None while none is open."""
    review_ids: tuple[str, ...] = ()
    """The reviews of the current submission: one for each lens."""
    feedback: str = ""
    broken: tuple[RuleFinding, ...] = ()
    """What the merge rules found in the last submission, also what a person has allowed since."""
    is_held: bool = False
    """Whether the submission waits for a person, who alone may allow what the rules found."""
    asked: bool = False
    """Whether a person wrote to its worker after the submission, so that it works again; merged work stays merged."""

    @property
    def is_judged(self) -> bool:
        """Whether its submission passed the check of its paths, and is neither sent back nor merged yet."""
        is_checked = self.status is PieceStatus.SUBMITTED and self.checked
        return is_checked or self.status in (PieceStatus.REVIEWING, PieceStatus.ACCEPTED)


class PieceConflict(StateModel):
    """One path that two pieces change. It holds blob ids, never text with conflict markers."""

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
    label: FileLabel | None = None
    """What is known about its merge, or about what resolved it; None if that is not known."""
    strategy: Strategy | None = None
    """What would merge it or, once it is resolved, what did; None if nothing would."""
    reason: str = ""
    """Why nothing would, or why the merge is not proven; for `verified`, on which tree QA ran."""
    predicted: bool = False
    """Whether its pieces were still worked on, or one of them was and the other merged, when it was seen first."""
    resolution: str | None = None
