"""The event stream: one line an event, in words where there are better ones than the fields."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from aegis_tui.domain import lock as locks
from aegis_tui.domain import message as messages
from aegis_tui.domain import run_event as runs
from aegis_tui.domain import task_spec as specs
from aegis_tui.domain.count import counted
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import HUB, PERSON, instance_id
from aegis_tui.domain.instance import AgentState, InstanceLost, InstancePlanned, InstanceReclaimed
from aegis_tui.domain.qa.check import why
from aegis_tui.tui.text import Ink, Span, fit, ident_width, inert

_LOUD: dict[str, Ink] = {
    "stage:changed": "accent",
    "gate:passed": "good",
    "gate:blocked": "bad",
    "qa:base-checked": "warn",
    "instance:lost": "bad",
    "lock:queued": "warn",
    "lock:deadlock": "bad",
    "conflict:detected": "bad",
    "conflict:resolved": "good",
    "merge:applied": "good",
    "merge:rejected": "bad",
    "piece:reopened": "warn",
    "run:committed": "good",
    "run:finished": "accent",
    "run:started": "accent",
    "design:proposed": "accent",
    "scope:requested": "warn",
}


_TABLE_WIDTH = 72
"""From this width on the types of events have a column of their own."""


def event_line(event: Event, *, width: int) -> tuple[Span, ...]:
    """One event in exactly `width` cells."""
    who = instance_id(event.agent_id)
    who = {HUB: "hub", PERSON: "you"}.get(who, who)
    ink = _LOUD.get(event.type, "text")
    ident = ident_width(who)
    head = (Span(local_time(event.timestamp) + " ", "muted"), Span(fit(inert(who), ident) + " ", "strong"))
    kind: Ink = "muted" if ink == "text" else ink
    room = max(8, width - 10 - ident)
    if width < _TABLE_WIDTH:
        name = fit(f"{event.type} ", min(room, len(event.type) + 1))
        return (*head, Span(name, kind), Span(fit(inert(words_of(event)), room - len(name)), ink))
    return (*head, Span(fit(event.type, 20) + " ", kind), Span(fit(inert(words_of(event)), room - 21), ink))


def local_time(timestamp: str) -> str:
    """An RFC 3339 instant as the person's wall clock shows it."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")


def words_of(event: Event) -> str:
    """What an event says, without its type and its time."""
    tell = _WORDS.get(type(event.data))
    return tell(event.data) if tell else _fields(event.data)


def _fields(data: Any) -> str:
    plain = data.model_dump(mode="json", exclude={"type", "run"}, exclude_none=True)
    return ", ".join(f"{name} {_plain(value)}" for name, value in plain.items() if value not in ("", [], {}))


def _plain(value: Any) -> str:
    """A JSON value in words, without the quotes and brackets of a programming language."""
    match value:
        case list():
            return " ".join(map(_plain, value))
        case dict():
            return " ".join(f"{name} {_plain(item)}" for name, item in value.items())
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _resource(data: Any) -> str:
    return f"{data.path}:{data.region}" if data.region else str(data.path)


def _told(data: messages.MessageSent) -> str:
    first = next((line for line in data.text.splitlines() if line.strip()), "")
    return f"{data.kind} to {instance_id(data.to)}: {first}"


def _base(data: runs.QaBaseChecked) -> str:
    return "no hindrance any more" if data.ok else f"the gate would stay shut: {data.reason}"


def _qa(data: runs.QaFinished) -> str:
    if data.ok:
        return f"passed, round {data.round + 1}"
    reasons = [f"{check.check}: {why(check)}" for check in data.checks if not check.ok]
    return f"FAILED, round {data.round + 1}: {'; '.join(reasons) or 'there is no check'}"


def _stage(data: runs.StageChanged) -> str:
    again = f", round {data.round + 1}" if data.round else ""
    return f"{data.stage}{again}" + (f": {data.reason}" if data.reason else "")


