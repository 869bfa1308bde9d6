"""What can happen to an instance (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.instance.model import AgentStateName, TaskKind, Tokens
from aegis_tui.domain.model import EventData, Progress


class InstancePlanned(EventData):
    """The intent to start an instance; everything it needs is decided here."""

    type: Literal["instance:planned"] = "instance:planned"
    instance_id: str
    role: str
    kind: str
    run: str | None
    task: TaskKind
    piece: str | None
    review_id: str | None = None
    base_oid: str | None
    branch: str | None
    partition: tuple[str, ...]
    replaces: str | None = None


class InstancePrepared(EventData):
    """Worktree, brief, token and launch record exist."""

    type: Literal["instance:prepared"] = "instance:prepared"
    worktree: str
    token_hash: str = ""
    """Left out of what clients are told; a mirror therefore knows no tokens."""


class InstanceLaunched(EventData):
    """A pane runs the instance's program."""

    type: Literal["instance:launched"] = "instance:launched"
    pane: str
    pid: int


class AgentJoined(EventData):
    """The program has spoken to the hub with its token."""

    type: Literal["agent:joined"] = "agent:joined"
    agent_type: str
    role: str
    partition: tuple[str, ...]
    session: str


class AgentLeft(EventData):
    """The program said that it goes."""

    type: Literal["agent:left"] = "agent:left"
    reason: str


class AgentState(EventData):
    """What an agent reports of itself."""

    type: Literal["agent:state"] = "agent:state"
    state: AgentStateName
    progress: Progress
    source: str
    note: str | None = None
    tokens: Tokens | None = None
    cause: Cause | None = None


class InstanceStopping(EventData):
    """The intent to end an instance's pane and processes."""

    type: Literal["instance:stopping"] = "instance:stopping"
    reason: str


class InstanceExited(EventData):
    """The pane's program has ended."""

    type: Literal["instance:exited"] = "instance:exited"
    status: int | None
    signal: int | None


class InstanceLost(EventData):
    """The instance is gone before its task was done; its task goes to another (HUB-8)."""

    type: Literal["instance:lost"] = "instance:lost"
    last_seen: str | None
    requeued: tuple[str, ...]
    reason: str
    cause: Cause | None = None


class InstanceReclaimed(EventData):
    """Its worktree is removed; uncommitted work, if any, is in the rescue ref (GIT-1)."""

    type: Literal["instance:reclaimed"] = "instance:reclaimed"
    rescue_ref: str | None
    removed: bool = True
    reason: str = ""
    """Why its worktree was left where it is."""


InstanceEnding = InstanceStopping | InstanceExited | AgentLeft | InstanceLost | InstanceReclaimed


InstanceEvent = (
    InstancePlanned | InstancePrepared | InstanceLaunched | AgentJoined | AgentLeft | AgentState | InstanceEnding
)
