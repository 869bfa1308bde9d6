"""What each model is called in the documents of the hub: a contract with other programs (HUB-3).

A name here stays when its class is renamed or moved. A model without a name is refused when the documents are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aegis_tui.domain import cause as causes
from aegis_tui.domain import command as commands
from aegis_tui.domain import event as events
from aegis_tui.domain.instance import model as instances
from aegis_tui.domain.lock import model as locks
from aegis_tui.domain.lock import region as regions
from aegis_tui.domain.message import exchange as exchanges
from aegis_tui.domain.message import model as messages
from aegis_tui.domain.qa import check as checks
from aegis_tui.domain.qa import commands as qa_commands
from aegis_tui.domain.qa import events as qa_events
from aegis_tui.domain.review import finding as findings
from aegis_tui.domain.run import design as designs
from aegis_tui.domain.run import events as run_events
from aegis_tui.domain.run import model as runs
from aegis_tui.domain.spec import model as specs
from aegis_tui.hub import schema_models as models

NAMES: Final[Mapping[type[Any], str]] = MappingProxyType(
    {
        causes.Cause: "Cause",
        commands.Ack: "Ack",
        commands.AgentLeave: "AgentLeave",
        commands.AgentRegister: "AgentRegister",
        commands.AgentReport: "AgentReport",
        commands.BroadcastSend: "BroadcastSend",
        commands.ConflictResolve: "ConflictResolve",
        commands.ContextGet: "ContextGet",
        commands.DesignAgree: "DesignAgree",
        commands.DesignPropose: "DesignPropose",
        commands.DiffSubmit: "DiffSubmit",
        commands.Heartbeat: "Heartbeat",
        commands.InstanceSend: "InstanceSend",
        commands.InstanceStart: "InstanceStart",
        commands.InstanceStop: "InstanceStop",
        commands.LockAcquire: "LockAcquire",
        commands.LockBreak: "LockBreak",
        commands.LockRelease: "LockRelease",
        commands.LockRenew: "LockRenew",
        commands.MessageRead: "MessageRead",
        commands.MessageSend: "MessageSend",
        commands.PartitionSet: "PartitionSet",
        commands.ReviewVerdict: "ReviewVerdict",
        commands.RunCancel: "RunCancel",
        commands.RunHalt: "RunHalt",
        commands.RunResume: "RunResume",
        commands.RunStart: "RunStart",
        commands.ScopeGrant: "ScopeGrant",
        commands.ScopeRefuse: "ScopeRefuse",
        commands.ScopeRequest: "ScopeRequest",
        commands.SpecCreate: "SpecCreate",
        commands.TaskClaim: "TaskClaim",
        commands.TaskUpdate: "TaskUpdate",
        commands.WantedResource: "WantedResource",
        designs.Design: "Design",
        designs.Feature: "Feature",
        designs.Foundation: "Foundation",
        designs.Qa: "Qa",
        events.PartitionChanged: "PartitionChanged",
        events.ScopeGranted: "ScopeGranted",
        events.ScopeRefused: "ScopeRefused",
        events.ScopeRequested: "ScopeRequested",
        exchanges.Exchange: "Exchange",
        findings.Criterion: "Criterion",
        findings.Finding: "Finding",
        instances.AgentJoined: "AgentJoined",
        instances.AgentLeft: "AgentLeft",
        instances.AgentState: "AgentState",
        instances.Instance: "Instance",
        instances.InstanceExited: "InstanceExited",
        instances.InstanceLaunched: "InstanceLaunched",
        instances.InstanceLost: "InstanceLost",
        instances.InstancePlanned: "InstancePlanned",
        instances.InstancePrepared: "InstancePrepared",
        instances.InstanceReclaimed: "InstanceReclaimed",
        instances.InstanceStopping: "InstanceStopping",
        instances.Phase: "Phase",
        instances.Tokens: "Tokens",
        locks.LockAcquired: "LockAcquired",
        locks.LockBroken: "LockBroken",
        locks.LockDeadlock: "LockDeadlock",
        locks.LockDenied: "LockDenied",
        locks.LockExpired: "LockExpired",
        locks.LockMode: "LockMode",
        locks.LockMoved: "LockMoved",
        locks.LockQueued: "LockQueued",
        locks.LockReleased: "LockReleased",
        locks.LockRenewed: "LockRenewed",
        locks.LockWaitMoved: "LockWaitMoved",
        locks.LockWithdrawn: "LockWithdrawn",
        locks.Rank: "Rank",
        locks.Region: "Region",
        locks.Resource: "Resource",
        messages.Broadcast: "Broadcast",
        messages.CodeWritten: "CodeWritten",
        messages.FileChanged: "FileChanged",
        messages.MessageAcked: "MessageAcked",
        messages.MessageSent: "MessageSent",
        checks.BaseCheck: "BaseCheck",
        checks.QaCheck: "QaCheck",
        qa_commands.QaAccept: "QaAccept",
        qa_events.QaAccepted: "QaAccepted",
        qa_events.QaBaseChecked: "QaBaseChecked",
        qa_events.QaFinished: "QaFinished",
        regions.Hunk: "Hunk",
        regions.Rewrite: "Rewrite",
        regions.View: "View",
        runs.Conflict: "Conflict",
        runs.Piece: "Piece",
        runs.PieceStatus: "PieceStatus",
        runs.Review: "Review",
        runs.RunStatus: "RunStatus",
        run_events.ConflictDetected: "ConflictDetected",
        run_events.ConflictResolved: "ConflictResolved",
        run_events.DesignAgreed: "DesignAgreed",
        run_events.DesignProposed: "DesignProposed",
        run_events.GateBlocked: "GateBlocked",
        run_events.GatePassed: "GatePassed",
        run_events.MergeApplied: "MergeApplied",
        run_events.MergeQueued: "MergeQueued",
        run_events.MergeRejected: "MergeRejected",
        run_events.PieceChecked: "PieceChecked",
        run_events.PieceReopened: "PieceReopened",
        run_events.ReviewCompleted: "ReviewCompleted",
        run_events.ReviewInProgress: "ReviewInProgress",
        run_events.ReviewRequested: "ReviewRequested",
        run_events.RunCommitted: "RunCommitted",
        run_events.RunEnding: "RunEnding",
        run_events.RunFacts: "RunFacts",
        run_events.RunFinished: "RunFinished",
        run_events.RunHalted: "RunHalted",
        run_events.RunOptions: "RunOptions",
        run_events.RunPrepared: "RunPrepared",
        run_events.RunResumed: "RunResumed",
        run_events.RunStarted: "RunStarted",
        run_events.Stage: "Stage",
        run_events.StageChanged: "StageChanged",
        specs.SpecCompleted: "SpecCompleted",
        specs.SpecCreated: "SpecCreated",
        specs.SpecDiffSubmitted: "SpecDiffSubmitted",
        specs.SpecFailed: "SpecFailed",
        specs.SpecInProgress: "SpecInProgress",
        specs.SpecState: "SpecState",
        specs.SpecTaskAssigned: "SpecTaskAssigned",
        specs.SpecTaskCompleted: "SpecTaskCompleted",
        specs.SpecUpdated: "SpecUpdated",
        specs.TaskUpdated: "TaskUpdated",
        models.Accepted: "Accepted",
        models.ActiveAgent: "ActiveAgent",
        models.ContextSync: "ContextSync",
        models.ContextSyncData: "ContextSyncData",
        models.ErrorFields: "ErrorFields",
        models.EventsPage: "EventsPage",
        models.FileSubscribe: "FileSubscribe",
        models.GateView: "GateView",
        models.Health: "Health",
        models.HeldLock: "HeldLock",
        models.Hello: "Hello",
        models.LockFailed: "LockFailed",
        models.LockFailedData: "LockFailedData",
        models.Mirror: "Mirror",
        models.MirrorState: "MirrorState",
        models.Progress: "Progress",
        models.RecentChange: "RecentChange",
        models.Refusal: "Refusal",
        models.Resync: "Resync",
        models.RunView: "RunView",
        models.ScopeAsked: "ScopeAsked",
        models.SharedContext: "SharedContext",
        models.State: "State",
        models.StateSection: "StateSection",
        models.Subscribe: "Subscribe",
        models.Task: "Task",
    }
)
"""By model, enumeration or named tuple."""


def name_of(model: type[Any]) -> str:
    """The name of a model in the documents.

    Raises:
        LookupError: It has none.
    """
    if model not in NAMES:
        raise LookupError(f"{model.__name__} has no name in hub/schema_names.py")
    return NAMES[model]


def renamed(schemas: Mapping[str, Any], *, prefix: str) -> dict[str, Any]:
    """The schemas that pydantic made, keyed and titled and referred to by their names instead of their classes.

    Args:
        schemas: `$defs` of a JSON schema.
        prefix: What stands before the name in a reference.

    Raises:
        LookupError: A class among them has no name.
    """
    by_class = {model.__name__: name for model, name in NAMES.items()}
    if nameless := sorted(set(schemas) - set(by_class)):
        raise LookupError(f"{', '.join(nameless)}: no name in hub/schema_names.py")
    references = {f"{prefix}{old}": f"{prefix}{new}" for old, new in by_class.items()}
    found = {by_class[old]: _referring(schema, references) for old, schema in schemas.items()}
    for old, name in by_class.items():
        if name in found and found[name].get("title") == old:
            found[name]["title"] = name
    return found


def _referring(node: Any, references: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_referring(item, references) for item in node]
    if isinstance(node, dict):
        return {name: _referring(item, references) for name, item in node.items()}
    return references.get(node, node) if isinstance(node, str) else node
