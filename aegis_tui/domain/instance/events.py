"""The events of instances (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.instance.model import AgentStateName, ShownPrompt, TaskKind, Tokens
from aegis_tui.domain.memory.model import Advice
from aegis_tui.domain.model import EventData, Progress


class InstancePlanned(EventData):
    """An instance will be started; the event holds everything that was decided about it."""

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
    """The worktree, brief, token and launch record of the instance exist."""

    type: Literal["instance:prepared"] = "instance:prepared"
    worktree: str
    token_hash: str = ""
    """Left out of the events that clients receive, so a mirror of the state knows no tokens."""
    advice: tuple[Advice, ...] = ()
    """What its brief tells it of earlier failures (MEM-1)."""
    around: str = ""
    """What its brief tells it of the code around its partition (MAP-3)."""


class InstanceLaunched(EventData):
    """A pane runs the instance's program."""

    type: Literal["instance:launched"] = "instance:launched"
    pane: str
    pid: int


class AgentJoined(EventData):
    """The instance's program has registered with the hub."""

    type: Literal["agent:joined"] = "agent:joined"
    agent_type: str
    role: str
    partition: tuple[str, ...]
    session: str
    state: AgentStateName | None = None
    """The state that it begins with; None to keep the one that it has, as in logs from before this field existed."""


class AgentLeft(EventData):
    """An instance outside a run has left, or its session has expired."""

    type: Literal["agent:left"] = "agent:left"
    reason: str


class AgentState(EventData):
    """The state that an agent reported of itself."""

    type: Literal["agent:state"] = "agent:state"
    state: AgentStateName
    progress: Progress
    source: str
    evidence: str | None = None
    """What its program did by which the state was recognized, if the agent does not just say so."""
    note: str | None = None
    tokens: Tokens | None = None
    cause: Cause | None = None
    blocked_names: tuple[str, ...] = ()
    """All names so far that were looked up in its sandbox, which refused them; empty if that is unchanged."""
    until: str | None = None
    """When the state ends by itself, if that is known (RFC 3339, UTC)."""
    write_checks: str | None = None
    """Which layers refuse its writes outside its partition, as it found by trying them; None if that is unchanged."""


class InstanceAsking(EventData):
    """The screen of an instance asks the person something, or does not any more (PANE-5)."""

    type: Literal["instance:asking"] = "instance:asking"
    asks: ShownPrompt | None
    """None when the question is gone from the screen without an answer through the hub."""


class InstanceAnswered(EventData):
    """A person has chosen an answer to a question on the screen of an instance, and it was typed into its pane."""

    type: Literal["instance:answered"] = "instance:answered"
    prompt: str
    choice: str
    """The choice in the words that the screen showed, as one line."""
    delivery: Literal["delivered", "unknown"]
    """`unknown` if the question was still on the screen afterwards."""


class InstanceStopping(EventData):
    """The hub will now end the pane and the processes of the instance."""

    type: Literal["instance:stopping"] = "instance:stopping"
    reason: str


class InstanceExited(EventData):
    """The program in the instance's pane has ended."""

    type: Literal["instance:exited"] = "instance:exited"
    status: int | None
    signal: int | None


class InstanceLost(EventData):
    """An instance of a run is gone; a piece that it had not submitted goes to another instance (HUB-8)."""

    type: Literal["instance:lost"] = "instance:lost"
    last_seen: str | None
    requeued: tuple[str, ...]
    reason: str
    cause: Cause | None = None


class InstanceReclaimed(EventData):
    """The worktree was removed, or left if `removed` is false; `rescue_ref` keeps uncommitted work (GIT-1)."""

    type: Literal["instance:reclaimed"] = "instance:reclaimed"
    rescue_ref: str | None
    removed: bool = True
    reason: str = ""
    """Why the worktree was left."""


InstanceEnding = InstanceStopping | InstanceExited | AgentLeft | InstanceLost | InstanceReclaimed


InstanceEvent = (
    InstancePlanned
    | InstancePrepared
    | InstanceLaunched
    | AgentJoined
    | AgentLeft
    | AgentState
    | InstanceAsking
    | InstanceAnswered
    | InstanceEnding
)
