"""Rules about pieces: handed in, compared, reviewed, composed, sent back (FLOW-7, FLOW-10, LOCK-3, PART-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from aegis_tui.domain import command as commands
from aegis_tui.domain.count import counted
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.model import InstanceStopping
from aegis_tui.domain.instance.rules import own_instance, piece_of, spec_path
from aegis_tui.domain.lock.fencing import check_tokens, fence_finding, stale_at_composition, stale_crossings
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.model import MessageSent
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.run import brief
from aegis_tui.domain.run import events as events
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION, Finding, Overlapping, Stage
from aegis_tui.domain.run.failure import fail
from aegis_tui.domain.run.model import Piece, PieceStatus, Review, Run
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.domain.scope.reservation import standing_table
from aegis_tui.domain.spec.model import SpecCompleted, SpecDiffSubmitted, SpecUpdated
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def submit(workspace: Workspace, command: commands.DiffSubmit, actor: Actor, request_id: str) -> Decision:
    """Take a hand-in from the one instance that works on the spec (SPEC-10)."""
    instance = own_instance(workspace, actor)
    found = piece_of(workspace, instance)
    if found is None or found[1].spec_id != command.spec_id:
        raise Refused(f"{command.spec_id} is not {actor.agent_id}'s", "see your brief", code="spec.foreign")
    run, piece = found
    if not run.is_open:
        raise Refused(f"run {run.run} has ended", code="run.ended")
    if piece.status is not PieceStatus.WORKING:
        raise Refused(f"{piece.name} is {piece.status}", "wait for the answer to the last hand-in", code="spec.status")
    check_tokens(workspace, piece, command.tokens)
    data = SpecDiffSubmitted(
        specId=piece.spec_id,
        path=spec_path(piece.spec_id),
        base_oid=command.base_oid,
        head_oid=command.head_oid,
        tokens=command.tokens,
    )
    return Decision([(actor.agent_id, data)], {"piece": piece.name})


def design_table(run: Run) -> PartitionTable:
    """The partitions as designed, by piece name: they hold whether or not an instance lives."""
    table = PartitionTable(ignore_case=run.facts.ignore_case)
    if run.design is None:
        return table
    for feature in run.design.features:
        table.set(feature.id, feature.partition)
    if run.design.foundation:
        table.set(FOUNDATION, run.design.foundation.partition)
    table.set_scope(shared=run.design.shared, joint=run.design.joint)
    return table


def _violations(
    workspace: Workspace, run: Run, piece: Piece, files: Iterable[str], blobs: Mapping[str, Sequence[str]]
) -> list[Finding]:
    table = standing_table(workspace, run)
    for path in piece.granted:
        table.grant(piece.name, path)
    found = []
    for path in files:
        verdict = table.verdict(piece.name, path)
        if not verdict.allowed:
            found.append(Finding(type="partition", file=path, msg=verdict.message))
        elif verdict.needs_lock:
            problem = fence_finding(workspace, run, piece, path, answers=blobs.get(path))
            found += [problem] if problem else []
    return found


def mark_checked(workspace: Workspace, command: commands.PieceMarkChecked, actor: Actor, request_id: str) -> Decision:
    """Judge a hand-in by its partition, its fencing tokens and what is composed already."""
    run = workspace.runs.by_id.get(command.run)
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None or not run.is_open or piece.status is not PieceStatus.SUBMITTED:
        return Decision()
    if piece.head_oid != command.head_oid or piece.checked:
        return Decision()
    findings = [*command.findings, *_violations(workspace, run, piece, command.files, command.blobs)]
    unchanged = not command.files and piece.applied_head is not None
    if not command.files and not unchanged and not findings:
        findings.append(Finding(type="empty", msg="nothing was changed"))
    drafts = observed(run, (*command.overlaps, *command.blocking))
    failed = bool(findings or command.blocking)
    checked = events.PieceChecked(
        run=run.run,
        piece=piece.name,
        head_oid=command.head_oid,
        ok=not failed,
        files=command.files,
        findings=tuple(findings),
    )
    drafts.append((HUB, checked))
    if findings:
        text = brief.rejected_brief(piece.name, findings, by="the hub")
        drafts += send_back(workspace, run, piece, reason=brief.findings_text(findings), text=text)
    elif command.blocking:
        drafts += crossed(workspace, run, piece, command.blocking)
    elif unchanged:
        drafts.append((HUB, events.MergeQueued(run=run.run, piece=piece.name, head_oid=command.head_oid)))
    return Decision(drafts)


def observed(run: Run, overlaps: Sequence[Overlapping]) -> list[Draft]:
    """Detections of overlaps that are not known yet; a soft one that turned hot is told again."""
    drafts: list[Draft] = []
    for item in {conflict_id(found): found for found in overlaps}.values():
        known = run.conflicts.get(conflict_id(item))
        if known is not None and (known.kind == item.kind or known.kind == "hot") and known.resolution is None:
            continue
        if known is not None and known.resolution is not None and item.kind == "soft":
            continue
        detected = events.ConflictDetected(run=run.run, conflict_id=conflict_id(item), **item.model_dump())
        drafts.append((HUB, detected))
    return drafts


def conflict_id(item: Overlapping) -> str:
    """One name for the pair and the path, whichever of the two is named first."""
    first, second = sorted((item.a, item.b))
    return f"{first}~{second}:{item.path}"


def crossed(workspace: Workspace, run: Run, piece: Piece, overlaps: Sequence[Overlapping]) -> list[Draft]:
    """Send a piece back to be rebased."""
    paths = ", ".join(sorted({item.path for item in overlaps}))
    reason = f"crosses lines that are composed already: {paths}"
    for path, by in stale_crossings(workspace, run, piece, overlaps):
        reason += f"; STALE: {by.agent_id} has written {path} since, under the newer token {by.token}"
    rejected = events.MergeRejected(run=run.run, piece=piece.name, reason=reason)
    text = brief.rebase_brief(run, piece.name, overlaps)
    return [(HUB, rejected), *send_back(workspace, run, piece, reason=reason, text=text)]


def send_back(workspace: Workspace, run: Run, piece: Piece, *, reason: str, text: str) -> list[Draft]:
    """Reopen a piece with its worker, or with a fresh one when that is gone; a bounded number of times (FLOW-10)."""
    worker = workspace.get_instance(piece.agent_id or "")
    if piece.rejections >= run.options.max_rounds:
        message = f"{piece.name} was rejected {counted(piece.rejections + 1, 'time')}: {reason}"
        return fail(run, "rounds", message, cause=reason, instance=worker, feature=piece.name)
    alive = worker is not None and worker.is_alive
    drafts: list[Draft] = [
        (HUB, events.PieceReopened(run=run.run, piece=piece.name, reason=text, fresh=not alive)),
        (HUB, SpecUpdated(specId=piece.spec_id, path=spec_path(piece.spec_id), status="in-progress")),
    ]
    if alive and worker is not None:
        context = {"task": "fix", "spec_id": piece.spec_id, "base_oid": piece.base_oid}
        drafts.append((HUB, MessageSent(to=worker.agent_id, text=text, kind="prompt", context=context)))
    return drafts


def verdict(workspace: Workspace, command: commands.ReviewVerdict, actor: Actor, request_id: str) -> Decision:
    """Take a reviewer's verdict; an approval with a failed criterion is refused (REV-4)."""
    run = next((item for item in workspace.runs.by_id.values() if command.review_id in item.reviews), None)
    if run is None:
        raise UsageError(f"there is no review {command.review_id}", "see aegis-tui review")
    review = run.reviews[command.review_id]
    if actor.kind == "instance" and own_instance(workspace, actor).review_id != command.review_id:
        raise Refused(f"{command.review_id} is not {actor.agent_id}'s", "see your brief", code="review.foreign")
    if review.status in ("APPROVED", "CHANGES_REQUESTED") or not run.is_open:
        raise Refused(f"{command.review_id} is {review.status} already", code="review.decided")
    failed = [item.id for item in command.criteria if not item.passed]
    if command.decision == "approve" and failed:
        raise Refused(f"approved, but these criteria fail: {', '.join(failed)}", "reject instead", code="review.gate")
    if command.decision == "reject" and not command.findings and not failed:
        raise Refused("rejected without a finding", "name at least one finding or failed criterion", code="review.gate")
    return Decision(_judged(workspace, run, review, command, actor))


