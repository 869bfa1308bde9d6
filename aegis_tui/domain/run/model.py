"""Runs: one goal on its way through the seven stages, and the pieces it is made of.

A piece is the work of one feature (or of the foundation): what its worker hands in is checked, reviewed and composed on
the working ref before the next stage opens. Only the events of `events` change a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, assert_never

from pydantic import BaseModel, Field

from aegis_tui.domain.model import EventData, Key
from aegis_tui.domain.qa.check import accept
from aegis_tui.domain.registry import collected, each_of
from aegis_tui.domain.run import events as events
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION, RunEvent, RunFacts, RunOptions, Stage
from aegis_tui.domain.spec.model import SpecDiffSubmitted, SpecTaskAssigned


class RunStatus(StrEnum):
    """Whether a run goes on."""

    ACTIVE = "ACTIVE"
    HALTED = "HALTED"
    ENDING = "ENDING"
    COMPLETED = "COMPLETED"


class PieceStatus(StrEnum):
    """Where a piece stands between the plan and the working ref."""

    PENDING = "pending"
    WORKING = "working"
    SUBMITTED = "submitted"
    REVIEWING = "reviewing"
    ACCEPTED = "accepted"
    APPLIED = "applied"


class Piece(BaseModel):
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
    feedback: str = ""
    asked: bool = False
    """Its worker works for a person who wrote to it after its submission: what was merged stays merged."""


class Review(BaseModel):
    """One request for a verdict."""

    review_id: str
    piece: str
    base_oid: str
    head_oid: str
    files: tuple[str, ...]
    reviewer: str | None = None
    status: Literal["requested", "in_progress", "APPROVED", "CHANGES_REQUESTED"] = "requested"
    attempts: int = 0


class Conflict(BaseModel):
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


class Run(BaseModel):
    """One goal and everything the hub has decided about it."""

    run: str
    goal: str
    options: RunOptions
    facts: RunFacts
    status: RunStatus = RunStatus.ACTIVE
    stage: Stage = Stage.DESIGN
    round: int = 0
    prepared: bool = False
    design_id: str | None = None
    proposed: Design | None = None
    design: Design | None = None
    pieces: dict[str, Piece] = Field(default_factory=dict)
    reviews: dict[str, Review] = Field(default_factory=dict)
    conflicts: dict[str, Conflict] = Field(default_factory=dict)
    gates: dict[str, bool] = Field(default_factory=dict)
    merge_queue: list[str] = Field(default_factory=list)
    working_oid: str
    composition_review: str | None = None
    qa: events.QaFinished | None = None
    base_qa: events.QaBaseChecked | None = None
    """What is known of the base before FINAL-QA has run; None where it is no hindrance."""
    qa_accepted_by: str | None = None
    """Who took the base's own failures as they are."""
    commit: events.RunCommitted | None = None
    started_seq: int = 0
    """The number of its first event; 0 where an earlier version did not keep it."""
    ok: bool | None = None
    error: dict[str, Any] | None = None

    @property
    def is_open(self) -> bool:
        """True until the outcome is decided."""
        return self.status in (RunStatus.ACTIVE, RunStatus.HALTED)

    def features(self) -> list[Piece]:
        """The pieces of the design's features, without the foundation."""
        return [piece for piece in self.pieces.values() if piece.name != FOUNDATION]

    def keys(self) -> frozenset[Key]:
        """What a screen that shows this run listens to."""
        return frozenset({("run", self.run)})


KEPT_RUNS = 2
"""Runs that stay in the state: the one that goes on or ended last, and the one before it."""

KEPT_NAMES = 1_000
"""Earlier runs of which the state keeps the name and the outcome."""


