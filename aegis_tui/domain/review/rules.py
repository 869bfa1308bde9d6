"""Rules about reviews: the verdict, and what a rejection leads to (REV-4, FLOW-10)."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import own_instance
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.events import (
    MergeQueued,
)
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.piece.rules import reopen, send_back
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.events import ReviewCompleted
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.reservation import standing_table
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def verdict(workspace: Workspace, command: ReviewVerdict, actor: Actor, request_id: str) -> Decision:
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


def _judged(workspace: Workspace, run: Run, review: Review, command: ReviewVerdict, actor: Actor) -> list[Draft]:
    approved = command.decision == "approve"
    done = ReviewCompleted(
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
            drafts.append((HUB, MergeQueued(run=run.run, piece=piece.name, head_oid=review.head_oid)))
        return drafts
    findings = [*command.findings, *(_as_finding(item) for item in command.criteria if not item.passed)]
    return drafts + _rejected(workspace, run, review, findings, actor)


def _as_finding(item: Criterion) -> Finding:
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


RULES: Final[Rules] = MappingProxyType({ReviewVerdict: verdict})