_WORDS: dict[type, Callable[[Any], str]] = {
    runs.RunStarted: lambda data: f"{data.run}: {data.goal}",
    runs.StageChanged: _stage,
    runs.GatePassed: lambda data: f"{data.gate}: {data.reason}",
    runs.GateBlocked: lambda data: f"{data.gate}: {data.reason}",
    runs.DesignProposed: lambda data: f"{data.design_id}, {counted(len(data.design.features), 'feature')}",
    runs.DesignAgreed: lambda data: f"{data.design_id}, {counted(len(data.design.features), 'feature')}",
    runs.PieceChecked: lambda data: (
        f"{data.piece}: {'in order' if data.ok else 'not in order'}, {counted(len(data.files), 'file')}"
    ),
    runs.PieceReopened: lambda data: f"{data.piece} goes back to its worker",
    runs.MergeQueued: lambda data: f"{data.piece} waits for its turn",
    runs.MergeApplied: lambda data: f"{data.piece} is composed, {data.oid[:10]}",
    runs.MergeRejected: lambda data: f"{data.piece}: {data.reason}",
    runs.ConflictDetected: lambda data: f"{data.a} × {data.b} {data.path}, {data.kind}, {counted(data.hunks, 'hunk')}",
    runs.ConflictResolved: lambda data: f"{data.conflict_id}: {data.resolution}",
    runs.ReviewRequested: lambda data: f"{data.piece}, {counted(len(data.files), 'file')}",
    runs.ReviewInProgress: lambda data: f"by {instance_id(data.reviewer)}",
    runs.ReviewCompleted: lambda data: f"{data.piece}: {data.status}, {counted(len(data.findings), 'finding')}",
    runs.QaBaseChecked: _base,
    runs.QaFinished: _qa,
    runs.RunCommitted: lambda data: f"{data.oid[:10]} on {data.branch}: {data.subject}",
    runs.RunEnding: lambda data: "the work is done" if data.ok else str((data.error or {}).get("message", "failed")),
    runs.RunFinished: lambda data: "done" if data.ok else "failed",
    runs.RunHalted: lambda data: data.reason,
    AgentState: lambda data: f"{data.state} {data.progress:.0%}" + (f", {data.note}" if data.note else ""),
    InstancePlanned: lambda data: f"{data.role} for {data.piece or data.task}",
    InstanceLost: lambda data: data.reason,
    InstanceReclaimed: lambda data: f"work saved in {data.rescue_ref}" if data.rescue_ref else "worktree removed",
    locks.LockAcquired: lambda data: f"{_resource(data)} {data.lock_type} #{data.token}",
    locks.LockReleased: lambda data: f"{_resource(data)} #{data.token}",
    locks.LockExpired: lambda data: f"{_resource(data)} #{data.token}",
    locks.LockBroken: lambda data: f"{_resource(data)} by {data.by}: {data.reason}",
    locks.LockMoved: lambda data: f"{data.path}:{data.region} {'is stale' if data.stale else 'moved with its lines'}",
    locks.LockQueued: lambda data: f"{data.resources[0]} behind {instance_id(data.holder)}, {data.position} in line",
    locks.LockDeadlock: lambda data: " → ".join(map(instance_id, data.cycle)),
    messages.MessageSent: _told,
    messages.MessageAcked: lambda data: f"message #{data.of} delivered",
    messages.CodeWritten: lambda data: f"{data.file} under #{data.token}",
    messages.FileChanged: lambda data: f"{data.path} {data.change_type}",
    messages.Broadcast: lambda data: f"{data.event} {data.data.get('file', '')}",
    specs.SpecCreated: lambda data: data.specId,
    specs.SpecTaskAssigned: lambda data: f"{data.specId} to {instance_id(data.agent)}",
    specs.SpecInProgress: lambda data: data.specId,
    specs.SpecDiffSubmitted: lambda data: f"{data.specId}, {data.head_oid[:10]}",
    specs.SpecUpdated: lambda data: f"{data.specId}: {data.status}",
    specs.SpecCompleted: lambda data: data.specId,
    specs.SpecFailed: lambda data: f"{data.specId}: {data.reason}",
}