class RunTable:
    """The newest runs of a workspace, in the order they were started; of earlier ones the name. The log keeps them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Run] = {}
        self.past: dict[str, bool | None] = {}
        """Earlier runs, oldest first, with whether each ended well."""

    def get(self, run: str) -> Run:
        """The run of that id; KeyError when there is none."""
        return self.by_id[run]

    def current(self) -> Run | None:
        """The run that is not put away yet; a workspace has one at a time."""
        return next((run for run in self.by_id.values() if run.status is not RunStatus.COMPLETED), None)

    def latest(self) -> Run | None:
        """The run that was started last."""
        return next(reversed(self.by_id.values()), None)

    def names(self) -> list[str]:
        """Every run whose name is taken, oldest first."""
        return [*self.past, *self.by_id]

    def forget_ended(self) -> None:
        """Keep the newest runs whole, and of those before them the name."""
        completed = [run for run in self.by_id.values() if run.status is RunStatus.COMPLETED]
        for run in completed[: max(0, len(self.by_id) - KEPT_RUNS)]:
            del self.by_id[run.run]
            self.past[run.run] = run.ok
        while len(self.past) > KEPT_NAMES:
            del self.past[next(iter(self.past))]

    def piece_of_spec(self, spec_id: str) -> tuple[Run, Piece] | None:
        """The run and piece that a spec stands for."""
        for run in self.by_id.values():
            for piece in run.pieces.values():
                if piece.spec_id == spec_id:
                    return run, piece
        return None

    def evolve(self, agent_id: str, data: RunEvent) -> frozenset[Key]:
        """Apply one event. Total: an event about an unknown run changes nothing."""
        if isinstance(data, events.RunStarted):
            self.by_id[data.run] = Run(
                run=data.run, goal=data.goal, options=data.options, facts=data.facts, working_oid=data.facts.base_oid
            )
            return self.by_id[data.run].keys()
        run = self.by_id.get(data.run)
        if run is None:
            return frozenset()
        FOLDS[type(data)](run, data)
        return run.keys()

    def hand(self, data: SpecTaskAssigned | SpecDiffSubmitted) -> frozenset[Key]:
        """A spec went to an instance, or its work was submitted: so did the piece that it stands for, if any."""
        found = self.piece_of_spec(data.specId)
        if found is None:
            return frozenset()
        run, piece = found
        if isinstance(data, SpecTaskAssigned):
            piece.agent_id, piece.base_oid = data.agent, data.base_oid
            piece.agents.append(data.agent)
            piece.attempts += 1
            piece.status, piece.asked = PieceStatus.WORKING, False
        else:
            piece.base_oid, piece.head_oid, piece.tokens = data.base_oid, data.head_oid, data.tokens
            piece.status, piece.checked, piece.asked = PieceStatus.SUBMITTED, False, False
        return run.keys()

    def dump(self) -> list[dict[str, Any]]:
        """A plain form of the runs that are kept whole, for snapshots; `past` is plain already."""
        return [run.model_dump(mode="json", by_alias=True) for run in self.by_id.values()]

    @classmethod
    def load(cls, plain: list[dict[str, Any]], past: Iterable[tuple[str, bool | None]] = ()) -> RunTable:
        """The table that `dump` described, with its `past`."""
        table = cls()
        table.past = dict(past)
        for item in plain:
            run = Run.model_validate(item)
            table.by_id[run.run] = run
        return table


def _course(run: Run, data: events.CourseEvent) -> None:
    match data:
        case events.RunPrepared():
            run.prepared = True
        case events.RunHalted():
            run.status = RunStatus.HALTED
        case events.RunResumed():
            run.status = RunStatus.ACTIVE
        case events.RunEnding():
            run.status, run.ok, run.error = RunStatus.ENDING, data.ok, data.error
        case events.RunFinished():
            run.status, run.ok = RunStatus.COMPLETED, data.ok
        case _:
            assert_never(data)


def _stage(run: Run, data: events.StageEvent) -> None:
    match data:
        case events.StageChanged():
            reopened = data.round > run.round
            run.stage, run.round = data.stage, data.round
            if reopened:
                run.composition_review, run.qa = None, None
        case events.GatePassed():
            run.gates[data.gate] = True
        case events.GateBlocked():
            run.gates[data.gate] = False
        case _:
            assert_never(data)


def _design(run: Run, data: events.DesignEvent) -> None:
    match data:
        case events.DesignProposed():
            run.design_id, run.proposed = data.design_id, data.design
        case events.DesignAgreed():
            run.design_id, run.design = data.design_id, data.design
            if data.design.foundation:
                run.pieces[FOUNDATION] = Piece(name=FOUNDATION, spec_id=f"{run.run}-{FOUNDATION}")
            for item in data.design.features:
                run.pieces[item.id] = Piece(
                    name=item.id,
                    spec_id=f"{run.run}-{item.id}",
                    depends_on=tuple(item.depends_on),
                    kind=item.kind,
                )
        case _:
            assert_never(data)


def _piece(run: Run, data: events.PieceEvent) -> None:
    match data:
        case events.PieceChecked():
            piece = run.pieces.get(data.piece)
            if piece and piece.head_oid == data.head_oid:
                piece.files = tuple(sorted({*piece.files, *data.files}))
                piece.checked = data.ok
        case events.PieceReopened():
            piece = run.pieces.get(data.piece)
            if piece:
                piece.feedback, piece.review_id, piece.checked = data.reason, None, False
                piece.rejections += data.counts
                piece.asked = data.asked
                piece.status = PieceStatus.PENDING if data.fresh else PieceStatus.WORKING
                if data.fresh:
                    piece.agent_id = None
                run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case _:
            assert_never(data)


def _merge(run: Run, data: events.MergeEvent) -> None:
    match data:
        case events.MergeQueued():
            run.pieces[data.piece].status = PieceStatus.ACCEPTED
            run.merge_queue.append(data.piece)
        case events.MergeApplied():
            piece = run.pieces[data.piece]
            piece.status, piece.applied_head = PieceStatus.APPLIED, data.head_oid
            run.working_oid = data.oid
            run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case events.MergeRejected():
            run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case events.ConflictDetected():
            run.conflicts[data.conflict_id] = Conflict(**data.model_dump(exclude={"type", "run"}))
        case events.ConflictResolved():
            if conflict := run.conflicts.get(data.conflict_id):
                conflict.resolution = data.resolution
        case _:
            assert_never(data)


def _judge(run: Run, data: events.ReviewEvent) -> None:
    match data:
        case events.ReviewRequested():
            run.reviews[data.review_id] = Review(**data.model_dump(exclude={"type", "run", "description"}))
            if data.piece == COMPOSITION:
                run.composition_review = data.review_id
            elif piece := run.pieces.get(data.piece):
                piece.review_id, piece.status = data.review_id, PieceStatus.REVIEWING
        case events.ReviewInProgress():
            if review := run.reviews.get(data.review_id):
                review.reviewer, review.status = data.reviewer, "in_progress"
                review.attempts += 1
        case events.ReviewCompleted():
            if review := run.reviews.get(data.review_id):
                review.status, review.reviewer = data.status, data.reviewer
        case _:
            assert_never(data)


def _check(run: Run, data: events.QaEvent) -> None:
    match data:
        case events.QaFinished():
            run.qa, run.base_qa = data, None
        case events.QaBaseChecked():
            run.base_qa = None if data.ok else data
        case events.QaAccepted():
            run.qa_accepted_by = data.by
            if (base := run.base_qa) and all(accept(check, data.by).ok for check in base.checks):
                run.base_qa = None
        case _:
            assert_never(data)


def _committed(run: Run, data: events.RunCommitted) -> None:
    run.commit = data


FOLDS: Final[Mapping[type[EventData], Callable[[Run, Any], None]]] = collected(
    each_of(events.CourseEvent, _course),
    each_of(events.StageEvent, _stage),
    each_of(events.DesignEvent, _design),
    each_of(events.PieceEvent, _piece),
    each_of(events.MergeEvent, _merge),
    each_of(events.ReviewEvent, _judge),
    each_of(events.QaEvent, _check),
    {events.RunCommitted: _committed},
)
"""What each event of a run that is known changes in it."""