def _judged(
    workspace: Workspace, run: Run, review: Review, command: commands.ReviewVerdict, actor: Actor
) -> list[Draft]:
    approved = command.decision == "approve"
    done = events.ReviewCompleted(
        run=run.run,
        review_id=review.review_id,
        reviewer=actor.agent_id,
        piece=review.piece,
        status="APPROVED" if approved else "CHANGES_REQUESTED",
        criteria=command.criteria,
        findings=command.findings,
    )
    drafts: list[Draft] = [(actor.agent_id, done)]
    if actor.kind == "instance":
        drafts.append((actor.agent_id, InstanceStopping(reason="verdict given")))
    if approved:
        piece = run.pieces.get(review.piece)
        if piece is not None and piece.head_oid == review.head_oid and piece.status is PieceStatus.REVIEWING:
            drafts.append((HUB, events.MergeQueued(run=run.run, piece=piece.name, head_oid=review.head_oid)))
        return drafts
    findings = [*command.findings, *(_as_finding(item) for item in command.criteria if not item.passed)]
    return drafts + _rejected(workspace, run, review, findings, actor)


def _as_finding(item: events.Criterion) -> Finding:
    return Finding(type="criterion", msg=f"{item.id}: {item.evidence or 'not met'}")


def _rejected(workspace: Workspace, run: Run, review: Review, findings: Sequence[Finding], actor: Actor) -> list[Draft]:
    reason = brief.findings_text(findings)
    if review.piece == COMPOSITION:
        table = standing_table(workspace, run)
        owners = {table.owner_of(item.file) for item in findings if item.file}
        blamed = [name for name in run.pieces if name in owners and name != FOUNDATION]
        text = brief.rejected_brief("the composition", findings, by=actor.agent_id)
        return reopen(workspace, run, blamed, gate="composition_approved", reason=reason, texts=text)
    piece = run.pieces.get(review.piece)
    if piece is None or piece.review_id != review.review_id:
        return []
    text = brief.rejected_brief(piece.name, findings, by=actor.agent_id)
    return send_back(workspace, run, piece, reason=reason, text=text)


