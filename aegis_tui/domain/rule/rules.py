"""Rules for a person's answer to what the merge rules found (FLOW-9)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.events import RuleAllowed
from aegis_tui.domain.piece.feedback import send_back
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.rule.commands import RuleAllow, RuleRefuse
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.wire.reply import AllowedReply, RunReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

_LIST = "list them: aegis-tui rules findings"


def allow(workspace: Workspace, command: RuleAllow, actor: Actor, request_id: str) -> Decision:
    """Allow findings of one run; a piece that waits for nothing else is then checked again.

    That the sender is the person was checked before (`rights`). A worker that repairs a finding is told when nothing is
    left to repair. The reply has the `keys` allowed now.

    Raises:
        UsageError: There is no such run, piece or finding, or neither findings nor a piece are named.
        Refused: The run has ended.
    """
    run = _named(workspace, command.run)
    chosen = _by_key(run, command.keys) if command.keys else _of_piece(run, command.piece)
    fresh = [(piece, item) for piece, item in chosen if item.key not in run.allowed]
    drafts: list[Draft] = [
        (
            actor.agent_id,
            RuleAllowed(run=run.run, piece=piece.name, finding=item, by=actor.agent_id, reason=command.reason),
        )
        for piece, item in fresh
    ]
    keys = {item.key for _, item in fresh}
    for piece in {piece.name: piece for piece, _ in fresh}.values():
        drafts += _tell(workspace, run, piece, keys)
    return Decision(drafts, AllowedReply(run=run.run, keys=sorted(keys)))


def refuse(workspace: Workspace, command: RuleRefuse, actor: Actor, request_id: str) -> Decision:
    """Send a piece back to its worker because of what it waits for; it counts as a rejection, which may end the run.

    That the sender is the person was checked before (`rights`). The reply names the run.

    Raises:
        UsageError: There is no such run or piece.
        Refused: The run has ended, or the piece waits for nobody.
    """
    run = _named(workspace, command.run)
    piece = run.pieces.get(command.piece)
    if piece is None:
        raise UsageError(f"{run.run} has no piece {command.piece}", "see aegis-tui status")
    held = run.held_findings(piece)
    if not held:
        raise Refused(f"{piece.name} is not waiting for a person", _LIST, code="rule.not-held")
    findings = [item.as_finding() for item in held]
    reason = command.reason or "the person does not allow it"
    text = f"The person does not allow this: {reason}\n{brief.rejected_brief(piece.name, findings, by=actor.agent_id)}"
    return Decision(send_back(workspace, run, piece, because="rules", reason=reason, text=text), RunReply(run=run.run))


def _named(workspace: Workspace, name: str | None) -> Run:
    run = workspace.runs.by_id.get(name) if name else workspace.runs.current()
    if run is None:
        raise UsageError(f"there is no run {name}" if name else "no run is active", "see aegis-tui runs")
    if not run.is_open:
        raise Refused(f"run {run.run} has ended", "what was found is in its report", code="run.ended")
    return run


def _by_key(run: Run, keys: tuple[str, ...]) -> list[tuple[Piece, RuleFinding]]:
    known = {item.key: (piece, item) for piece in run.pieces.values() for item in piece.broken}
    if missing := [key for key in keys if key not in known]:
        raise UsageError(f"{run.run} has no finding {', '.join(missing)}", _LIST)
    return [known[key] for key in dict.fromkeys(keys)]


def _of_piece(run: Run, name: str | None) -> list[tuple[Piece, RuleFinding]]:
    if name is None:
        raise UsageError("name the findings to allow, or a piece", _LIST)
    piece = run.pieces.get(name)
    if piece is None:
        raise UsageError(f"{run.run} has no piece {name}", "see aegis-tui status")
    held = run.held_findings(piece)
    if not held:
        raise UsageError(f"{name} is not waiting for a person", _LIST)
    return [(piece, item) for item in held]


def _tell(workspace: Workspace, run: Run, piece: Piece, allowed: set[str]) -> list[Draft]:
    worker = workspace.get_instance(piece.agent_id or "")
    still = [item for item in piece.broken if item.severity == "error" and item.key not in {*allowed, *run.allowed}]
    was_sent_back = any(item.severity == "error" for item in piece.broken)
    if piece.status is not PieceStatus.WORKING or worker is None or not worker.is_alive or still or not was_sent_back:
        return []
    text = (
        f"The person has allowed what the rules found in {piece.name}. Unless you are changing it, report done again."
    )
    context = {"task": "fix", "spec_id": piece.spec_id, "base_oid": piece.base_oid}
    return [(HUB, MessageSent(to=worker.agent_id, text=text, kind="prompt", context=context))]


RULES: Final[Rules] = MappingProxyType({RuleAllow: allow, RuleRefuse: refuse})
