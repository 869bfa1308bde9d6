"""Runs: one goal on its way through the seven stages, and its pieces.

A piece is the work of one feature (or of the foundation): the submission of its worker is checked, reviewed and merged
onto the working ref before the next stage begins. Only the events of `events` change a run.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from aegis_tui.domain.environment.model import MadeFacts
from aegis_tui.domain.model import Key, StateModel
from aegis_tui.domain.piece.model import Piece, PieceConflict, PieceStatus
from aegis_tui.domain.qa.check import waits_for_person
from aegis_tui.domain.qa.events import QaBaseChecked, QaFinished
from aegis_tui.domain.review.comment import LineComment
from aegis_tui.domain.review.events import ReviewCompleted
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.run import events
from aegis_tui.domain.run.design import Design, Feature
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION, RunFacts, RunOptions, Stage

RULES_GATE = "rules_allowed"
"""The gate that is closed while a piece waits for a person to allow what the merge rules found (FLOW-9)."""


class RunStatus(StrEnum):
    """The state of a run: working, halted by a person, ending (its outcome is decided), or ended."""

    ACTIVE = "ACTIVE"
    HALTED = "HALTED"
    ENDING = "ENDING"
    COMPLETED = "COMPLETED"


class Run(StateModel):
    """One goal, and everything that the hub has decided about it."""

    run: str
    goal: str
    options: RunOptions
    facts: RunFacts
    status: RunStatus = RunStatus.ACTIVE
    stage: Stage = Stage.DESIGN
    round: int = 0
    prepared: bool = False
    environment: MadeFacts | None = None
    """What the set-up command made; None if there is none, or it has not ended yet."""
    design_id: str | None = None
    proposed: Design | None = None
    design: Design | None = None
    pieces: dict[str, Piece] = Field(default_factory=dict)
    reviews: dict[str, Review] = Field(default_factory=dict)
    conflicts: dict[str, PieceConflict] = Field(default_factory=dict)
    gates: dict[str, bool] = Field(default_factory=dict)
    merge_queue: list[str] = Field(default_factory=list)
    working_oid: str
    composition_review: str | None = None
    qa: QaFinished | None = None
    base_qa: QaBaseChecked | None = None
    """QA of the base, run before FINAL-QA; None when not known or when the base would not close the gate."""
    qa_accepted_by: str | None = None
    """The agent id of the person who accepted the failures that the base itself has."""
    allowed: dict[str, str] = Field(default_factory=dict)
    """Key of a rule's finding -> the agent id of the person who allowed it (FLOW-9)."""
    partial_by: str | None = None
    """The agent id of the person who allowed, while it was going on, that bad pieces are left out."""
    is_splitting: bool = False
    """Whether the pieces that break QA are being searched (PERF-22)."""
    is_rebuilt: bool = False
    """Whether the pieces were composed anew without some that had been merged; no round of corrections follows."""
    comments: list[LineComment] = Field(default_factory=list)
    """Comments of the person that wait to be sent, in the order in which they were made (WISH-2)."""
    commit: events.RunCommitted | None = None
    started_seq: int = 0
    """The number of its first event; 0 if it was started by a version that did not keep it."""
    ok: bool | None = None
    error: dict[str, Any] | None = None
    is_acknowledged: bool = False
    """Whether the person has said that they know how the run ended."""

    @property
    def waits_to_be_seen(self) -> bool:
        """Whether the run ended without its whole result, not by the person's own wish, and they have not said so."""
        is_wish = (self.error or {}).get("code") == "cancelled"
        return self.status is RunStatus.COMPLETED and not self.ok and not is_wish and not self.is_acknowledged

    @property
    def is_open(self) -> bool:
        """True while the run is active or halted; False once its outcome is decided, even while it is cleaned up."""
        return self.status in (RunStatus.ACTIVE, RunStatus.HALTED)

    @property
    def may_be_partial(self) -> bool:
        """Whether a person allows that the run ends without pieces that fail."""
        return self.options.partial or self.partial_by is not None

    @property
    def needs_rebuild(self) -> bool:
        """Whether the working ref contains a piece that is left out."""
        return any(piece.left_out and piece.merged for piece in self.pieces.values())

    @property
    def waits_for_partial(self) -> bool:
        """Whether QA has failed for the last time, and the person has to say whether pieces are left out."""
        stopped = self.stage is Stage.FINAL_QA and self.qa is not None and not self.qa.ok
        return stopped and not self.is_splitting and self.qa is not None and not waits_for_person(self.qa.checks)

    @property
    def qa_commands(self) -> tuple[str, ...]:
        """The QA commands of the run, each once: the design's, else the person's or those detected at its start.

        Those detected are followed by the type checkers and linters that were detected with them. Empty if there are
        none, or if the person chose to run none and the design names none.
        """
        chosen = (*self.facts.qa_commands, *self.facts.qa_extra) if self.facts.qa_commands else ()
        if self.design is not None and self.design.qa is not None:
            chosen = tuple(self.design.qa.commands)
        return tuple(dict.fromkeys(chosen))

    @property
    def tests_pieces(self) -> bool:
        """Whether each submission is tested before it is merged: unless switched off, or there is no check to run."""
        return self.options.piece_checks and bool(self.qa_commands)

    def is_tested(self, piece: Piece) -> bool:
        """Return whether the checks of a piece's submission ran on its tree merged with the present working ref.

        True as well if they need not run: tests of pieces are off, it is the foundation, or the same commit was merged
        before.
        """
        if not self.tests_pieces or piece.name == FOUNDATION or piece.head_oid == piece.applied_head:
            return True
        return piece.tested is not None and piece.tested.onto_oid == self.working_oid

    def has_green(self, tree: str) -> bool:
        """Return whether every check of a piece was passed on that tree in this run."""
        return any(
            piece.tested and piece.tested.is_green and piece.tested.tree == tree for piece in self.pieces.values()
        )

    def next_to_test(self) -> Piece | None:
        """Return the piece whose checks run next; None if none has to be tested now.

        The first of the merge queue comes first, and is tested again if the working ref has moved since. Any other
        submission is tested once before its turn, when its check has found nothing.
        """
        if not self.tests_pieces:
            return None
        if self.merge_queue and not self.is_tested(first := self.pieces[self.merge_queue[0]]):
            return first
        waiting = (piece for piece in self.pieces.values() if piece.is_judged and not self.is_tested(piece))
        return next((piece for piece in waiting if piece.tested is None), None)

    def features(self) -> list[Piece]:
        """Return the pieces of the design's features, without the foundation, in the order of the design."""
        return [piece for piece in self.pieces.values() if piece.name != FOUNDATION]

    def features_of_design(self) -> tuple[Feature, ...]:
        """Return the features of the agreed design, in its order; empty while there is none."""
        return tuple(self.design.features) if self.design else ()

    def kept_pieces(self) -> list[Piece]:
        """Return the pieces that are not left out of the result, the foundation first if there is one."""
        return [piece for piece in self.pieces.values() if not piece.left_out]

    def reviews_of(self, piece: Piece) -> list[Review]:
        """Return the reviews of a piece's present submission, in the order in which they were requested."""
        return [review for name in piece.review_ids if (review := self.reviews.get(name)) is not None]

    def open_part(self, piece: Piece) -> Review | None:
        """Return the review of a piece's work so far, if it has no verdict yet and nothing was submitted since."""
        newest = next((item for item in reversed(self.reviews.values()) if item.piece == piece.name), None)
        is_open = newest is not None and newest.part and not newest.is_decided
        return newest if is_open and piece.status is PieceStatus.WORKING else None

    def comments_on(self, piece: str) -> list[LineComment]:
        """Return the person's comments on a piece that wait, by file and line."""
        mine = [item for item in self.comments if item.piece == piece]
        return sorted(mine, key=lambda item: (item.file, item.line, item.number))

    def is_blocking(self, review: Review | ReviewCompleted) -> bool:
        """Return whether what is reviewed is merged only if this review approves it.

        That of the merged tree always counts; that of a piece does unless the run has the lens of the review and that
        is not blocking.
        """
        if isinstance(review, Review) and review.part:
            return False
        blocking = all(lens.blocking for lens in self.facts.lenses if lens.name == review.lens)
        return blocking or review.piece == COMPOSITION

    def held_findings(self, piece: Piece) -> list[RuleFinding]:
        """Return the findings that only a person may allow, for which a piece waits now; empty if it does not wait.

        Those that were allowed are left out.
        """
        waits = piece.is_held and piece.status is PieceStatus.SUBMITTED
        return (
            [item for item in piece.broken if item.key not in self.allowed and item.severity == "person"]
            if waits
            else []
        )

    def keys(self) -> frozenset[Key]:
        """Return the key under which changes of this run are announced to screens."""
        return frozenset({("run", self.run)})