def reopen(
    workspace: Workspace,
    run: Run,
    blamed: Sequence[str],
    *,
    gate: str,
    reason: str,
    texts: str | dict[str, str],
    hint: str = "",
) -> list[Draft]:
    """Back to MONITORING with the reason, one round further; over the bound the run fails (FLOW-10).

    Args:
        workspace: State after the last logged event.
        run: The run whose composition was rejected.
        blamed: Names of the pieces that go back; empty means all features.
        gate: The gate that did not open.
        reason: Why, for the log.
        texts: What the workers are told: one text for all, or one by piece name.
        hint: What a person can do, for the end of the run.
    """
    drafts: list[Draft] = [
        (HUB, events.GateBlocked(run=run.run, stage=run.stage, gate=gate, reason=reason[:2000])),
    ]
    if run.round >= run.options.max_rounds:
        corrections = f" after {counted(run.round, 'round')} of corrections" if run.round else ""
        message = f"{gate} was not met{corrections}: {reason[:500]}"
        return drafts + fail(
            run, gate, message, hint, cause=reason[:2000], feature=blamed[0] if len(blamed) == 1 else None
        )
    changed = events.StageChanged(run=run.run, stage=Stage.MONITORING, round=run.round + 1, reason=reason[:500])
    drafts.append((HUB, changed))
    for name in blamed or [piece.name for piece in run.features()]:
        text = texts if isinstance(texts, str) else texts.get(name, reason)
        drafts += send_back(workspace, run, run.pieces[name], reason=reason[:500], text=text)
    return drafts


