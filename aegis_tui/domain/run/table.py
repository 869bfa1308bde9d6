"""The runs in the state of a workspace, which only events change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, assert_never

from aegis_tui.domain.composition.events import (
    CompositionEvent,
    CulpritsSought,
    MergeRebuilt,
    PartialAllowed,
    PieceLeftOut,
)
from aegis_tui.domain.environment.events import EnvironmentPrepared
from aegis_tui.domain.model import EventData, Key
from aegis_tui.domain.piece.events import (
    ConflictDetected,
    ConflictResolved,
    LoopEvent,
    MergeApplied,
    MergeEvent,
    MergeQueued,
    MergeRejected,
    PieceChecked,
    PieceHeld,
    PieceReopened,
    PieceStuck,
    PieceTested,
    RuleAllowed,
    SubmissionEvent,
)
from aegis_tui.domain.piece.feedback_fold import hold, note_tested, reopen
from aegis_tui.domain.piece.merge_labels import label_resolved, note_detected, note_merged, note_qa, replace_merged
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.qa.check import accept
from aegis_tui.domain.qa.events import QaAccepted, QaBaseChecked, QaEvent, QaFinished
from aegis_tui.domain.registry import collected, each_of
from aegis_tui.domain.review.comment import LineComment
from aegis_tui.domain.review.events import (
    CommentEvent,
    ReviewCommented,
    VerdictEvent,
)
from aegis_tui.domain.review.fold import apply_review
from aegis_tui.domain.run import events
from aegis_tui.domain.run.events import FOUNDATION, RunEvent
from aegis_tui.domain.run.model import RULES_GATE, Run, RunStatus
from aegis_tui.domain.spec.events import SpecDiffSubmitted, SpecTaskAssigned

KEPT_RUNS = 2
"""How many runs the state keeps whole: the open or newest one, and the one before it."""


KEPT_NAMES = 1_000
"""Of how many earlier runs the state keeps the name and the outcome."""


class RunTable:
    """The newest runs of a workspace, in the order of their start, and the names and outcomes of earlier ones."""

    def __init__(self) -> None:
        self.by_id: dict[str, Run] = {}
        self.past: dict[str, bool | None] = {}
        """Earlier runs, oldest first, with whether each succeeded."""

    def get(self, run: str) -> Run:
        """Return the run with that id.

        Raises:
            KeyError: The table does not hold it.
        """
        return self.by_id[run]

    def current(self) -> Run | None:
        """Return the run that is not completed (active, halted or ending); None when there is none.

        There is at most one.
        """
        return next((run for run in self.by_id.values() if run.status is not RunStatus.COMPLETED), None)

    def latest(self) -> Run | None:
        """Return the run that was started last; None when there is none."""
        return next(reversed(self.by_id.values()), None)

    def names(self) -> list[str]:
        """Return the ids of all runs that the table knows, those of which only the outcome is kept too, oldest first.

        A new run needs another id.
        """
        return [*self.past, *self.by_id]

    def forget_ended(self) -> None:
        """Drop the oldest completed runs, so that `KEPT_RUNS` stay in all, but keep the newest names and outcomes.

        An open run is never dropped.
        """
        completed = [run for run in self.by_id.values() if run.status is RunStatus.COMPLETED]
        for run in completed[: max(0, len(self.by_id) - KEPT_RUNS)]:
            del self.by_id[run.run]
            self.past[run.run] = run.ok
        while len(self.past) > KEPT_NAMES:
            del self.past[next(iter(self.past))]

    def piece_of_spec(self, spec_id: str) -> tuple[Run, Piece] | None:
        """Return the run and the piece that a spec describes; None when it describes none."""
        for run in self.by_id.values():
            for piece in run.pieces.values():
                if piece.spec_id == spec_id:
                    return run, piece
        return None

    def evolve(self, agent_id: str, data: RunEvent) -> frozenset[Key]:
        """Apply one event in place and return the key of the run that changed.

        Never raises: one about an unknown run changes nothing and returns an empty set, one about an unknown piece
        changes no piece.

        Args:
            agent_id: The instance that it belongs to; has no effect.
            data: The event's data.
        """
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
        """Record that the piece of a spec was assigned to an instance or submitted; return the key of its run.

        Empty, and nothing is recorded, for a spec that describes no piece. A submission drops the reviews and findings
        of the one before.
        """
        run_and_piece = self.piece_of_spec(data.specId)
        if run_and_piece is None:
            return frozenset()
        run, piece = run_and_piece
        if isinstance(data, SpecTaskAssigned):
            piece.agent_id, piece.base_oid = data.agent, data.base_oid
            piece.agents.append(data.agent)
            piece.attempts += 1
            piece.status, piece.asked = PieceStatus.WORKING, False
        else:
            piece.base_oid, piece.head_oid, piece.tokens = data.base_oid, data.head_oid, data.tokens
            piece.status, piece.checked, piece.asked = PieceStatus.SUBMITTED, False, False
            piece.review_id, piece.review_ids = None, ()
            piece.broken, piece.is_held, piece.tested = (), False, None
        return run.keys()

    def dump(self) -> list[dict[str, Any]]:
        """Return the runs that are kept whole as JSON values, for snapshots; `past` needs no conversion."""
        return [run.model_dump(mode="json", by_alias=True) for run in self.by_id.values()]

    @classmethod
    def load(cls, plain: list[dict[str, Any]], past: Iterable[tuple[str, bool | None]] = ()) -> RunTable:
        """Return a new table from the result of `dump` and from the items of `past`.

        Raises:
            ValueError: A run is not valid.
        """
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
        case EnvironmentPrepared():
            run.environment = data.environment
        case events.RunHalted():
            run.status = RunStatus.HALTED
        case events.RunResumed():
            run.status = RunStatus.ACTIVE
        case events.RunEnding():
            run.status, run.ok, run.error = RunStatus.ENDING, data.ok, data.error
        case events.RunFinished():
            run.status, run.ok = RunStatus.COMPLETED, data.ok
        case events.RunAcknowledged():
            run.is_acknowledged = True
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
                run.pieces[FOUNDATION] = Piece(
                    name=FOUNDATION, spec_id=f"{run.run}-{FOUNDATION}", kind=run.options.kind
                )
            for item in data.design.features:
                run.pieces[item.id] = Piece(
                    name=item.id,
                    spec_id=f"{run.run}-{item.id}",
                    depends_on=tuple(item.depends_on),
                    kind=item.kind,
                )
        case _:
            assert_never(data)


def _piece(run: Run, data: SubmissionEvent) -> None:
    match data:
        case PieceChecked():
            piece = run.pieces.get(data.piece)
            if piece and piece.head_oid == data.head_oid:
                piece.files = tuple(sorted({*piece.files, *data.files}))
                piece.checked, piece.contents = data.ok, data.contents
                piece.broken, piece.is_held = data.broken, False
        case PieceHeld():
            piece = run.pieces.get(data.piece)
            if piece and piece.head_oid == data.head_oid:
                piece.broken, piece.is_held = data.broken, True
                run.gates[RULES_GATE] = False
        case RuleAllowed():
            run.allowed[data.finding.key] = data.by
            piece = run.pieces.get(data.piece)
            if piece and piece.is_held and not run.held_findings(piece):
                piece.is_held = False
        case _:
            assert_never(data)


def _loop(run: Run, data: LoopEvent) -> None:
    match data:
        case PieceTested():
            if piece := run.pieces.get(data.piece):
                note_tested(piece, data)
        case PieceReopened():
            if piece := run.pieces.get(data.piece):
                _forget_findings(run, piece)
                reopen(piece, data)
                run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case PieceStuck():
            if piece := run.pieces.get(data.piece):
                _forget_findings(run, piece)
                hold(piece, data)
                run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case _:
            assert_never(data)


def _forget_findings(run: Run, piece: Piece) -> None:
    """Remove the findings and criteria from the reviews of a piece's present submission; the log still has them.

    They are kept only until all reviews have a verdict.
    """
    for review in run.reviews_of(piece):
        review.criteria, review.findings = (), ()


def _merge(run: Run, data: MergeEvent) -> None:
    match data:
        case MergeQueued():
            if piece := run.pieces.get(data.piece):
                _forget_findings(run, piece)
                piece.status = PieceStatus.ACCEPTED
                run.merge_queue.append(data.piece)
        case MergeApplied():
            if piece := run.pieces.get(data.piece):
                piece.status, piece.applied_head = PieceStatus.APPLIED, data.head_oid
                piece.merged = (*(oid for oid in piece.merged if oid != data.head_oid), data.head_oid)
                run.working_oid = data.oid
                note_merged(run, piece.name, data.merged)
            run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case MergeRejected():
            run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case ConflictDetected():
            note_detected(run, data)
        case ConflictResolved():
            label_resolved(run, data)
        case _:
            assert_never(data)


def _composition(run: Run, data: CompositionEvent) -> None:
    match data:
        case PartialAllowed():
            run.partial_by = data.by
        case CulpritsSought():
            run.is_splitting = True
        case PieceLeftOut():
            run.is_splitting = False
            if piece := run.pieces.get(data.piece):
                _forget_findings(run, piece)
                piece.left_out, piece.status, piece.stuck = data.reason, PieceStatus.LEFT_OUT, ""
                piece.is_held, piece.review_id, piece.review_ids = False, None, ()
            run.merge_queue = [name for name in run.merge_queue if name != data.piece]
        case MergeRebuilt():
            run.working_oid, run.is_rebuilt = data.oid, True
            run.composition_review, run.qa = None, None
            replace_merged(run, data.merged)
            for piece in run.pieces.values():
                if piece.left_out:
                    piece.merged, piece.applied_head = (), None
        case _:
            assert_never(data)


def _comment(run: Run, data: CommentEvent) -> None:
    if isinstance(data, ReviewCommented):
        run.comments.append(LineComment(**data.model_dump(exclude={"type", "run"})))
    else:
        run.comments = [item for item in run.comments if item.piece != data.piece or item.number not in data.numbers]


def _check(run: Run, data: QaEvent) -> None:
    match data:
        case QaFinished():
            run.qa, run.base_qa = data, None
            note_qa(run, data)
        case QaBaseChecked():
            run.base_qa = None if data.ok else data
        case QaAccepted():
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
    each_of(SubmissionEvent, _piece),
    each_of(LoopEvent, _loop),
    each_of(MergeEvent, _merge),
    each_of(CompositionEvent, _composition),
    each_of(VerdictEvent, apply_review),
    each_of(CommentEvent, _comment),
    each_of(QaEvent, _check),
    {events.RunCommitted: _committed},
)
"""The function that applies each type of event to a known run."""
