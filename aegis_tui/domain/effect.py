"""Effects: the actions outside the hub's state that the state requires, each safe to repeat.

The reconciler carries out what `needed` returns, and reports each result with a command; it has no state of its own.
A hub that is killed between an effect and its command repeats the effect, which then finds its work already done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PrepareRun:
    """Create the working ref at the base commit."""

    run: str


@dataclass(frozen=True, slots=True)
class PrepareInstance:
    """Create the instance's worktree, token, brief and launch record."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class LaunchInstance:
    """Open the instance's pane."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class StopInstance:
    """End the instance's pane and every process that it started."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class ReclaimInstance:
    """Save the work that only the instance's worktree holds, then remove the worktree."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class InspectPiece:
    """Check a submission: its paths against the partition, its symbolic links, and conflicts with other pieces."""

    run: str
    piece: str
    head_oid: str


@dataclass(frozen=True, slots=True)
class RunPieceChecks:
    """Run the checks of a submission on its tree merged with the working ref, in the object store alone."""

    run: str
    piece: str
    head_oid: str
    onto: str


@dataclass(frozen=True, slots=True)
class ComposePiece:
    """Merge an accepted piece onto the working ref."""

    run: str
    piece: str
    head_oid: str


@dataclass(frozen=True, slots=True)
class CheckComposition:
    """Check that the merged tree holds every piece and nothing else."""

    run: str
    oid: str


@dataclass(frozen=True, slots=True)
class RebuildComposition:
    """Compose the pieces that are kept anew, without those that were merged and are left out."""

    run: str
    oid: str
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindCulprits:
    """Find the pieces that break QA of the merged tree."""

    run: str
    oid: str


@dataclass(frozen=True, slots=True)
class RunQa:
    """Run the QA commands on the merged tree."""

    run: str
    round: int
    oid: str


@dataclass(frozen=True, slots=True)
class CommitRun:
    """Create the run's one squash commit."""

    run: str
    oid: str


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Clean up the run's branches, keep its refs, and write the report."""

    run: str


Effect = (
    PrepareRun
    | PrepareInstance
    | LaunchInstance
    | StopInstance
    | ReclaimInstance
    | InspectPiece
    | RunPieceChecks
    | ComposePiece
    | CheckComposition
    | RebuildComposition
    | FindCulprits
    | RunQa
    | CommitRun
    | FinishRun
)

_BY_PHASE: dict[Phase, type[PrepareInstance | LaunchInstance | StopInstance | ReclaimInstance]] = {
    Phase.PLANNED: PrepareInstance,
    Phase.PREPARED: LaunchInstance,
    Phase.STOPPING: StopInstance,
    Phase.GONE: ReclaimInstance,
}


def needed(workspace: Workspace) -> list[Effect]:
    """Return the effects, steps outside the hub's state, that the state requires now, in the order of their start.

    None depends on the result of another. Empty if no run is open or ending, or if it only waits for agents. The same
    state gives the same effects until their results are recorded.
    """
    run = workspace.runs.current()
    if run is None:
        return []
    effects: list[Effect] = list(_instances(workspace, run))
    if run.status is RunStatus.ENDING:
        mine = list(workspace.instances.of_run(run.run))
        if all(item.phase is Phase.RECLAIMED for item in mine):
            effects.append(FinishRun(run.run))
        return effects
    if not run.prepared:
        effects.append(PrepareRun(run.run))
    if run.status is RunStatus.ACTIVE:
        effects += _pieces(run)
        effects += _whole(run)
    return effects


def _instances(workspace: Workspace, run: Run) -> Iterator[Effect]:
    # What judges a piece comes first: the piece waits for it, and it is soon done.
    for item in sorted(workspace.instances.of_run(run.run), key=lambda item: not traits_of(item.role).is_judge):
        if item.phase in (Phase.PLANNED, Phase.PREPARED) and run.status is RunStatus.HALTED:
            continue
        if effect := _BY_PHASE.get(item.phase):
            yield effect(item.agent_id)


def _pieces(run: Run) -> Iterator[Effect]:
    for piece in run.pieces.values():
        if piece.status is PieceStatus.SUBMITTED and not piece.checked and not piece.is_held and piece.head_oid:
            yield InspectPiece(run.run, piece.name, piece.head_oid)
    if (candidate := run.next_to_test()) is not None and candidate.head_oid:
        yield RunPieceChecks(run.run, candidate.name, candidate.head_oid, run.working_oid)
    first = run.pieces[run.merge_queue[0]] if run.merge_queue else None
    if first is not None and run.is_tested(first) and (head := first.head_oid):
        yield ComposePiece(run.run, run.merge_queue[0], head)


def _whole(run: Run) -> Iterator[Effect]:
    if run.stage is Stage.INTEGRATE and run.needs_rebuild:
        gone = tuple(piece.name for piece in run.pieces.values() if piece.left_out)
        yield RebuildComposition(run.run, run.working_oid, gone)
    elif run.stage is Stage.INTEGRATE and run.composition_review is None:
        yield CheckComposition(run.run, run.working_oid)
    elif run.stage is Stage.FINAL_QA and run.is_splitting:
        yield FindCulprits(run.run, run.working_oid)
    elif run.stage is Stage.FINAL_QA and run.qa is None:
        yield RunQa(run.run, run.round, run.working_oid)
    elif run.stage is Stage.DONE and run.commit is None:
        yield CommitRun(run.run, run.working_oid)


STEP_WORDS: Final[Mapping[type[Effect], str]] = MappingProxyType(
    {
        PrepareRun: "creating the integration branch of {run}",
        PrepareInstance: "creating the worktree of {agent_id}",
        LaunchInstance: "starting {agent_id}",
        StopInstance: "ending {agent_id}",
        ReclaimInstance: "saving the work of {agent_id}",
        InspectPiece: "comparing {piece} with the other pieces",
        RunPieceChecks: "QA of {piece}, merged with the other pieces",
        ComposePiece: "merging {piece}",
        CheckComposition: "comparing the merged tree with its pieces",
        RebuildComposition: "merging the pieces that are kept",
        FindCulprits: "finding the pieces that break QA",
        RunQa: "QA of the merged tree",
        CommitRun: "creating the commit",
        FinishRun: "closing {run}",
    }
)
"""What each effect does, as words for a person, with placeholders for its fields."""


def step_words(effect: Effect) -> str:
    """Return what an effect does as words for a person, with its run, piece or agent: `merging api`."""
    return STEP_WORDS[type(effect)].format(**asdict(effect))
