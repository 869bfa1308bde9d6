"""The shared context as JSON: what every client may see of a workspace (contract 6)."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from aegis_tui.domain.wire.form import SchemaNote
from aegis_tui.domain.wire.instance import ActiveAgent, InstanceView
from aegis_tui.domain.wire.lock import HeldLock
from aegis_tui.domain.wire.run import MergeProgress, RunView, Task


class RecentChange(TypedDict):
    """A file that changed."""

    file: str
    agent_id: str
    change_type: str
    timestamp: str


class SpecFields(TypedDict):
    """The state of one spec."""

    spec_id: str
    path: str
    title: str
    run: str | None
    piece: str | None
    dependencies: list[str]
    priority: int
    status: str
    agent: str | None
    rev: int
    tasks: dict[str, str]
    progress: float
    digest: str
    is_gone: bool
    by_run: str | None
    pieces: list[str]
    error: str
    waits: str
    oid: str
    branch: str
    is_seen: bool


class ExchangeFields(TypedDict):
    """One feature that is being planned, written and reviewed by broadcasts."""

    feature: str
    opened_by: str
    plan: str
    files: dict[str, str]


class ScopeAsked(TypedDict):
    """An open request of an instance to write a path outside its partition."""

    request: str
    by: str
    path: str
    reason: str


class SharedContext(TypedDict):
    """The workspace after event `seq` (contract 6)."""

    workspace: str
    seq: int
    task: Task
    active_agents: list[ActiveAgent]
    locks: dict[str, HeldLock]
    """By path, `path:region`, or with `#token` where several hold it."""
    recent_changes: list[RecentChange]
    partitions: dict[str, list[str]]
    shared: list[str]
    joint: list[str]
    specs: dict[str, SpecFields]
    progress: MergeProgress
    instances: list[InstanceView]
    run: RunView | None
    exchanges: list[ExchangeFields]
    scope_requests: list[ScopeAsked]
    next: NotRequired[Annotated[dict[str, str] | None, SchemaNote(default=None)]]
    """Only when it was too large for one answer: each section that was cut, with its cursor."""


class ContextSection(TypedDict):
    """Further entries of one section of the shared context that was cut."""

    seq: int
    section: str
    entries: list[object] | dict[str, object]
    next: NotRequired[Annotated[dict[str, str] | None, SchemaNote(default=None)]]
    """The section with its next cursor, when there is more."""
