"""Events that follow from the state without a command: gates open, stages change, instances and reviews are planned.

`follow` looks at the state after the last event and returns the next events; the core applies them and calls it again
until there are none. Because each step has its own event, a hub that is killed at any point can continue from the log.
"""

from __future__ import annotations

from collections.abc import Iterator

from aegis_tui.domain.composition.leaving import leave_out
from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.instance.plan import plan
from aegis_tui.domain.instance.rules import spec_path
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.review.events import ReviewRequested
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run import events
from aegis_tui.domain.run.events import FOUNDATION, Stage
from aegis_tui.domain.run.failure import fail, fail_task, given_up
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.stage import following, gates_of, ready_features, rules_gate
from aegis_tui.domain.scope.reservation import dispatch_overlap, globs_of
from aegis_tui.domain.spec.events import SpecTaskAssigned
from aegis_tui.domain.spec.follow import follow_specs
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused

MAX_REVIEWERS = 4
"""The most reviewers at the same time; more would only wait for the model server."""


def follow(workspace: Workspace) -> list[Draft]:
    """Return the next events that follow from the state alone; empty if there are none.

    These move specs with their runs, plan instances, request reviews, open gates, change the stage, or end the run. Of
    an ending run they stop its instances; a halted run has none. Only one step is returned at once: apply the events
    and call again until it is empty.

    Args:
        workspace: State after the last event; not changed.
    """
    if moved := follow_specs(workspace):
        return moved
    run = workspace.runs.current()
    if run is None:
        return []
    if run.status is RunStatus.ENDING:
        return _wind_up(workspace, run)
    if run.status is RunStatus.HALTED:
        return []
    for step in (
        _ask_reviews,
        _plan_commander,
        _plan_workers,
        _plan_scouts,
        _plan_reviewers,
        _end_unattended,
        _open_gates,
    ):
        if drafts := list(step(workspace, run)):
            return drafts
    return []


def _wind_up(workspace: Workspace, run: Run) -> list[Draft]:
    return [
        (item.agent_id, InstanceStopping(reason="the run has ended"))
        for item in workspace.instances.of_run(run.run)
        if item.is_alive
    ]


def _open_gates(workspace: Workspace, run: Run) -> Iterator[Draft]:
    gates = gates_of(workspace, run)
    for gate in gates:
        if gate.passed and not run.gates.get(gate.name):
            yield HUB, events.GatePassed(run=run.run, stage=run.stage, gate=gate.name, reason=gate.reason)
            return
    after = following(run.stage)
    if after is not None and all(gate.passed for gate in gates):
        yield HUB, events.StageChanged(run=run.run, stage=after, round=run.round)


def _ask_reviews(workspace: Workspace, run: Run) -> Iterator[Draft]:
    for piece in run.pieces.values():
        lens = _next_lens(run, piece)
        if lens is not None and piece.base_oid and piece.head_oid:
            requested = ReviewRequested(
                run=run.run,
                review_id=f"{run.run}-v{workspace.seq + 1}",
                piece=piece.name,
                base_oid=piece.base_oid,
                head_oid=piece.head_oid,
                files=piece.files,
                description=f"{piece.name}: {counted(len(piece.files), 'file')}",
                lens=lens,
                blobs=piece.contents,
            )
            yield piece.agent_id or HUB, requested
            return


def _next_lens(run: Run, piece: Piece) -> str | None:
    """Return the name of the next lens, a subject of review, for a piece.

    None if all were requested, or the piece has no submission that passed its check.
    """
    if piece.status is not PieceStatus.REVIEWING and not (piece.status is PieceStatus.SUBMITTED and piece.checked):
        return None
    asked = {review.lens for review in run.reviews_of(piece)}
    return next((lens.name for lens in run.facts.lenses if lens.name not in asked), None)


def _plan_commander(workspace: Workspace, run: Run) -> Iterator[Draft]:
    if run.stage is Stage.DESIGN and run.prepared and run.design is None and run.proposed is None:
        mine = [item for item in workspace.instances.of_run(run.run) if item.task == "design"]
        if any(item.phase is not Phase.RECLAIMED for item in mine):
            return
        if failure := given_up(mine, run.options.max_attempts):
            yield from fail_task(run, "design.failed", "the design", failure)
            return
        yield plan(workspace, run, role="commander", kind=run.options.kind, task="design", base_oid=run.facts.base_oid)
    elif run.stage is Stage.FOUNDATION and run.design and run.design.foundation:
        piece = run.pieces[FOUNDATION]
        if piece.status is PieceStatus.PENDING:
            yield from _hopeless(workspace, run, piece) or _staff(workspace, run, piece, role="commander")


def _plan_workers(workspace: Workspace, run: Run) -> Iterator[Draft]:
    if run.stage not in (Stage.DISPATCH, Stage.MONITORING) or run.design is None:
        return
    has_slot = _has_slot(workspace, run)
    for name in ready_features(run):
        piece = run.pieces[name]
        if piece.status is not PieceStatus.PENDING:
            continue
        drafts = _hopeless(workspace, run, piece)
        if not drafts and has_slot:
            role = "junior-developer" if piece.handed_over else "worker"
            drafts = list(_staff(workspace, run, piece, role=role))
        if drafts:
            yield from drafts
            return


def _has_slot(workspace: Workspace, run: Run) -> bool:
    """Return whether one more worker may start: fewer than `options.workers` are busy.

    The worker of a feature that is not merged counts as long as it lives, unless the feature waits for the person.
    """
    busy = sum(
        1
        for piece in run.features()
        if piece.status not in (PieceStatus.APPLIED, PieceStatus.LEFT_OUT, PieceStatus.STUCK)
        and (agent := workspace.get_instance(piece.agent_id or "")) is not None
        and agent.is_alive
    )
    return busy < run.options.workers


