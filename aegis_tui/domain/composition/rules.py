"""Rules for compositions from which pieces are left out (FLOW-7, FLOW-10)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.composition.commands import CulpritsMarkFound, MergeApply, MergeMarkRebuilt
from aegis_tui.domain.composition.events import MergeRebuilt, PartialAllowed
from aegis_tui.domain.composition.leaving import QA_GATE, leave_out, seek_culprits
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.qa.check import why
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.run import events
from aegis_tui.domain.run.events import FOUNDATION, Stage
from aegis_tui.domain.run.failure import fail
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.rules import find_open_run
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def merge_apply(workspace: Workspace, command: MergeApply, actor: Actor, request_id: str) -> Decision:
    """Let a run end without the pieces that fail, and leave out those that the person names. The reply has the run.

    If none is named, those that are stuck are left out.

    If QA has failed and waits for this, the pieces that break it are searched. That the sender is the person was
    checked before (`rights`).

    Raises:
        UsageError: There is no such run or piece.
        Refused: The run has ended or is being committed, the foundation is named, or no feature would be kept.
    """
    run = find_open_run(workspace, command.run)
    if unknown := [name for name in command.leave_out if name not in run.pieces]:
        raise UsageError(f"{run.run} has no piece {', '.join(unknown)}", f"it has {', '.join(run.pieces)}")
    if run.stage is Stage.DONE:
        raise Refused(f"{run.run} is being committed, so no piece can be left out any more", code="merge.late")
    drafts: list[Draft] = []
    if not run.may_be_partial:
        drafts.append((actor.agent_id, PartialAllowed(run=run.run, by=actor.agent_id)))
    reply = RunReply(run=run.run)
    named = command.leave_out or tuple(piece.name for piece in run.pieces.values() if piece.stuck)
    fresh = {name: "left out by the person" for name in named if not run.pieces[name].left_out}
    if fresh:
        left = leave_out(workspace, run, fresh, otherwise=[], is_asked=True)
        if not left:
            reason = f"the {FOUNDATION} cannot be left out" if FOUNDATION in fresh else "no feature would be kept"
            hint = "name fewer pieces, or end the run: aegis-tui cancel"
            raise Refused(reason, hint, code="merge.nothing-left")
        return Decision([*drafts, *left, *_back_to_integrate(run, "pieces are left out by the person")], reply)
    if run.waits_for_partial:
        drafts += seek_culprits(run, _why_qa(run), otherwise=[], is_asked=True)
    return Decision(drafts, reply)


def _why_qa(run: Run) -> str:
    failing = [check for check in run.qa.checks if not check.ok] if run.qa else []
    return "; ".join(f"{check.command}: {why(check)}" for check in failing) or "QA failed"


def _back_to_integrate(run: Run, reason: str) -> list[Draft]:
    """Return the event that takes a run from FINAL-QA back to INTEGRATE; none in any other stage."""
    if run.stage is not Stage.FINAL_QA:
        return []
    return [(HUB, events.StageChanged(run=run.run, stage=Stage.INTEGRATE, round=run.round, reason=reason[:500]))]


def culprits_found(workspace: Workspace, command: CulpritsMarkFound, actor: Actor, request_id: str) -> Decision:
    """Leave out the pieces that break QA and compose the others anew, or end the run if nothing would be kept.

    If there are none, QA failed for another reason, and the run ends. No events if the run does not search the pieces
    of this commit.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open or not run.is_splitting or command.oid != run.working_oid:
        return Decision()
    reasons = {item.piece: item.reason for item in command.culprits if item.piece in run.pieces}
    words = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no single piece breaks it"
    message = f"{QA_GATE} was not met, and leaving pieces out does not help: {words}"
    failed = fail(run, QA_GATE, message[:2000], cause=_why_qa(run)[:2000])
    if not reasons:
        return Decision(failed)
    left = leave_out(workspace, run, reasons, otherwise=[])
    if not left:
        return Decision(failed)
    return Decision([*left, *_back_to_integrate(run, f"left out: {', '.join(reasons)}")])


def merge_rebuilt(workspace: Workspace, command: MergeMarkRebuilt, actor: Actor, request_id: str) -> Decision:
    """Record that the pieces that are kept were composed anew; those that could not be are left out as well.

    No events if the run does not wait for this.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open or not run.needs_rebuild or command.instead_of != run.working_oid:
        return Decision()
    if command.refused:
        reasons = {item.piece: item.reason for item in command.refused if item.piece in run.pieces}
        words = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        message = f"the remaining pieces cannot be merged without those that are left out: {words}"
        failed = fail(run, "merge.rebuild", message[:2000])
        return Decision(leave_out(workspace, run, reasons, otherwise=failed))
    return Decision([(HUB, MergeRebuilt(run=run.run, oid=command.oid, merged=command.merged))])


RULES: Final[Rules] = MappingProxyType(
    {MergeApply: merge_apply, CulpritsMarkFound: culprits_found, MergeMarkRebuilt: merge_rebuilt}
)
