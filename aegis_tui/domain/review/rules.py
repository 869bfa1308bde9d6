"""Rules for verdicts: who may give one, and what an approval or a rejection leads to (REV-4, FLOW-10)."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import own_instance
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.events import MergeQueued
from aegis_tui.domain.piece.feedback import reopen, send_back
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.events import ReviewCompleted
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.review.pinned import freed
from aegis_tui.domain.review.suggestion import findings_of, suggested
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.reservation import standing_table
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def verdict(workspace: Workspace, command: ReviewVerdict, actor: Actor, request_id: str) -> Decision:
    """Record a reviewer's verdict (REV-4); an instance that gave it is stopped, as its task is done.

    The piece is queued for merging or sent back once all reviews that decide have a verdict; if the merged tree is
    rejected, pieces are sent back. The run fails after too many rejections.

    Raises:
        UsageError: There is no such review.
        Refused: The sender is an instance that does not live, the review is another reviewer's or is decided, the run
            has ended, an approval has a failed criterion, or a rejection has neither a finding nor a failed criterion.
    """
    run = next((item for item in workspace.runs.by_id.values() if command.review_id in item.reviews), None)
    if run is None:
        raise UsageError(f"there is no review {command.review_id}", "see aegis-tui review")
    review = run.reviews[command.review_id]
    if actor.kind == "instance" and own_instance(workspace, actor).review_id != command.review_id:
        raise Refused(
            f"{command.review_id} is not assigned to {actor.agent_id}", "see your brief", code="review.foreign"
        )
    if review.is_decided or not run.is_open:
        raise Refused(f"{command.review_id} is {review.status} already", code="review.decided")
    failed = [item.id for item in command.criteria if not item.passed]
    if command.decision == "approve" and failed:
        raise Refused(f"approved, but these criteria fail: {', '.join(failed)}", "reject instead", code="review.gate")
    if command.decision == "reject" and not command.findings and not failed:
        raise Refused("rejected without a finding", "name at least one finding or failed criterion", code="review.gate")
    return Decision(_judged(workspace, run, review, command, actor))


def _judged(workspace: Workspace, run: Run, review: Review, command: ReviewVerdict, actor: Actor) -> list[Draft]:
    done = ReviewCompleted(
        run=run.run,
        review_id=review.review_id,
        reviewer=actor.agent_id,
        piece=review.piece,
        status="APPROVED" if command.decision == "approve" else "CHANGES_REQUESTED",
        criteria=command.criteria,
        findings=command.findings,
        lens=review.lens,
        stale={path: review.blobs[path] for path in review.stale},
    )
    drafts: list[Draft] = [(actor.agent_id, done), *freed(workspace, review)]
    if actor.kind == "instance":
        drafts.append((actor.agent_id, InstanceStopping(reason="verdict given")))
    if review.piece == COMPOSITION:
        return drafts + _of_composition(workspace, run, done)
    piece = run.pieces.get(review.piece)
    if review.part:
        remarks = findings_of([done]) or _findings([done])  # an unfinished piece meets few criteria yet
        return drafts + suggested(workspace, run, piece, remarks, by=done)
    if piece is None or review not in run.reviews_of(piece):
        return drafts
    return drafts + _of_piece(workspace, run, piece, done)


def _of_composition(workspace: Workspace, run: Run, done: ReviewCompleted) -> list[Draft]:
    is_current = run.composition_review == done.review_id and not run.needs_rebuild
    if done.status == "APPROVED" or not is_current:
        return []
    findings = _findings([done])
    table = standing_table(workspace, run)
    owners = {table.owner_of(item.file) for item in findings if item.file}
    blamed = [name for name in run.pieces if name in owners and name != FOUNDATION]
    text = brief.rejected_brief("The merged result of all pieces", findings, by=done.reviewer)
    reason = brief.findings_text(findings)
    drafts = reopen(workspace, run, blamed, gate="composition_approved", reason=reason, texts=text)
    for name in blamed:
        mine = [item for item in findings_of([done]) if item.file and table.owner_of(item.file) == name]
        drafts += suggested(workspace, run, run.pieces[name], mine, by=done, also=drafts)
    return drafts


def _of_piece(workspace: Workspace, run: Run, piece: Piece, done: ReviewCompleted) -> list[Draft]:
    """Return the events that queue a piece for merging, send it back, or end the run after too many rejections.

    None of them until the reviews of all blocking lenses have a verdict. `done` is the verdict that is recorded now.
    Its findings are suggested to the author: with the others when the piece is sent back, at once when that is certain
    not to happen because of it.
    """
    remarks = suggested(workspace, run, piece, findings_of([done]), by=done) if done.status == "APPROVED" else []
    return [*remarks, *_outcome(workspace, run, piece, done)]


def _outcome(workspace: Workspace, run: Run, piece: Piece, done: ReviewCompleted) -> list[Draft]:
    others = [item for item in run.reviews_of(piece) if item.review_id != done.review_id]
    asked = {item.lens for item in others} | {done.lens}
    if not asked.issuperset(lens.name for lens in run.facts.lenses if lens.blocking):
        return []
    if not all(item.is_decided for item in others if run.is_blocking(item)):
        return []
    decided: list[Review | ReviewCompleted] = [*(item for item in others if item.is_decided), done]
    rejected = [item for item in decided if item.status == "CHANGES_REQUESTED"]
    if not any(run.is_blocking(item) for item in rejected):
        if piece.status is not PieceStatus.REVIEWING:
            late = [done] if done in rejected else []
            return suggested(workspace, run, piece, findings_of(late), by=done)
        queued = MergeQueued(run=run.run, piece=piece.name, head_oid=piece.head_oid or "")
        return [(HUB, queued), *suggested(workspace, run, piece, findings_of(rejected), by=done)]
    findings = _findings(rejected)
    reviewers = dict.fromkeys(item.reviewer for item in rejected if item.reviewer)
    text = brief.rejected_brief(piece.name, findings, by=" and ".join(reviewers))
    drafts = send_back(workspace, run, piece, because="review", reason=brief.findings_text(findings), text=text)
    return drafts + suggested(workspace, run, piece, findings_of(rejected), by=done, also=drafts)


def _findings(rejected: Sequence[Review | ReviewCompleted]) -> list[Finding]:
    """Return what has to change after rejections: each problem once, then the failed criteria as findings."""
    failed = [criterion for item in rejected for criterion in item.criteria if not criterion.passed]
    return [*findings_of(rejected), *(_as_finding(criterion) for criterion in failed)]


def _as_finding(item: Criterion) -> Finding:
    return Finding(type="criterion", msg=f"{item.id}: {item.evidence or 'not met'}")


RULES: Final[Rules] = MappingProxyType({ReviewVerdict: verdict})