def _end_unattended(workspace: Workspace, run: Run) -> Iterator[Draft]:
    """End a run that nobody watches as soon as every piece is merged, held by a merge rule, or unable to start.

    While other pieces can still be built or merged, the run continues, and a person may allow what was found.
    """
    if run.options.attended or not (held := [item for item in run.pieces.values() if run.held_findings(item)]):
        return
    idle = (PieceStatus.APPLIED, PieceStatus.LEFT_OUT, PieceStatus.PENDING)
    if any(piece.status not in idle and piece not in held for piece in run.pieces.values()):
        return
    is_staffing = run.stage is not Stage.FOUNDATION and _has_slot(workspace, run)
    if is_staffing and any(run.pieces[name].status is PieceStatus.PENDING for name in ready_features(run)):
        return
    gate = rules_gate(run)
    yield (
        HUB,
        events.GateBlocked(run=run.run, stage=run.stage, gate=gate.name, reason=gate.reason, command=gate.command),
    )
    message = (
        f"nothing else is left to do, and a run that was not started in the dashboard does not wait: {gate.reason}"
    )
    hint = (
        f"if the content is right: start the run in the dashboard, where it waits for you ({gate.command}), "
        "or change the rule in .agents/rules and commit that"
    )
    failed = fail(run, gate.name, message[:2000], hint, cause=gate.reason, feature=held[0].name)
    reasons = {item.name: f"the run does not wait for your permission: {gate.reason}" for item in held}
    yield from leave_out(workspace, run, reasons, otherwise=failed)


def _plan_scouts(workspace: Workspace, run: Run) -> Iterator[Draft]:
    if not run.options.scouts:
        return
    looked_at = {item.piece for item in workspace.instances.of_run(run.run) if item.role == "scout"}
    for piece in run.features():
        if piece.status is PieceStatus.WORKING and piece.base_oid and piece.name not in looked_at:
            kind = run.options.kind
            yield plan(workspace, run, role="scout", kind=kind, task="scout", base_oid=piece.base_oid, piece=piece.name)
            return


def _tried(workspace: Workspace, piece: Piece) -> list[Instance]:
    return [item for name in piece.agents if (item := workspace.get_instance(name)) is not None]


def _hopeless(workspace: Workspace, run: Run, piece: Piece) -> list[Draft]:
    """Return the events that end the run, or leave a piece out of it, because the piece is given up.

    Empty while another worker may still build it.
    """
    tried = _tried(workspace, piece)
    if not tried or tried[-1].phase is not Phase.RECLAIMED:
        return []
    # An instance whose rounds are used up has done its work to the end: it did not fail.
    failure = given_up([item for item in tried if item.agent_id not in piece.handed_over], run.options.max_attempts)
    if not failure:
        return []
    failed = fail_task(run, "worker.failed", piece.name, failure, back=piece.feedback)
    return leave_out(workspace, run, {piece.name: f"{piece.name} {failure.words}"}, otherwise=failed)


def _staff(workspace: Workspace, run: Run, piece: Piece, *, role: str) -> Iterator[Draft]:
    tried = _tried(workspace, piece)
    last = tried[-1] if tried else None
    if last is not None and last.phase is not Phase.RECLAIMED:
        return
    partition = globs_of(workspace, run, piece)
    try:
        met = dispatch_overlap(workspace, piece.name, partition)
    except Refused as error:
        yield from fail(run, error.code, f"{piece.name} cannot start: {error.message}", error.hint)
        return
    if met is not None:
        why = f"{met.a} of {piece.name} and {met.b} of {met.owners[1]} both match {met.witness}"
        yield from fail(run, "partition.overlap", f"{piece.name} cannot start: {why}")
        return
    base = run.working_oid if piece.head_oid is None or piece.applied_head == piece.head_oid else piece.head_oid
    planned = plan(
        workspace,
        run,
        role=role,
        kind=piece.kind,
        task="foundation" if piece.name == FOUNDATION else "implement",
        base_oid=base,
        piece=piece.name,
        partition=partition,
        replaces=last.agent_id if last else None,
    )
    yield planned
    path = spec_path(piece.spec_id)
    yield HUB, SpecTaskAssigned(specId=piece.spec_id, path=path, agent=planned[0], base_oid=base)


def _plan_reviewers(workspace: Workspace, run: Run) -> Iterator[Draft]:
    alive = sum(1 for item in workspace.instances.of_run(run.run) if item.role == "reviewer" and item.is_alive)
    for review in sorted(run.reviews.values(), key=lambda item: item.part):  # what decides comes first
        tried = [item for item in workspace.instances.of_run(run.run) if item.review_id == review.review_id]
        if not _wants_reviewer(run, review) or any(item.is_alive for item in tried):
            continue
        if failure := given_up(tried, run.options.max_attempts):
            if not run.is_blocking(review):
                continue
            yield from fail_task(run, "review.failed", f"the review of {review.piece}", failure)
            return
        if alive >= MAX_REVIEWERS:
            return
        yield plan(
            workspace,
            run,
            role="reviewer",
            kind=run.options.kind,
            task="review",
            base_oid=review.head_oid,
            piece=review.piece,
            review_id=review.review_id,
        )
        return


def _wants_reviewer(run: Run, review: Review) -> bool:
    """Return whether the review has no verdict yet and is still needed."""
    is_current = run.composition_review == review.review_id or _is_open(run, review)
    if review.part and (piece := run.pieces.get(review.piece)):
        is_current = run.open_part(piece) is review
    return is_current and not review.is_decided


def _is_open(run: Run, review: Review) -> bool:
    """Return whether the review is about the present submission of its piece."""
    piece = run.pieces.get(review.piece)
    return piece is not None and review in run.reviews_of(piece)
