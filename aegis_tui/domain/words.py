"""The sentence that describes each event to a person, to be read after the name of the agent that it concerns.

The dashboard shows it in its list of events, the command line in its output about a run. Every type of event has one
(tests/domain/test_totality.py). A sentence holds nothing but the event's data: no time, no colour, no other path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from aegis_tui.domain.composition.events import CulpritsSought, MergeRebuilt, PartialAllowed, PieceLeftOut
from aegis_tui.domain.count import counted
from aegis_tui.domain.environment.events import EnvironmentPrepared
from aegis_tui.domain.environment.words import environment_words
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.instance.events import (
    AgentJoined,
    AgentLeft,
    AgentState,
    InstanceAnswered,
    InstanceAsking,
    InstanceExited,
    InstanceLaunched,
    InstanceLost,
    InstancePlanned,
    InstancePrepared,
    InstanceReclaimed,
    InstanceStopping,
)
from aegis_tui.domain.lock.events import (
    LockAcquired,
    LockBroken,
    LockDeadlock,
    LockDenied,
    LockExpired,
    LockMoved,
    LockQueued,
    LockReleased,
    LockRenewed,
    LockWaitMoved,
    LockWithdrawn,
    WithdrawnCode,
)
from aegis_tui.domain.merge.generated import is_foreseen
from aegis_tui.domain.merge.label import label_words
from aegis_tui.domain.message.events import Broadcast, CodeWritten, FileChanged, MessageAcked, MessageSent
from aegis_tui.domain.model import EventData
from aegis_tui.domain.piece.events import (
    ConflictDetected,
    ConflictResolved,
    MergeApplied,
    MergeQueued,
    MergeRejected,
    PieceChecked,
    PieceHeld,
    PieceReopened,
    PieceStuck,
    PieceTested,
    RuleAllowed,
)
from aegis_tui.domain.qa.check import why
from aegis_tui.domain.qa.events import QaAccepted, QaBaseChecked, QaFinished
from aegis_tui.domain.registry import collected
from aegis_tui.domain.review.events import (
    FixSuggested,
    ReviewCommented,
    ReviewCompleted,
    ReviewDiscarded,
    ReviewInProgress,
    ReviewRequested,
    ReviewSent,
    ReviewStale,
)
from aegis_tui.domain.review.lens import for_lens
from aegis_tui.domain.run import events as runs
from aegis_tui.domain.scope.events import PartitionChanged, ScopeGranted, ScopeRefused, ScopeRequested
from aegis_tui.domain.spec.events import (
    SpecCompleted,
    SpecCreated,
    SpecDiffSubmitted,
    SpecFailed,
    SpecInProgress,
    SpecTaskAssigned,
    SpecTaskCompleted,
    SpecUpdated,
    TaskUpdated,
)

Words = Mapping[type[EventData], Callable[[Any], str]]


def sentence(event: Event) -> str:
    """Return what an event says in one phrase, to be read after the name of the agent that it concerns.

    It has neither type nor time. It may hold text from agents with hidden characters, which the caller makes inert.
    """
    return WORDS[type(event.data)](event.data)


def _resource(data: Any) -> str:
    return f"{data.path}:{data.region}" if data.region else str(data.path)


def _numbered(data: Any) -> str:
    return f"{_resource(data)} #{data.token}"


def _stage(data: runs.StageChanged) -> str:
    again = f", round {data.round + 1}" if data.round else ""
    return f"{data.stage}{again}" + (f": {data.reason}" if data.reason else "")


def _design(data: runs.DesignProposed) -> str:
    return f"proposes a design: {', '.join(item.id for item in data.design.features)}"


def _checked(data: PieceChecked) -> str:
    if data.ok:
        return f"{data.piece} breaks no rule, {counted(len(data.files), 'file')}"
    first = data.findings[0].msg if data.findings else "it changes lines that another merged piece changes"
    return f"{data.piece} is sent back: {first}"


def _tested(data: PieceTested) -> str:
    if not data.ok:
        return f"QA fails on {data.piece} merged with the newest integration branch: {data.reason}"
    if data.reason:
        return f"QA cannot judge {data.piece} on its own: {data.reason}"
    return f"QA passes on {data.piece} merged with the newest integration branch"


def _reopened(data: PieceReopened) -> str:
    if data.handed_over:
        return f"{data.piece} goes to another worker, which is told all that was tried"
    return f"{data.piece} goes {'to another worker' if data.fresh else 'back to its worker'}"


def _held(data: PieceHeld) -> str:
    asked = [item for item in data.broken if item.severity == "person"]
    more = f" and {counted(len(asked) - 1, 'more finding')}" if len(asked) > 1 else ""
    return f"{asked[0].file}: {asked[0].msg}{more}" if asked else "the rules found something"


_SHOWN_FILES: Final = 3


def _conflict(data: ConflictDetected) -> str:
    if is_foreseen(data.reason):
        return f"{data.a} and {data.b} change {data.path}; it {data.reason}"
    if data.kind == "soft" and data.strategy in ("structure", "lines"):
        how = label_words(data.label, data.strategy)
        return f"{data.a} and {data.b} change the same place in {data.path}; it will be merged ({how})"
    return f"{data.kind} conflict between {data.a} and {data.b} in {data.path}, {counted(data.hunks, 'hunk')}"


def _merge(data: MergeApplied) -> str:
    named = [f"{file.path} {label_words(file.label, file.strategy)}" for file in data.merged[:_SHOWN_FILES]]
    more = f" and {counted(rest, 'more file')}" if (rest := len(data.merged) - len(named)) else ""
    return f"{data.piece} is merged, {data.oid[:10]}" + (f"; {', '.join(named)}{more}" if named else "")


def _qa(data: QaFinished) -> str:
    if data.ok:
        return f"QA passed, round {data.round + 1}"
    reasons = [f"{check.check}: {why(check)}" for check in data.checks if not check.ok]
    return f"QA FAILED, round {data.round + 1}: {'; '.join(reasons) or 'there is no check'}"


def _asked(data: ReviewRequested) -> str:
    so_far = " so far" if data.part else ""
    return f"review of {data.piece}{so_far}{for_lens(data.lens)}, {counted(len(data.files), 'file')}"


def _verdict(data: ReviewCompleted) -> str:
    finding_count = counted(len(data.findings), "finding")
    stale = f"; {counted(len(data.stale), 'file')} changed meanwhile" if data.stale else ""
    return f"reviewed {data.piece}{for_lens(data.lens)}: {data.status}, {finding_count}{stale}"


def _base(data: QaBaseChecked) -> str:
    return (
        "the base no longer keeps the QA gate closed"
        if data.ok
        else f"a check already fails on the base, and would keep the QA gate closed: {data.reason}"
    )


def _state(data: AgentState) -> str:
    if data.state not in ("failed", "blocked"):
        tried = f"; name lookups refused: {', '.join(data.blocked_names)}" if data.blocked_names else ""
        until = f" until {data.until[:16].replace('T', ' ')} UTC" if data.until else ""
        return f"{data.state}{until} {data.progress:.0%}" + (f", {data.note}" if data.note else "") + tried
    words = data.note or (data.cause.message if data.cause else "")
    is_certain = data.cause is not None and data.cause.outlook == "certain"
    again = "; no other instance gets the task, as it would fail in the same way" if is_certain else ""
    return f"{data.state}: {words}{again}"


def _planned(data: InstancePlanned) -> str:
    return f"{data.role} for {data.piece or data.task}" + (f", instead of {data.replaces}" if data.replaces else "")


def _exited(data: InstanceExited) -> str:
    if data.signal is not None:
        return f"was ended by signal {data.signal}"
    return "ended" if data.status is None else f"ended with status {data.status}"


def _reclaimed(data: InstanceReclaimed) -> str:
    if not data.removed:
        reason = f": {data.reason}" if data.reason else "; see logs/hub.log in the state folder"
        return f"its worktree could not be saved and was not removed{reason}"
    return f"its work is saved in {data.rescue_ref}" if data.rescue_ref else "its worktree is removed"


def _message(data: MessageSent) -> str:
    first = next((line for line in data.text.splitlines() if line.strip()), "")
    return f"{data.kind} to {instance_id(data.to)}: {first}"


def _acked(data: MessageAcked) -> str:
    said = {"delivered": "delivered", "refused": "was not delivered", "unknown": "may not have been delivered"}
    return f"message #{data.of} {said[data.delivery]}" + (f": {data.reason}" if data.reason else "")


def _withdrawn(data: LockWithdrawn) -> str:
    path = f" for {data.path}" if data.path else ""
    return f"no longer waits{path}: {WITHDRAWN[data.code]}"


def _spec(data: SpecUpdated) -> str:
    if data.is_seen:
        return f"has seen that {data.specId} is {data.status}"
    return f"{data.specId}: {f'cannot be started: {data.waits}' if data.waits else data.status}"


WITHDRAWN: Final[Mapping[WithdrawnCode, str]] = MappingProxyType(
    {
        "TIMEOUT": "the wait for the lock has timed out",
        "DEADLOCK": "the instances would wait for each other in a cycle",
        "GONE": "the session of the waiting instance has ended",
        "PARTITION": "another instance got the path while the request waited",
        "CANCELLED": "the request was cancelled",
    }
)
"""Why a wait ended without a grant."""

_RUN: Words = {
    runs.RunStarted: lambda data: f"{data.run}: {data.goal}",
    runs.RunPrepared: lambda data: f"created the integration branch of {data.run}",
    EnvironmentPrepared: lambda data: environment_words(data.environment),
    runs.RunHalted: lambda data: f"halts the run, so that no new work starts: {data.reason}",
    runs.RunResumed: lambda data: "resumes the run",
    runs.RunAcknowledged: lambda data: f"has seen how {data.run} ended",
    runs.RunEnding: lambda data: "the work is done" if data.ok else str((data.error or {}).get("message", "failed")),
    runs.RunFinished: lambda data: "done" if data.ok else "failed",
    runs.RunCommitted: lambda data: f"committed {data.oid[:12]} on {data.branch}: {data.subject}",
    runs.StageChanged: _stage,
    runs.GatePassed: lambda data: f"gate {data.gate} is open: {data.reason}",
    runs.GateBlocked: lambda data: f"gate {data.gate} is closed: {data.reason}",
    runs.DesignProposed: _design,
    runs.DesignAgreed: lambda data: f"accepts the design of {counted(len(data.design.features), 'feature')}",
    PieceChecked: _checked,
    PieceHeld: lambda data: f"{data.piece} waits for you: {_held(data)}",
    RuleAllowed: lambda data: f"allows this in {data.piece}: {data.finding.file}: {data.finding.msg}",
    PieceTested: _tested,
    PieceReopened: _reopened,
    PieceStuck: lambda data: f"{data.piece} waits for you, because no worker could finish it",
    MergeQueued: lambda data: f"{data.piece} waits to be merged",
    MergeApplied: _merge,
    MergeRejected: lambda data: f"{data.piece} is not merged: {data.reason}",
    PartialAllowed: lambda data: "allows a result without the pieces that fail",
    CulpritsSought: lambda data: f"looks for the pieces that break QA: {data.reason}",
    PieceLeftOut: lambda data: f"{data.piece} is left out of the result: {data.reason}",
    MergeRebuilt: lambda data: f"the pieces that are kept are merged again, {data.oid[:10]}",
    ConflictDetected: _conflict,
    ConflictResolved: lambda data: (
        f"conflict {data.conflict_id} is {'gone' if data.resolution == 'none' else f'resolved: {data.resolution}'}"
    ),
    ReviewRequested: _asked,
    ReviewInProgress: lambda data: f"by {instance_id(data.reviewer)}",
    ReviewStale: lambda data: f"{data.path} changes while {data.review_id} reads blob {data.blob[:12]}",
    ReviewCompleted: _verdict,
    FixSuggested: lambda data: f"suggestion to {instance_id(data.to)}: {data.file or data.piece}: {data.finding.msg}",
    ReviewCommented: lambda data: f"comment {data.number} on {data.piece}, {data.file}:{data.line}: {data.text}",
    ReviewDiscarded: lambda data: f"discards {counted(len(data.numbers), 'comment')} on {data.piece}",
    ReviewSent: lambda data: f"sends {counted(len(data.numbers), 'comment')} on {data.piece} to {instance_id(data.to)}",
    QaBaseChecked: _base,
    QaFinished: _qa,
    QaAccepted: lambda data: "accepts the base's own failures",
}
_INSTANCE: Words = {
    InstancePlanned: _planned,
    InstancePrepared: lambda data: (
        "its worktree is ready"
        + (f", with advice from {counted(len(data.advice), 'earlier failure')}" if data.advice else "")
    ),
    InstanceLaunched: lambda data: f"is started in pane {data.pane}",
    AgentJoined: lambda data: (
        f"joins as {data.role}" + (f", partition {' '.join(data.partition)}" if data.partition else "")
    ),
    AgentState: _state,
    AgentLeft: lambda data: f"leaves: {data.reason}",
    InstanceAsking: lambda data: (
        f"asks on its screen: {data.asks.screen.words}" if data.asks else "asks nothing on its screen any more"
    ),
    InstanceAnswered: lambda data: (
        f"gets the answer: {data.choice}"
        + ("" if data.delivery == "delivered" else "; the question is still on its screen")
    ),
    InstanceStopping: lambda data: f"is being ended: {data.reason}",
    InstanceExited: _exited,
    InstanceLost: lambda data: f"is lost: {data.reason}",
    InstanceReclaimed: _reclaimed,
}
_LOCK: Words = {
    LockAcquired: lambda data: f"{_resource(data)} {data.lock_type} #{data.token}",
    LockQueued: lambda data: (
        f"waits for {instance_id(data.holder)}'s lock on {data.resources[0]}, position {data.position} in the queue"
    ),
    LockReleased: _numbered,
    LockRenewed: lambda data: f"{data.lock_id} #{data.token} for {data.ttl_s:.0f} s more",
    LockMoved: lambda data: (
        f"{_resource(data)} is stale" if data.stale else f"the locked lines are now {_resource(data)}"
    ),
    LockWaitMoved: lambda data: f"still waits for {_resource(data)}, whose lines moved",
    LockExpired: _numbered,
    LockBroken: lambda data: f"{_resource(data)} by {data.by}: {data.reason}",
    LockDeadlock: lambda data: " → ".join(map(instance_id, data.cycle)),
    LockWithdrawn: _withdrawn,
    LockDenied: lambda data: f"{data.path} {data.lock_type} is not granted: {instance_id(data.held_by)} holds it",
}
_MESSAGE: Words = {
    MessageSent: _message,
    MessageAcked: _acked,
    Broadcast: lambda data: f"{data.event} {data.data.get('file', '')}".strip(),
    CodeWritten: lambda data: f"{data.file}, lock token #{data.token}",
    FileChanged: lambda data: f"{data.path} {data.change_type}",
}
_SCOPE: Words = {
    PartitionChanged: lambda data: f"may write {' '.join(data.globs) or 'nothing'} from now on",
    ScopeRequested: lambda data: f"asks to write {data.path} ({data.request}): {data.reason}",
    ScopeGranted: lambda data: f"lets {instance_id(data.to)} write {data.path} ({data.request})",
    ScopeRefused: lambda data: f"does not let {instance_id(data.to)} write {data.path} ({data.request}): {data.reason}",
}
_SPEC: Words = {
    SpecCreated: lambda data: data.specId,
    SpecTaskAssigned: lambda data: f"{data.specId} to {instance_id(data.agent)}",
    SpecInProgress: lambda data: data.specId,
    SpecDiffSubmitted: lambda data: f"{data.specId}, {data.head_oid[:10]}",
    SpecUpdated: _spec,
    SpecTaskCompleted: lambda data: f"{data.specId}: task {data.taskId} is done",
    SpecCompleted: lambda data: f"{data.specId}{f', {data.oid[:12]} on {data.branch}' if data.oid else ''}",
    SpecFailed: lambda data: f"{data.specId}: {data.reason}",
    TaskUpdated: lambda data: f"{data.spec_id}: task {data.task_id} is {data.status}, {data.progress:.0%}",
}
WORDS: Final[Words] = collected(_RUN, _INSTANCE, _LOCK, _MESSAGE, _SCOPE, _SPEC)
"""The function that words each type of event."""
