"""Checks every new command, once, against the limits on what the hub keeps for its sender (`limit`)."""

from __future__ import annotations

from aegis_tui.domain import limit
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.instance.commands import AgentRegister, AgentReport, InstanceSend, InstanceStart
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.commands import LockAcquire, LockRelease, LockRenew, WantedResource
from aegis_tui.domain.message.commands import Ack, BroadcastSend, MessageSend
from aegis_tui.domain.message.exchange import BEGIN, FAMILIES, named_files
from aegis_tui.domain.piece.commands import DiffSubmit
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.run.commands import DesignPropose, RunStart
from aegis_tui.domain.scope.commands import PartitionSet, ScopeRequest
from aegis_tui.domain.spec.commands import SpecCreate, SpecObserve, TaskUpdate
from aegis_tui.domain.workspace import Workspace

_ENDED = ("completed", "failed", "cancelled")
_WITHOUT_LIMIT = frozenset({Ack, AgentReport, LockRelease, LockRenew})
"""The commands that come most often and have nothing to check."""


def check_limits(workspace: Workspace, command: AnyCommand, actor: Actor) -> None:
    """Return if the sender stays within every limit with this command; no limit applies to the hub itself.

    Raises:
        LimitReached: A limit would be exceeded; the error names it and what makes room.
    """
    if actor.kind == "hub" or type(command) in _WITHOUT_LIMIT:
        return
    match command:
        case LockAcquire():
            _check_locks(workspace, actor, command)
        case MessageSend():
            _check_message(workspace, actor, command.to, command.text)
        case InstanceSend():
            _check_unread(workspace, actor, command.agent_id)
        case BroadcastSend():
            _check_broadcast(workspace, actor, command)
        case ScopeRequest():
            asked = sum(asker == actor.agent_id for asker in workspace.scope_askers.values())
            limit.SCOPE_REQUESTS.check(asked + 1)
        case InstanceStart():
            limit.INSTANCES.check(sum(1 for _ in workspace.instances.alive()) + 1)
        case _:
            _check_content(workspace, command)


def _check_content(workspace: Workspace, command: AnyCommand) -> None:
    """Return if the content of a command keeps the limits that are the same for every sender.

    Only commands with a partition, a spec, a task, a design, tokens or findings have such limits.

    Raises:
        LimitReached: It does not; the error names the limit.
    """
    match command:
        case AgentRegister():
            limit.PARTITION.check(len(command.partition or ()))
        case PartitionSet():
            limit.PARTITION.check(len(command.globs))
        case SpecCreate():
            _check_spec(workspace, command)
        case SpecObserve():
            _check_observed(workspace, command)
        case TaskUpdate():
            spec = workspace.specs.by_id.get(command.spec_id)
            if spec is not None and command.task_id not in spec.tasks:
                limit.SPEC_TASKS.check(len(spec.tasks) + 1)
        case RunStart() | DesignPropose():
            check_design_size(command.design)
        case DiffSubmit():
            limit.SUBMITTED_TOKENS.check(len(command.tokens))
        case ReviewVerdict():
            limit.FINDINGS.check(len(command.findings))
            limit.CRITERIA.check(len(command.criteria))
            limit.VERDICT.check_size([item.model_dump(mode="json") for item in (*command.findings, *command.criteria)])
        case _:
            return


def check_design_size(design: dict[str, object] | None) -> None:
    """Return if a design, as a client sends it, is small enough to be checked in one step; None passes.

    Raises:
        LimitReached: It has too many bytes, too many features, or too many globs in one list.
    """
    if design is None:
        return
    limit.DESIGN.check_size(design)
    features = design.get("features")
    listed = features if isinstance(features, list) else []
    limit.FEATURES.check(len(listed))
    foundation = design.get("foundation")
    for owner in (*listed, foundation):
        if isinstance(owner, dict):
            _check_globs(owner.get("partition"))
    _check_globs(design.get("shared"))
    _check_globs(design.get("joint"))


def _check_globs(globs: object) -> None:
    if isinstance(globs, list):
        limit.PARTITION.check(len(globs))


def _check_message(workspace: Workspace, actor: Actor, to: str, text: str) -> None:
    if actor.kind == "instance":
        limit.MESSAGE.check(size := len(text.encode("utf-8", "replace")))
        waiting = [
            item
            for item in workspace.messages.waiting_from(actor.agent_id)
            if _is_alive(workspace.get_instance(item.to))
        ]
        limit.UNREAD_BYTES.check(sum(len(item.text.encode()) for item in waiting) + size)
    _check_unread(workspace, actor, to)


def _check_unread(workspace: Workspace, actor: Actor, name: str) -> None:
    addressee = workspace.instances.find(name)
    if addressee is not None:
        sent = workspace.messages.waiting_from(actor.agent_id)
        limit.UNREAD.check(sum(item.to == addressee.agent_id for item in sent) + 1, to=addressee.agent_id)


def _is_alive(instance: Instance | None) -> bool:
    return instance is not None and instance.is_alive


def _check_broadcast(workspace: Workspace, actor: Actor, command: BroadcastSend) -> None:
    limit.BROADCAST.check_size(command.data)
    if command.event == "code:written":
        limit.WRITES.check(workspace.fences.writes_of(actor.agent_id) + 1)
    if not command.event.startswith(FAMILIES):
        return
    files = named_files(command.data)
    limit.EXCHANGE_FILES.check(len(files))
    feature = command.data.get("feature")
    exchange = workspace.exchanges.by_feature.get(feature) if isinstance(feature, str) else None
    if exchange is not None:
        limit.EXCHANGE_FILES.check(len({*exchange.files, *files}), feature=exchange.feature)
    elif command.event == BEGIN and actor.kind == "instance":
        opened = [item for item in workspace.exchanges.by_feature.values() if item.opened_by == actor.agent_id]
        limit.EXCHANGES.check(len(opened) + 1)


def _check_locks(workspace: Workspace, actor: Actor, command: LockAcquire) -> None:
    wanted = len(command.resources) + (command.path is not None)
    limit.LOCK_RESOURCES.check(wanted)
    count = workspace.locks.count_of(actor.agent_id)
    if count + wanted > limit.LOCKS.most:  # only then it matters which of them the instance has already
        paths = {lock.resource.path for lock in workspace.locks.locks_of(actor.agent_id)}
        named = [*command.resources]
        if command.path is not None:
            named.append(WantedResource(path=command.path, lines=command.lines, symbol=command.symbol))
        if new := sum(item.path not in paths or bool(item.lines or item.symbol) for item in named):
            limit.LOCKS.check(count + new)


def _check_observed(workspace: Workspace, command: SpecObserve) -> None:
    limit.SPEC_DEPENDENCIES.check(len(command.dependencies))
    if command.digest and command.spec_id not in workspace.specs.by_id and command.status not in _ENDED:
        limit.SPECS.check(_open_specs(workspace) + 1)


def _open_specs(workspace: Workspace) -> int:
    return sum(spec.run is None and spec.status not in _ENDED for spec in workspace.specs.by_id.values())


def _check_spec(workspace: Workspace, command: SpecCreate) -> None:
    limit.SPEC.check_size(command.spec)
    named = command.spec.get("dependencies")
    limit.SPEC_DEPENDENCIES.check(len(named) if isinstance(named, list) else 0)
    limit.SPECS.check(_open_specs(workspace) + 1)
