"""What each model is called in the documents of the hub: a contract with other programs (HUB-3).

A name here stays when its class is renamed or moved. A command or event that is not named here has the name that its
contract `type` spells; any other model without a name is refused when the documents are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from aegis_tui.domain import cause as causes
from aegis_tui.domain import command as commands
from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.environment.events import EnvironmentPrepared
from aegis_tui.domain.environment.model import EnvironmentPlan, MadeFacts
from aegis_tui.domain.hosting.screen_prompt import ScreenPrompt
from aegis_tui.domain.instance import model as instances
from aegis_tui.domain.instance.commands import (
    AgentLeave,
    AgentRegister,
    AgentReport,
    Heartbeat,
    InstanceAnswer,
    InstanceSend,
    InstanceStart,
    InstanceStop,
)
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
from aegis_tui.domain.lock import model as locks
from aegis_tui.domain.lock import region as regions
from aegis_tui.domain.lock.commands import (
    LockAcquire,
    LockBreak,
    LockNews,
    LockRelease,
    LockRenew,
    OtherCopy,
    WantedResource,
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
)
from aegis_tui.domain.memory.model import Advice
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.message import exchange as exchanges
from aegis_tui.domain.message.commands import Ack, BroadcastSend, MessageRead, MessageSend
from aegis_tui.domain.message.events import Broadcast, CodeWritten, FileChanged, MessageAcked, MessageSent
from aegis_tui.domain.model import CommandData, EventData
from aegis_tui.domain.piece.commands import ConflictResolve, DiffSubmit, PieceRetry
from aegis_tui.domain.piece.events import (
    ConflictDetected,
    ConflictResolved,
    MergeApplied,
    MergeQueued,
    MergeRejected,
    PieceChecked,
    PieceReopened,
    PieceStuck,
    PieceTested,
)
from aegis_tui.domain.piece.model import CheckedTree, Piece, PieceConflict, PieceStatus, Trace
from aegis_tui.domain.qa import check as checks
from aegis_tui.domain.qa import commands as qa_commands
from aegis_tui.domain.qa import events as qa_events
from aegis_tui.domain.review import comment as comments
from aegis_tui.domain.review import events as review_events
from aegis_tui.domain.review import finding as findings
from aegis_tui.domain.review.commands import (
    ReviewComment,
    ReviewDiscard,
    ReviewPart,
    ReviewRequest,
    ReviewSend,
    ReviewVerdict,
)
from aegis_tui.domain.review.events import ReviewCompleted, ReviewInProgress, ReviewRequested
from aegis_tui.domain.review.lens import ReviewLens
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.run import design as designs
from aegis_tui.domain.run import events as run_events
from aegis_tui.domain.run import model as runs
from aegis_tui.domain.run.commands import (
    DesignAgree,
    DesignPropose,
    RunAcknowledge,
    RunCancel,
    RunHalt,
    RunResume,
    RunStart,
)
from aegis_tui.domain.scope.commands import PartitionSet, ScopeGrant, ScopeRefuse, ScopeRequest
from aegis_tui.domain.scope.events import PartitionChanged, ScopeGranted, ScopeRefused, ScopeRequested
from aegis_tui.domain.spec import model as specs
from aegis_tui.domain.spec.commands import SpecCreate, SpecRescan, TaskClaim, TaskUpdate
from aegis_tui.domain.spec.events import (
    SpecCompleted,
    SpecContent,
    SpecCreated,
    SpecDiffSubmitted,
    SpecFailed,
    SpecInProgress,
    SpecTaskAssigned,
    SpecTaskCompleted,
    SpecUpdated,
    TaskUpdated,
)
from aegis_tui.domain.wire import answer, context, instance, lock, reply, run
from aegis_tui.hub import schema_models as models

NAMES: Final[Mapping[type[Any], str]] = MappingProxyType(
    {
        AgentRegister: "AgentRegister",
        AgentReport: "AgentReport",
        AgentLeave: "AgentLeave",
        Heartbeat: "Heartbeat",
        LockAcquire: "LockAcquire",
        LockRenew: "LockRenew",
        LockRelease: "LockRelease",
        LockBreak: "LockBreak",
        LockNews: "LockNews",
        ScopeRequest: "ScopeRequest",
        ScopeGrant: "ScopeGrant",
        ScopeRefuse: "ScopeRefuse",
        PartitionSet: "PartitionSet",
        SpecCreate: "SpecCreate",
        SpecRescan: "SpecRescan",
        TaskUpdate: "TaskUpdate",
        TaskClaim: "TaskClaim",
        RunStart: "RunStart",
        RunHalt: "RunHalt",
        RunResume: "RunResume",
        RunCancel: "RunCancel",
        RunAcknowledge: "RunAcknowledge",
        qa_commands.QaAccept: "QaAccept",
        DesignPropose: "DesignPropose",
        DesignAgree: "DesignAgree",
        InstanceStart: "InstanceStart",
        InstanceStop: "InstanceStop",
        InstanceSend: "InstanceSend",
        InstanceAnswer: "InstanceAnswer",
        DiffSubmit: "DiffSubmit",
        PieceRetry: "PieceRetry",
        ReviewVerdict: "ReviewVerdict",
        ReviewRequest: "ReviewRequest",
        ReviewPart: "ReviewPart",
        ReviewComment: "ReviewComment",
        ReviewDiscard: "ReviewDiscard",
        ReviewSend: "ReviewSend",
        ConflictResolve: "ConflictResolve",
        MessageSend: "MessageSend",
        MessageRead: "MessageRead",
        BroadcastSend: "BroadcastSend",
        Ack: "Ack",
        MapAsk: "MapAsk",
        commands.ContextGet: "ContextGet",
        InstancePlanned: "InstancePlanned",
        InstancePrepared: "InstancePrepared",
        Advice: "Advice",
        InstanceLaunched: "InstanceLaunched",
        AgentJoined: "AgentJoined",
        AgentLeft: "AgentLeft",
        InstanceAsking: "InstanceAsking",
        InstanceAnswered: "InstanceAnswered",
        AgentState: "AgentState",
        InstanceStopping: "InstanceStopping",
        InstanceExited: "InstanceExited",
        InstanceLost: "InstanceLost",
        InstanceReclaimed: "InstanceReclaimed",
        LockAcquired: "LockAcquired",
        LockQueued: "LockQueued",
        LockReleased: "LockReleased",
        LockRenewed: "LockRenewed",
        LockMoved: "LockMoved",
        LockWaitMoved: "LockWaitMoved",
        LockExpired: "LockExpired",
        LockBroken: "LockBroken",
        LockDeadlock: "LockDeadlock",
        LockWithdrawn: "LockWithdrawn",
        LockDenied: "LockDenied",
        MessageSent: "MessageSent",
        MessageAcked: "MessageAcked",
        Broadcast: "Broadcast",
        CodeWritten: "CodeWritten",
        FileChanged: "FileChanged",
        run_events.RunStarted: "RunStarted",
        run_events.RunPrepared: "RunPrepared",
        EnvironmentPrepared: "EnvironmentPrepared",
        run_events.RunHalted: "RunHalted",
        run_events.RunResumed: "RunResumed",
        run_events.RunAcknowledged: "RunAcknowledged",
        run_events.RunEnding: "RunEnding",
        run_events.RunFinished: "RunFinished",
        run_events.StageChanged: "StageChanged",
        run_events.GatePassed: "GatePassed",
        run_events.GateBlocked: "GateBlocked",
        run_events.DesignProposed: "DesignProposed",
        run_events.DesignAgreed: "DesignAgreed",
        PieceChecked: "PieceChecked",
        PieceTested: "PieceTested",
        PieceReopened: "PieceReopened",
        PieceStuck: "PieceStuck",
        MergeQueued: "MergeQueued",
        MergeApplied: "MergeApplied",
        MergeRejected: "MergeRejected",
        ConflictDetected: "ConflictDetected",
        ConflictResolved: "ConflictResolved",
        ReviewRequested: "ReviewRequested",
        ReviewInProgress: "ReviewInProgress",
        ReviewCompleted: "ReviewCompleted",
        review_events.ReviewStale: "ReviewStale",
        review_events.FixSuggested: "FixSuggested",
        review_events.ReviewCommented: "ReviewCommented",
        review_events.ReviewDiscarded: "ReviewDiscarded",
        review_events.ReviewSent: "ReviewSent",
        qa_events.QaBaseChecked: "QaBaseChecked",
        qa_events.QaFinished: "QaFinished",
        qa_events.QaAccepted: "QaAccepted",
        run_events.RunCommitted: "RunCommitted",
        SpecCreated: "SpecCreated",
        SpecTaskAssigned: "SpecTaskAssigned",
        SpecInProgress: "SpecInProgress",
        SpecDiffSubmitted: "SpecDiffSubmitted",
        SpecUpdated: "SpecUpdated",
        SpecTaskCompleted: "SpecTaskCompleted",
        SpecCompleted: "SpecCompleted",
        SpecFailed: "SpecFailed",
        TaskUpdated: "TaskUpdated",
        PartitionChanged: "PartitionChanged",
        ScopeRequested: "ScopeRequested",
        ScopeGranted: "ScopeGranted",
        ScopeRefused: "ScopeRefused",
        causes.Cause: "Cause",
        WantedResource: "WantedResource",
        OtherCopy: "OtherCopy",
        designs.Design: "Design",
        designs.Feature: "Feature",
        designs.Foundation: "Foundation",
        designs.Qa: "Qa",
        exchanges.Exchange: "Exchange",
        findings.Criterion: "Criterion",
        ReviewLens: "ReviewLens",
        comments.LineComment: "LineComment",
        EnvironmentPlan: "EnvironmentPlan",
        MadeFacts: "MadeEnvironment",
        findings.Finding: "Finding",
        RuleFinding: "RuleFinding",
        instances.Instance: "Instance",
        instances.Phase: "Phase",
        instances.Tokens: "Tokens",
        instances.ShownPrompt: "ShownPrompt",
        ScreenPrompt: "ScreenPrompt",
        locks.LockMode: "LockMode",
        locks.Rank: "Rank",
        locks.Region: "Region",
        locks.Resource: "Resource",
        checks.BaseCheck: "BaseCheck",
        checks.QaCheck: "QaCheck",
        regions.Hunk: "Hunk",
        regions.Rewrite: "Rewrite",
        regions.View: "View",
        PieceConflict: "Conflict",
        MergedFile: "MergedFile",
        Piece: "Piece",
        CheckedTree: "CheckedTree",
        Trace: "Trace",
        PieceStatus: "PieceStatus",
        Review: "Review",
        runs.RunStatus: "RunStatus",
        run_events.RunFacts: "RunFacts",
        run_events.Budget: "Budget",
        run_events.RunOptions: "RunOptions",
        run_events.Stage: "Stage",
        specs.SpecState: "SpecState",
        SpecContent: "SpecContent",
        answer.Accepted: "Accepted",
        instance.ActiveAgent: "ActiveAgent",
        answer.ContextSync: "ContextSync",
        answer.ContextSyncData: "ContextSyncData",
        answer.ErrorFields: "ErrorFields",
        answer.EventsPage: "EventsPage",
        models.FileSubscribe: "FileSubscribe",
        run.GateView: "GateView",
        answer.Health: "Health",
        lock.HeldLock: "HeldLock",
        models.Hello: "Hello",
        answer.LockFailed: "LockFailed",
        answer.LockFailedData: "LockFailedData",
        answer.Mirror: "Mirror",
        models.MirrorState: "MirrorState",
        run.MergeProgress: "Progress",
        context.RecentChange: "RecentChange",
        answer.Refusal: "Refusal",
        answer.Resync: "Resync",
        run.RunView: "RunView",
        context.ScopeAsked: "ScopeAsked",
        context.SharedContext: "SharedContext",
        answer.State: "State",
        answer.StateSection: "StateSection",
        models.Subscribe: "Subscribe",
        run.Task: "Task",
        lock.LockFields: "GrantedLock",
        reply.MessageFields: "Message",
        **{kind: kind.__name__ for kind in reply.REPLIES.values()},
    }
)
"""By model, enumeration or named tuple."""


def name_of(model: type[Any]) -> str:
    """Return the name of a model in the hub's documents: as in `NAMES`, or else from the type of a command or event.

    `note:left` gives NoteLeft.

    Raises:
        LookupError: It has none.
    """
    if model in NAMES:
        return NAMES[model]
    if issubclass(model, CommandData | EventData):
        words = re.split(r"[^A-Za-z0-9]+", model.model_fields["type"].default)
        return "".join(word[:1].upper() + word[1:] for word in words)
    raise LookupError(f"{model.__name__} has no name in hub/schema_names.py")


def in_order(models: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    """Return commands or events in the order of the documents: those in `NAMES` in its order, then the others by name.

    Raises:
        LookupError: One has no name.
    """
    places = {model: place for place, model in enumerate(NAMES)}
    return sorted(models, key=lambda model: (places.get(model, len(places)), name_of(model)))


def renamed(schemas: Mapping[str, Any], messages: Iterable[type[BaseModel]], *, prefix: str) -> dict[str, Any]:
    """Return pydantic's schemas with names of the protocol, in keys, titles and references, instead of Python classes.

    Args:
        schemas: `$defs` of a JSON schema, by class.
        messages: The commands and events among their models; all others have their names in `NAMES`.
        prefix: What stands before the name in a reference.

    Raises:
        LookupError: A class in `schemas` is neither in `messages` nor in `NAMES`.
    """
    by_class = {model.__name__: name_of(model) for model in (*NAMES, *messages)}
    if nameless := sorted(set(schemas) - set(by_class)):
        raise LookupError(f"{', '.join(nameless)}: no name in hub/schema_names.py")
    references = {f"{prefix}{old}": f"{prefix}{new}" for old, new in by_class.items()}
    result = {by_class[old]: _referring(schema, references) for old, schema in schemas.items()}
    for old, name in by_class.items():
        if name in result and result[name].get("title") == old:
            result[name]["title"] = name
    return result


def _referring(node: Any, references: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_referring(item, references) for item in node]
    if isinstance(node, dict):
        return {name: _referring(item, references) for name, item in node.items()}
    return references.get(node, node) if isinstance(node, str) else node
