"""The typed results of the MCP tools: with a plain `dict`, clients would get no schema."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from aegis_tui.domain.qa.check import QaCheck


class ContextView(BaseModel):
    """The shared context: the state of the workspace."""

    workspace: str
    seq: int
    task: dict[str, Any]
    active_agents: list[dict[str, Any]]
    locks: dict[str, dict[str, Any]]
    recent_changes: list[dict[str, Any]]
    partitions: dict[str, list[str]]
    specs: dict[str, dict[str, Any]]
    progress: dict[str, Any]
    exchanges: list[dict[str, Any]]
    """Features that are planned, written and reviewed by broadcasts, with the state of each file."""


class MapResult(BaseModel, extra="allow"):
    """An answer of the code map: `symbols`, `sites`, `dependents`, or `text` with `pointers`."""

    seq: int
    """The number of the map."""
    tree: str | None
    """The tree that it holds for, with the changes of your worktree."""
    stale: list[str]
    """Paths in the answer whose content has changed since it was read."""
    cut: list[str] = []
    """Fields that were too long and are cut."""


class PartitionResult(BaseModel, extra="allow"):
    """Suggested partitions: `parts` and `outside`, with globs of which no two match the same path."""

    parts: list[dict[str, Any]]
    """Each with `name`, `globs`, `files`, `lines` and the `reason`."""
    outside: list[dict[str, Any]]
    """What no part should own: `glob`, `where` (`joint`, `foundation` or `shared` of a design) and the `reason`."""
    imports: int
    """How many imports there are between files that parts own."""
    cut: int
    """How many of `imports` go from one part to another."""
    notes: list[str]
    """What could not be considered."""


class Told(BaseModel):
    """Who was told; `*` is everybody."""

    told: list[str]
    seq: int | None = None


class Message(BaseModel):
    """One message; a `prompt` asks for work, a `note` only informs."""

    seq: int
    sender: str
    text: str
    kind: str
    timestamp: str


class MessageList(BaseModel):
    """Messages, oldest first."""

    messages: list[Message]
    more: bool = False
    """True if there are more: read again after the last one."""
    notices: list[str] = Field(default_factory=list)
    """Short lines about what others did to your files meanwhile; each is told once."""


class Scope(BaseModel):
    """Who you are and what you may write."""

    agent_id: str
    role: str
    partition: list[str]
    """Globs of paths that only you may write."""
    joint: list[str]
    """Globs of paths that any worker may write while it holds an EXCLUSIVE lock."""
    shared: list[str]
    """Globs of paths that nobody may write."""
    requested: list[str]
    """Paths that you have requested, without an answer so far."""
    specs: list[str]
    run: str | None
    branch: str | None
    worktree: str | None
    base_oid: str | None


class ScopeAnswer(BaseModel):
    """Granted at once because the path is yours, or a request that waits for `owner` or a person."""

    granted: bool
    request: str | None
    owner: str | None = None


class Lock(BaseModel):
    """A lock of yours; `token` proves it when you write, renew or release."""

    lock_id: str
    path: str
    region: str | None
    lock_type: str
    token: int
    expires_in_s: float


class LockAnswer(BaseModel):
    """The locks, or who holds what was wanted and for how long at most."""

    granted: bool
    locks: list[Lock] = Field(default_factory=list)
    code: str | None = None
    """HELD, TIMEOUT, DEADLOCK or UPGRADE."""
    held_by: str | None = None
    expires_in_s: float | None = None
    message: str | None = None
    moved_on: list[str] = Field(default_factory=list)
    """How others have changed the files before you, which your copies may not show."""


class Named(BaseModel):
    """The ids of what was claimed, released, judged or created."""

    names: list[str]


class Done(BaseModel):
    """What became of a piece or a design."""

    handed_in: str | None = None
    """The id of the submitted piece, which is now checked for conflicts and reviewed."""
    agreed: bool | None = None
    """False: a person must still accept the design."""
    at_end_of_turn: bool = False
    """True: your work is committed and submitted when you end your turn."""


class PieceView(BaseModel):
    """One piece of the design and who works on it."""

    name: str
    status: str
    agent_id: str | None
    depends_on: list[str] = Field(default_factory=list)
    applied_head: str | None = None


class Dispatch(BaseModel):
    """Pieces with their workers; `agent_id` is null while nobody was started."""

    stage: str
    pieces: list[PieceView]


class ConflictView(BaseModel):
    """One path that two pieces change."""

    conflict_id: str
    a: str
    b: str
    path: str
    kind: str
    hunks: int
    resolution: str | None


class ConflictList(BaseModel):
    """Conflicts of the run, settled ones included."""

    conflicts: list[ConflictView]


class Integration(BaseModel):
    """The composition."""

    stage: str
    approved: bool
    """True if it contains exactly all pieces, and a reviewer has approved it."""
    pieces: list[PieceView]


class QaResult(BaseModel):
    """QA of the merged tree, compared with the base."""

    finished: bool
    ok: bool | None = None
    checks: list[QaCheck] = Field(default_factory=list)
