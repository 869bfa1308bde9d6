"""The commands about instances: join, report, leave, start, stop and send, and the hub's own about their progress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.field import HostName, Name, Note, Reason, Text, Timestamp
from aegis_tui.domain.hosting.screen_prompt import ScreenPrompt
from aegis_tui.domain.instance.model import MOST_NAMES, AgentStateName, StateSource, TaskKind, Tokens
from aegis_tui.domain.memory.model import Advice
from aegis_tui.domain.model import CommandData, Count, Progress


class AgentRegister(CommandData):
    """Join as the instance that the token belongs to, or with a person's token as the instance named (contract 2)."""

    type: Literal["agent:register"] = "agent:register"
    agent_type: Name = "NATIVE"
    instance_id: Name | None = None
    role: Name | None = None
    partition: tuple[str, ...] | None = None


class AgentReport(CommandData):
    """Report the state and the progress of the sender's own work."""

    type: Literal["agent:report"] = "agent:report"
    state: AgentStateName
    progress: Progress = 0.0
    note: Note | None = None
    tokens: Tokens | None = None
    cause: Cause | None = None
    """With state `failed` or `blocked`: the first error, and whether a successor would meet it too."""
    blocked_names: tuple[HostName, ...] = Field((), max_length=MOST_NAMES)
    """All names so far that programs in the sender's sandbox looked up, and that the sandbox refused."""
    until: Timestamp | None = None
    """With state `limited`: when the usage limit ends, and the instance goes on by itself (RFC 3339, UTC)."""
    source: StateSource = "hub"
    """From what the sender knows the state."""
    evidence: Note | None = None
    """What its program did, by which the state was recognized."""
    write_checks: Note | None = None
    """Which layers refuse the sender's writes outside its partition, as it found by trying them; None if unchanged."""


class AgentLeave(CommandData):
    """Leave the workspace, because the sender's program ends."""

    type: Literal["agent:leave"] = "agent:leave"
    reason: Note = "left"
    cause: Cause | None = None
    """The first error that ended it, if any."""


class Heartbeat(CommandData):
    """Keep the sender's session alive; not logged."""

    type: Literal["heartbeat"] = "heartbeat"
    ack_seq: Count | None = None
    held: tuple[Name, ...] = ()


class InstanceStart(CommandData):
    """Start an instance: the command records it, and the hub then starts its program."""

    type: Literal["instance:start"] = "instance:start"
    role: Name
    kind: Name = "native"
    feature: Name | None = None
    task: TaskKind = "free"
    review_id: Name | None = None


class InstanceStop(CommandData):
    """Stop an instance; its uncommitted work is saved before its worktree is removed."""

    type: Literal["instance:stop"] = "instance:stop"
    agent_id: Name
    reason: Reason = "stopped"


class InstanceSend(CommandData):
    """Send a prompt to an instance."""

    type: Literal["instance:send"] = "instance:send"
    agent_id: Name
    text: Text


class InstanceAnswer(CommandData):
    """Answer the question on the screen of an instance, by choosing there with the arrow keys and Enter."""

    type: Literal["instance:answer"] = "instance:answer"
    agent_id: Name
    prompt: Name
    """The id of the question. If another one is on the screen meanwhile, nothing is typed."""
    choice: int = Field(ge=1)
    """The number of the choice, from 1."""
    delivery: Literal["delivered", "unknown"] | None = None
    """What the hub saw after it had typed the choice; a client leaves it out."""


class InstanceMarkAsking(CommandData):
    """Record what the screen of an instance asks the person; None if it asks nothing any more."""

    type: Literal["instance:mark-asking"] = "instance:mark-asking"
    agent_id: str
    screen: ScreenPrompt | None
    source: Literal["title", "screen"] = "screen"


class SessionExpire(CommandData):
    """End the session of an instance that has missed its heartbeats (HUB-8)."""

    type: Literal["session:expire"] = "session:expire"
    agent_id: str
    session: str


class InstanceMarkPrepared(CommandData):
    """Record that worktree, brief, token and launch record of an instance exist."""

    type: Literal["instance:mark-prepared"] = "instance:mark-prepared"
    agent_id: str
    worktree: str
    token_hash: str
    advice: tuple[Advice, ...] = ()
    """What its brief tells it of earlier failures."""
    around: str = ""
    """What its brief tells it of the code around its partition."""


class InstanceMarkLaunched(CommandData):
    """Record that a pane runs the program of an instance."""

    type: Literal["instance:mark-launched"] = "instance:mark-launched"
    agent_id: str
    pane: str
    pid: int


class InstanceMarkExited(CommandData):
    """Record that the program of an instance has ended."""

    type: Literal["instance:mark-exited"] = "instance:mark-exited"
    agent_id: str
    status: int | None = None
    signal: int | None = None
    reason: str = ""
    words: str = ""
    """The last lines that the pane showed, as plain text."""


class InstanceMarkReclaimed(CommandData):
    """Record that the worktree of an instance was removed, or had to be left."""

    type: Literal["instance:mark-reclaimed"] = "instance:mark-reclaimed"
    agent_id: str
    rescue_ref: str | None = None
    removed: bool = True
    """False when the work in the worktree could not be saved and the worktree was therefore left where it is."""
    reason: str = ""
    """Why the worktree was left."""


class InstanceMarkFailed(CommandData):
    """Record that an instance could not be started."""

    type: Literal["instance:mark-failed"] = "instance:mark-failed"
    agent_id: str
    reason: str
    cause: Cause | None = None


InstanceClientCommand = (
    AgentRegister | AgentReport | AgentLeave | Heartbeat | InstanceStart | InstanceStop | InstanceSend | InstanceAnswer
)
InstanceHubCommand = (
    SessionExpire
    | InstanceMarkAsking
    | InstanceMarkPrepared
    | InstanceMarkLaunched
    | InstanceMarkExited
    | InstanceMarkReclaimed
    | InstanceMarkFailed
)
