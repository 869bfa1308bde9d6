"""Rules of the commands about pieces: submit, check, merge, send back (FLOW-7, FLOW-10, LOCK-3, PART-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import own_instance, piece_of, spec_path
from aegis_tui.domain.lock.fencing import check_tokens, fence_finding, stale_at_composition, stale_crossings
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.commands import (
    ConflictResolve,
    ConflictsObserved,
    DiffSubmit,
    MergeMarkApplied,
    MergeMarkRejected,
    PieceMarkChecked,
)
from aegis_tui.domain.piece.events import (
    ConflictResolved,
    MergeApplied,
    MergeQueued,
    MergeRejected,
    Overlapping,
    PieceChecked,
    PieceHeld,
    Resolution,
)
from aegis_tui.domain.piece.feedback import send_back
from aegis_tui.domain.piece.model import PIECE_WORDS, Piece, PieceStatus
from aegis_tui.domain.piece.prediction import observed, predicted
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.pinned import pinned_blobs
from aegis_tui.domain.rule.finding import RuleFinding, Severity
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.reservation import standing_table
from aegis_tui.domain.spec.events import SpecCompleted, SpecDiffSubmitted
from aegis_tui.domain.wire.reply import SubmittedReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

HOW_TO_ALLOW: Final = (
    "if the content is right as it is: allow it while a run is open (aegis-tui rules findings lists it), "
    "or change the rule in .agents/rules and commit that"
)
"""The hint for a run that fails because of the merge rules."""


def submit(workspace: Workspace, command: DiffSubmit, actor: Actor, request_id: str) -> Decision:
    """Accept a submission from the one instance that works on the spec (SPEC-10); it is checked and merged later.

    The reply has the name of the piece.

    Raises:
        Refused: The sender is not a living instance, the spec is not the sender's, the run has ended, or the piece is
            not being worked on.
        StaleToken: A token was never granted for the piece.
    """
    instance = own_instance(workspace, actor)
    run_and_piece = piece_of(workspace, instance)
    if run_and_piece is None or run_and_piece[1].spec_id != command.spec_id:
        raise Refused(f"{command.spec_id} is not assigned to {actor.agent_id}", "see your brief", code="spec.foreign")
    run, piece = run_and_piece
    if not run.is_open:
        raise Refused(f"run {run.run} has ended", code="run.ended")
    if piece.status is not PieceStatus.WORKING:
        raise Refused(
            f"{piece.name} is {PIECE_WORDS[piece.status]}",
            "wait for the result of the last submission",
            code="spec.status",
        )
    check_tokens(workspace, piece, command.tokens)
    data = SpecDiffSubmitted(
        specId=piece.spec_id,
        path=spec_path(piece.spec_id),
        base_oid=command.base_oid,
        head_oid=command.head_oid,
        tokens=command.tokens,
    )
    return Decision([(actor.agent_id, data)], SubmittedReply(piece=piece.name))


def _violations(
    workspace: Workspace, run: Run, piece: Piece, files: Iterable[str], blobs: Mapping[str, Sequence[str]]
) -> list[Finding]:
    table = standing_table(workspace, run)
    for path in piece.granted:
        table.grant(piece.name, path)
    findings = []
    for path in files:
        verdict = table.verdict(piece.name, path)
        if not verdict.allowed:
            is_final = verdict.rule == "shared" or table.is_closed(path)
            advice = "undo the change" if is_final else "undo the change, or make a scope request with a reason"
            findings.append(Finding(type="partition", file=path, msg=f"{verdict.message}; {advice}"))
        elif verdict.needs_lock:
            problem = fence_finding(workspace, run, piece, path, answers=blobs.get(path))
            findings += [problem] if problem else []
    return findings


def mark_checked(workspace: Workspace, command: PieceMarkChecked, actor: Actor, request_id: str) -> Decision:
    """Judge a submission by its check, its partition, its fencing tokens and the pieces that are merged already.

    It is sent back with findings, or to be rebased where merged pieces change the same lines; after too many rejections
    the run fails. It waits for a person if the merge rules found only what a person may allow. One without changes is
    queued to be merged again, if it was merged before. No events for an old or already checked submission, or if the
    run is not open.
    """
    run = workspace.runs.by_id.get(command.run)
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None or not run.is_open or piece.status is not PieceStatus.SUBMITTED:
        return Decision()
    if piece.head_oid != command.head_oid or piece.checked:
        return Decision()
    findings = [*command.findings, *_violations(workspace, run, piece, command.files, command.blobs)]
    broken = _broken(run, command.broken)
    findings += [item.as_finding() for item in broken["error"]]
    unchanged = not command.files and piece.applied_head is not None
    if not command.files and not unchanged and not findings:
        findings.append(Finding(type="empty", msg="nothing was changed"))
    drafts = observed(run, (*command.overlaps, *command.blocking))
    failed = bool(findings or command.blocking)
    place = {"run": run.run, "piece": piece.name, "head_oid": command.head_oid}
    looked = {"broken": command.broken, "scanner": command.scanner}
    if not failed and broken["person"]:
        return Decision([*drafts, (HUB, PieceHeld(**place, **looked))])
    reported = [*findings, *(item.as_finding() for name in ("person", "warning") for item in broken[name])]
    checked = PieceChecked(
        **place,
        **looked,
        ok=not failed,
        files=command.files,
        findings=tuple(reported),
        contents=pinned_blobs(command.contents),
        **command.model_dump(include={"names_used", "names_unknown"}),
    )
    drafts.append((HUB, checked))
    if findings:
        text = brief.rejected_brief(piece.name, reported, by="the hub")
        hint = HOW_TO_ALLOW if broken["error"] else ""
        reason = brief.findings_text(reported)
        drafts += send_back(workspace, run, piece, because="rules", reason=reason, text=text, hint=hint)
    elif command.blocking:
        drafts += crossed(workspace, run, piece, command.blocking)
    elif unchanged:
        drafts.append((HUB, MergeQueued(run=run.run, piece=piece.name, head_oid=command.head_oid)))
    return Decision(drafts)


def _broken(run: Run, findings: Iterable[RuleFinding]) -> dict[Severity, list[RuleFinding]]:
    """Return the findings that nobody has allowed in this run, by severity.

    There is a list, perhaps empty, for each of `error`, `person` and `warning`.
    """
    by_severity: dict[Severity, list[RuleFinding]] = {"error": [], "person": [], "warning": []}
    for item in findings:
        if item.key not in run.allowed and item.severity in by_severity:
            by_severity[item.severity].append(item)
    return by_severity


def crossed(workspace: Workspace, run: Run, piece: Piece, overlaps: Sequence[Overlapping]) -> list[Draft]:
    """Return the events that reject the merge of a piece and send it back to be rebased, or let the run fail.

    It fails after too many rejections of the piece (see `send_back`).

    Args:
        workspace: State after the last logged event.
        run: The run of the piece.
        piece: The piece.
        overlaps: Where it changes the same lines as merged pieces; the prompt to its worker names them.
    """
    paths = ", ".join(sorted({item.path for item in overlaps}))
    reason = f"changes the same lines as pieces that are merged already: {paths}"
    for path, by in stale_crossings(workspace, run, piece, overlaps):
        reason += f"; STALE: {by.agent_id} has meanwhile written {path} with the newer token {by.token}"
    rejected = MergeRejected(run=run.run, piece=piece.name, reason=reason)
    text = brief.rebase_brief(run, piece.name, overlaps)
    return [(HUB, rejected), *send_back(workspace, run, piece, because="merge", reason=reason, text=text)]


def mark_applied(workspace: Workspace, command: MergeMarkApplied, actor: Actor, request_id: str) -> Decision:
    """Record that a piece is merged, or send it back if the merge would remove what has a newer token (LOCK-3).

    Its spec is completed, and conflicts with pieces that were merged before are resolved by that; the worker of the
    foundation is stopped. No events if the run is not open, or the piece is not accepted with this commit.
    """
    run = workspace.runs.by_id.get(command.run)
    piece = run.pieces.get(command.piece) if run else None
    if run is None or piece is None or not run.is_open:
        return Decision()
    if piece.status is not PieceStatus.ACCEPTED or piece.head_oid != command.head_oid:
        return Decision()
    if stale := stale_at_composition(workspace, run, piece, command.kept):
        return Decision(_overtaken(workspace, run, piece, stale))
    applied = MergeApplied(
        run=run.run, piece=piece.name, head_oid=command.head_oid, oid=command.oid, merged=command.merged
    )
    drafts: list[Draft] = [
        (HUB, applied),
        (HUB, SpecCompleted(specId=piece.spec_id, path=spec_path(piece.spec_id))),
    ]
    drafts += [*_settle_conflicts(run, piece.name), *_broken_by(workspace, run, piece)]
    if piece.name == FOUNDATION and (builder := workspace.get_instance(piece.agent_id or "")) and builder.is_alive:
        drafts.append((builder.agent_id, InstanceStopping(reason="foundation merged")))
    return Decision(drafts)


def _broken_by(workspace: Workspace, run: Run, piece: Piece) -> list[Draft]:
    """Return the events that send back merged pieces in whose files the checks fail since this piece is merged."""
    drafts: list[Draft] = []
    for name in piece.tested.breaks if piece.tested else ():
        other = run.pieces.get(name)
        if other is not None and other.status is PieceStatus.APPLIED:
            reason = f"{piece.name}, which is merged now, breaks it"
            text = brief.broken_by_brief(run, name, by=piece.name, trace=piece.tested.trace if piece.tested else "")
            drafts += send_back(workspace, run, other, because="checks", reason=reason, text=text)
    return drafts


def _settle_conflicts(run: Run, name: str) -> list[Draft]:
    """Return the ends of a merged piece's conflicts with pieces that were merged before.

    One in the same lines was `rebased` if the piece was sent back, else the merge could keep both sides.
    """
    drafts: list[Draft] = []
    tested = run.pieces[name].tested
    proposed = {file.path for file in tested.proposed} if tested else set()
    for item in run.conflicts.values():
        if item.resolution is not None or name not in (item.a, item.b):
            continue
        other = run.pieces.get(item.b if item.a == name else item.a)
        if other is None or other.applied_head is not None:
            is_rebased = item.kind == "hot" and run.pieces[name].rejections and item.path not in proposed
            how: Resolution = "rebased" if is_rebased else "merged"
            drafts.append((HUB, ConflictResolved(run=run.run, conflict_id=item.conflict_id, resolution=how)))
    return drafts


def _overtaken(workspace: Workspace, run: Run, piece: Piece, stale: Sequence[Finding]) -> list[Draft]:
    reason = brief.findings_text(stale)
    rejected = MergeRejected(run=run.run, piece=piece.name, reason=reason)
    text = brief.rejected_brief(piece.name, stale, by="the hub")
    return [(HUB, rejected), *send_back(workspace, run, piece, because="merge", reason=reason, text=text)]


def mark_rejected(workspace: Workspace, command: MergeMarkRejected, actor: Actor, request_id: str) -> Decision:
    """Send back a piece whose merge conflicts with merged lines, or would remove some of them, or let the run fail.

    No events if the run is not open, or the piece is not accepted with this commit.
    """
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


def conflicts_observed(workspace: Workspace, command: ConflictsObserved, actor: Actor, request_id: str) -> Decision:
    """Record the predicted conflicts between pieces that are new, have changed or are gone (GIT-2).

    No events if the run is unknown or over.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open:
        return Decision()
    if not command.compared:
        return Decision(observed(run, command.overlaps))
    return Decision(predicted(workspace, run, command.overlaps, command.compared))


def conflict_resolve(workspace: Workspace, command: ConflictResolve, actor: Actor, request_id: str) -> Decision:
    """Record how a conflict between two pieces ended.

    Raises:
        UsageError: There is no such conflict.
    """
    run = next((item for item in workspace.runs.by_id.values() if command.conflict_id in item.conflicts), None)
    if run is None:
        raise UsageError(f"there is no conflict {command.conflict_id}", "list them: aegis-tui conflicts")
    resolved = ConflictResolved(run=run.run, conflict_id=command.conflict_id, resolution=command.resolution)
    return Decision([(actor.agent_id, resolved)])


RULES: Final[Rules] = MappingProxyType(
    {
        DiffSubmit: submit,
        ConflictResolve: conflict_resolve,
        PieceMarkChecked: mark_checked,
        ConflictsObserved: conflicts_observed,
        MergeMarkApplied: mark_applied,
        MergeMarkRejected: mark_rejected,
    }
)
