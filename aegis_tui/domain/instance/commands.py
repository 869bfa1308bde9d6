"""The commands of instances: joining, reporting, leaving, being started and stopped."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.field import Name, Note, Reason, Text
from aegis_tui.domain.instance.model import AgentStateName, TaskKind, Tokens
from aegis_tui.domain.model import CommandData, Count, Progress


class AgentRegister(CommandData):
    """Join with the token's identity; a person may name an instance of their own (contract 2)."""

    type: Literal["agent:register"] = "agent:register"
    agent_type: Name = "NATIVE"
    instance_id: Name | None = None
    role: Name | None = None
    partition: tuple[str, ...] | None = None


class AgentReport(CommandData):
    """What an agent says of its own work."""

    type: Literal["agent:report"] = "agent:report"
    state: AgentStateName
    progress: Progress = 0.0
    note: Note | None = None
    tokens: Tokens | None = None
    cause: Cause | None = None
    """With state `failed` or `blocked`: the first error, and whether a successor would meet it as well."""


class AgentLeave(CommandData):
    """The program ends."""

    type: Literal["agent:leave"] = "agent:leave"
    reason: Note = "left"
    cause: Cause | None = None
    """The first error that ended it, if any."""


class Heartbeat(CommandData):
    """Still here; not logged."""

    type: Literal["heartbeat"] = "heartbeat"
    ack_seq: Count | None = None
    held: tuple[Name, ...] = ()


class InstanceStart(CommandData):
    """Plan an instance; the reconciler does the rest."""

    type: Literal["instance:start"] = "instance:start"
    role: Name
    kind: Name = "native"
    feature: Name | None = None
    task: TaskKind = "free"
    review_id: Name | None = None


class InstanceStop(CommandData):
    """End an instance; its tree is saved first."""

    type: Literal["instance:stop"] = "instance:stop"
    agent_id: Name
    reason: Reason = "stopped"


class InstanceSend(CommandData):
    """Give an instance a prompt."""

    type: Literal["instance:send"] = "instance:send"
    agent_id: Name
    text: Text


class SessionExpire(CommandData):
    """An instance has missed its heartbeats (HUB-8)."""

    type: Literal["session:expire"] = "session:expire"
    agent_id: str
    session: str


class InstanceMarkPrepared(CommandData):
    """Worktree, brief, token and launch record exist."""

    type: Literal["instance:mark-prepared"] = "instance:mark-prepared"
    agent_id: str
    worktree: str
    token_hash: str


class InstanceMarkLaunched(CommandData):
    """A pane runs it."""

    type: Literal["instance:mark-launched"] = "instance:mark-launched"
    agent_id: str
    pane: str
    pid: int


class InstanceMarkExited(CommandData):
    """Its program has ended."""

    type: Literal["instance:mark-exited"] = "instance:mark-exited"
    agent_id: str
    status: int | None = None
    signal: int | None = None
    reason: str = ""
    words: str = ""
    """The last lines that its pane showed, as plain text."""


class InstanceMarkReclaimed(CommandData):
    """Its worktree is gone, its work saved."""

    type: Literal["instance:mark-reclaimed"] = "instance:mark-reclaimed"
    agent_id: str
    rescue_ref: str | None = None
    removed: bool = True
    """False when its worktree could not be saved and was therefore left where it is."""
    reason: str = ""
    """Why it was left."""


class InstanceMarkFailed(CommandData):
    """It could not be brought up."""

    type: Literal["instance:mark-failed"] = "instance:mark-failed"
    agent_id: str
    reason: str
    cause: Cause | None = None


InstanceClientCommand = (
    AgentRegister | AgentReport | AgentLeave | Heartbeat | InstanceStart | InstanceStop | InstanceSend
)
InstanceHubCommand = (
    SessionExpire
    | InstanceMarkPrepared
    | InstanceMarkLaunched
    | InstanceMarkExited
    | InstanceMarkReclaimed
    | InstanceMarkFailed
)