def mark_applied(workspace: Workspace, command: commands.MergeMarkApplied, actor: Actor, request_id: str) -> Decision:
    """The working ref contains the piece now; refused where that takes away what has a newer token (LOCK-3)."""
    run = workspace.runs.by_id.get(command.run)
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None or not run.is_open:
        return Decision()
    if piece.status is not PieceStatus.ACCEPTED or piece.head_oid != command.head_oid:
        return Decision()
    if stale := stale_at_composition(workspace, run, piece, command.kept):
        return Decision(_overtaken(workspace, run, piece, stale))
    applied = events.MergeApplied(run=run.run, piece=piece.name, head_oid=command.head_oid, oid=command.oid)
    drafts: list[Draft] = [
        (HUB, applied),
        (HUB, SpecCompleted(specId=piece.spec_id, path=spec_path(piece.spec_id))),
    ]
    drafts += _settle_conflicts(run, piece.name)
    if piece.name == FOUNDATION and (builder := workspace.get_instance(piece.agent_id or "")) and builder.is_alive:
        drafts.append((builder.agent_id, InstanceStopping(reason="foundation composed")))
    return Decision(drafts)


def _settle_conflicts(run: Run, name: str) -> list[Draft]:
    drafts: list[Draft] = []
    for item in run.conflicts.values():
        if item.resolution is not None or name not in (item.a, item.b):
            continue
        other = run.pieces.get(item.b if item.a == name else item.a)
        if other is not None and other.applied_head is not None:
            how: events.Resolution = "rebased" if item.kind == "hot" else "merged"
            drafts.append((HUB, events.ConflictResolved(run=run.run, conflict_id=item.conflict_id, resolution=how)))
    return drafts


def _overtaken(workspace: Workspace, run: Run, piece: Piece, stale: Sequence[Finding]) -> list[Draft]:
    reason = brief.findings_text(stale)
    rejected = events.MergeRejected(run=run.run, piece=piece.name, reason=reason)
    text = brief.rejected_brief(piece.name, stale, by="the hub")
    return [(HUB, rejected), *send_back(workspace, run, piece, reason=reason, text=text)]


def mark_rejected(workspace: Workspace, command: commands.MergeMarkRejected, actor: Actor, request_id: str) -> Decision:
    """Composition found crossing lines, or lines that it would drop: the piece goes back to be rebased."""
    run = workspace.runs.by_id.get(command.run)
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None or not run.is_open:
        return Decision()
    if piece.status is not PieceStatus.ACCEPTED or piece.head_oid != command.head_oid:
        return Decision()
    drafts = observed(run, command.overlaps)
    if command.stale:
        return Decision([*drafts, *_overtaken(workspace, run, piece, command.stale)])
    return Decision([*drafts, *crossed(workspace, run, piece, command.overlaps)])


def conflicts_observed(
    workspace: Workspace, command: commands.ConflictsObserved, actor: Actor, request_id: str
) -> Decision:
    """Overlaps between pieces that are still being worked on (GIT-2)."""
    run = workspace.runs.by_id.get(command.run)
    return Decision() if run is None or not run.is_open else Decision(observed(run, command.overlaps))


def conflict_resolve(
    workspace: Workspace, command: commands.ConflictResolve, actor: Actor, request_id: str
) -> Decision:
    """A person says how a conflict ended."""
    run = next((item for item in workspace.runs.by_id.values() if command.conflict_id in item.conflicts), None)
    if run is None:
        raise UsageError(f"there is no conflict {command.conflict_id}", "list them: aegis-tui conflicts")
    resolved = events.ConflictResolved(run=run.run, conflict_id=command.conflict_id, resolution=command.resolution)
    return Decision([(actor.agent_id, resolved)])


RULES: Final[Rules] = MappingProxyType(
    {
        commands.DiffSubmit: submit,
        commands.ReviewVerdict: verdict,
        commands.ConflictResolve: conflict_resolve,
        commands.PieceMarkChecked: mark_checked,
        commands.ConflictsObserved: conflicts_observed,
        commands.MergeMarkApplied: mark_applied,
        commands.MergeMarkRejected: mark_rejected,
    }
)
