"""Rules of the hub's own commands: an instance was prepared, launched, ended, reclaimed or failed (HUB-8, GIT-1)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.cause import Cause, Outlook, ended, one_line
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.commands import (
    InstanceMarkExited,
    InstanceMarkFailed,
    InstanceMarkLaunched,
    InstanceMarkPrepared,
    InstanceMarkReclaimed,
)
from aegis_tui.domain.instance.events import InstanceExited, InstanceLaunched, InstancePrepared, InstanceReclaimed
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.instance.rules import lose
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.workspace import Workspace


def mark_prepared(workspace: Workspace, command: InstanceMarkPrepared, actor: Actor, request_id: str) -> Decision:
    """Record that a planned instance has its worktree and launch record; no events for any other instance."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase is not Phase.PLANNED:
        return Decision()
    data = InstancePrepared(
        worktree=command.worktree, token_hash=command.token_hash, advice=command.advice, around=command.around
    )
    return Decision([(command.agent_id, data)])


def mark_launched(workspace: Workspace, command: InstanceMarkLaunched, actor: Actor, request_id: str) -> Decision:
    """Record the pane of an instance; no events if the instance is unknown or its pane is recorded already.

    Its program may have joined before this is known.
    """
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.pane is not None:
        return Decision()
    return Decision([(command.agent_id, InstanceLaunched(pane=command.pane, pid=command.pid))])


def mark_exited(workspace: Workspace, command: InstanceMarkExited, actor: Actor, request_id: str) -> Decision:
    """Record that the program of an instance ended; an instance that was not asked to stop is lost.

    Then its locks end and its unfinished piece goes to a fresh instance. No events if the instance is unknown, was only
    planned, or is recorded as ended already.
    """
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase in (Phase.GONE, Phase.RECLAIMED, Phase.PLANNED):
        return Decision()
    drafts: list[Draft] = []
    if instance.is_alive:
        how = command.reason or f"exited with {_ending(command)}"
        how += f": {one_line(command.words)}" if command.words else ""
        # A program that ends before it has joined will end for its successor too, if its last lines are the same.
        outlook: Outlook = "repeated" if command.words and instance.phase is not Phase.JOINED else "may-pass"
        drafts += lose(workspace, instance, how, Cause(code="instance.exited", message=ended(how), outlook=outlook))
    drafts.append((instance.agent_id, InstanceExited(status=command.status, signal=command.signal)))
    return Decision(drafts)


def _ending(command: InstanceMarkExited) -> str:
    if command.signal is not None:
        return f"signal {command.signal}"
    return "unknown status" if command.status is None else f"status {command.status}"


def mark_reclaimed(workspace: Workspace, command: InstanceMarkReclaimed, actor: Actor, request_id: str) -> Decision:
    """Record that the worktree of an ended instance was removed, or left where it is; no events in any other phase."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase is not Phase.GONE:
        return Decision()
    return Decision([(command.agent_id, InstanceReclaimed(**command.model_dump(exclude={"type", "agent_id"})))])


def mark_failed(workspace: Workspace, command: InstanceMarkFailed, actor: Actor, request_id: str) -> Decision:
    """Record that an instance could not be started. It is lost, so that its piece goes to a fresh instance.

    No events if it is unknown or no longer living.
    """
    instance = workspace.get_instance(command.agent_id)
    if instance is None or not instance.is_alive:
        return Decision()
    return Decision(lose(workspace, instance, command.reason, command.cause))


RULES: Final[Rules] = MappingProxyType(
    {
        InstanceMarkPrepared: mark_prepared,
        InstanceMarkLaunched: mark_launched,
        InstanceMarkExited: mark_exited,
        InstanceMarkReclaimed: mark_reclaimed,
        InstanceMarkFailed: mark_failed,
    }
)
