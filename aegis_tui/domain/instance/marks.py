"""What the hub itself says of instances: made, started, ended, cleaned up, or not to be brought up (HUB-8, GIT-1)."""

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
    """Its worktree and launch record exist."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase is not Phase.PLANNED:
        return Decision()
    data = InstancePrepared(worktree=command.worktree, token_hash=command.token_hash)
    return Decision([(command.agent_id, data)])


def mark_launched(workspace: Workspace, command: InstanceMarkLaunched, actor: Actor, request_id: str) -> Decision:
    """Its pane is open; the program may have joined before this is known."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.pane is not None:
        return Decision()
    return Decision([(command.agent_id, InstanceLaunched(pane=command.pane, pid=command.pid))])


def mark_exited(workspace: Workspace, command: InstanceMarkExited, actor: Actor, request_id: str) -> Decision:
    """Its program ended: as asked, or it is lost."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase in (Phase.GONE, Phase.RECLAIMED, Phase.PLANNED):
        return Decision()
    drafts: list[Draft] = []
    if instance.is_alive:
        how = command.reason or f"exited with {_ending(command)}"
        how += f": {one_line(command.words)}" if command.words else ""
        # A program that ends before it has spoken does so for its successor as well, if that says the same.
        outlook: Outlook = "repeated" if command.words and instance.phase is not Phase.JOINED else "may-pass"
        drafts += lose(workspace, instance, how, Cause(code="instance.exited", message=ended(how), outlook=outlook))
    drafts.append((instance.agent_id, InstanceExited(status=command.status, signal=command.signal)))
    return Decision(drafts)


def _ending(command: InstanceMarkExited) -> str:
    if command.signal is not None:
        return f"signal {command.signal}"
    return "unknown status" if command.status is None else f"status {command.status}"


def mark_reclaimed(workspace: Workspace, command: InstanceMarkReclaimed, actor: Actor, request_id: str) -> Decision:
    """Its worktree is gone."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase is not Phase.GONE:
        return Decision()
    return Decision([(command.agent_id, InstanceReclaimed(**command.model_dump(exclude={"type", "agent_id"})))])


def mark_failed(workspace: Workspace, command: InstanceMarkFailed, actor: Actor, request_id: str) -> Decision:
    """It could not be brought up."""
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
