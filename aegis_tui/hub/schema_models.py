"""What crosses the wire beside commands and logged events, as models from which the documents are made (HUB-3).

Nothing is validated with them: the hub answers as its code says, and a test compares what it says with these.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.model import LockMode
from aegis_tui.domain.lock.region import Span
from aegis_tui.domain.message.exchange import Exchange
from aegis_tui.domain.piece.model import Piece, PieceConflict
from aegis_tui.domain.qa.events import QaBaseChecked, QaFinished
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import RunCommitted, RunFacts, RunOptions, Stage
from aegis_tui.domain.run.model import RunStatus
from aegis_tui.domain.spec.model import SpecState


class _Described(BaseModel):
    """Base of these models; their schemas are built only when the documents are requested, not at the hub's start."""

    model_config = ConfigDict(defer_build=True)


class Hello(_Described):
    """The first frame of a stream, unless its request had an Authorization header; within 3 s."""

    type: Literal["hello"]
    v: Literal[1] = 1
    request_id: str | None = Field(None, min_length=1, max_length=200)
    token: str
    after: int | None = Field(None, ge=0, description="Begin after this event of the log; live when absent.")
    types: list[str] | None = Field(None, description='Names, "lock:*", "specs.>"; all when absent, none when empty.')
    paths: list[str] | None = Field(
        None, description="Globs; events about a matching path come whatever their type. None when absent or empty."
    )


class Subscribe(_Described):
    """Replace the event types of this stream, from now on or from the event after `after`."""

    type: Literal["subscribe"]
    v: Literal[1] = 1
    request_id: str | None = Field(None, min_length=1, max_length=200)
    types: list[str] | None = Field(None, description="As in hello: all when absent, none when empty.")
    after: int | None = Field(None, ge=0)


class FileSubscribe(_Described):
    """Add a glob to this stream; the first glob replaces a subscription to all types."""

    type: Literal["file:subscribe"]
    v: Literal[1] = 1
    request_id: str | None = Field(None, min_length=1, max_length=200)
    path: str


class ErrorFields(_Described):
    """Why a request was refused; further fields give facts, for example held_by."""

    code: str
    message: str
    hint: str
    exit_code: int = Field(description="1 failed, 2 usage, 3 refused, 4 conflict, 5 unavailable.")


class Accepted(_Described):
    """The answer to a command, hello or subscription that was accepted; the fields of the reply are beside `ok`."""

    v: Literal[1]
    request_id: str | None = Field(description="That of the request; null when it had none.")
    ok: Literal[True]


class Refusal(_Described):
    """The answer to a request that was refused."""

    request_id: str | None = Field(
        description="That of the request; null when it had none, or was refused before it was read."
    )
    ok: Literal[False]
    error: ErrorFields


class Resync(_Described):
    """The receiver was too slow: so many queued events were dropped, and are sent again from the log."""

    v: Literal[1]
    type: Literal["resync"]
    from_seq: int
    dropped: int


class LockFailedData(_Described):
    """Why a lock was not granted; further fields give facts."""

    path: str | None
    code: str = Field(description="HELD, TIMEOUT, DEADLOCK or UPGRADE.")
    held_by: str | None = None
    expires_in_s: float | None = None


class LockFailed(_Described):
    """A lock was not granted. This is sent only to the client that requested it, and not logged, so it has no seq."""

    v: Literal[1]
    type: Literal["lock:failed"]
    agent_id: str
    timestamp: str = Field(json_schema_extra={"format": "date-time"})
    data: LockFailedData


class Task(_Described):
    """A summary of the newest run."""

    id: str | None
    status: Literal["ACTIVE", "HALTED", "COMPLETED"]
    mode: str
    agents: list[str]


class ActiveAgent(_Described):
    """An instance that has a session."""

    agent_id: str
    agent_type: str
    partition: list[str]
    connected_at: str | None


class HeldLock(_Described):
    """A lock that is held now."""

    lock_id: str
    path: str
    region: str | None = Field(description="Lines or a symbol; null for the whole path.")
    lock_type: LockMode
    agent_id: str
    token: int
    ttl_s: float
    ttl_seconds: float
    expires_in_s: float
    acquired_at: str | None
    base_oid: str = Field("", description="Of a region: the blob in which `spans` are its lines.")
    spans: list[Span] = []
    stale: bool = False


class RecentChange(_Described):
    """A file that changed."""

    file: str
    agent_id: str
    change_type: str
    timestamp: str


class MergeProgress(_Described):
    """How many pieces are merged onto the integration branch."""

    total: int
    completed: int
    percentage: int


class GateView(_Described):
    """One condition of a stage."""

    name: str
    passed: bool
    reason: str
    command: str


class RunView(_Described):
    """One run."""

    run: str
    goal: str
    status: RunStatus
    stage: Stage
    round: int
    ok: bool | None
    error: dict[str, Any] | None
    design_id: str | None
    agreed: bool
    design: Design | None
    gates: list[GateView]
    pieces: list[Piece]
    reviews: list[Review]
    conflicts: list[PieceConflict]
    qa: QaFinished | None
    base_qa: QaBaseChecked | None
    commit: RunCommitted | None
    options: RunOptions
    facts: RunFacts


class ScopeAsked(_Described):
    """An open request of an instance to write a path outside its partition."""

    request: str
    by: str
    path: str
    reason: str


class SharedContext(_Described):
    """The workspace after event `seq` (contract 6)."""

    workspace: str
    seq: int
    task: Task
    active_agents: list[ActiveAgent]
    locks: dict[str, HeldLock] = Field(description="By path, `path:region`, or with `#token` where several hold it.")
    recent_changes: list[RecentChange]
    partitions: dict[str, list[str]]
    shared: list[str]
    joint: list[str]
    specs: dict[str, SpecState]
    progress: MergeProgress
    instances: list[Instance]
    run: RunView | None
    exchanges: list[Exchange]
    scope_requests: list[ScopeAsked]
    next: dict[str, str] | None = Field(
        None, description="Only when it was too large for one answer: each section that was cut, with its cursor."
    )


class ContextSyncData(_Described):
    """The whole state, and the number of the last event in it."""

    snapshot: SharedContext
    seq: int


class ContextSync(_Described):
    """The state instead of the events up to `seq`, which the log no longer holds. This message has no seq itself."""

    v: Literal[1]
    type: Literal["context:sync"]
    agent_id: Literal["hub"]
    timestamp: str = Field(json_schema_extra={"format": "date-time"})
    data: ContextSyncData


class Health(_Described):
    """The hub runs and serves requests."""

    schema_version: Literal[1]
    ok: Literal[True]
    pid: int
    seq: int


class State(SharedContext):
    """The present state of the workspace."""

    schema_version: Literal[1]
    ok: Literal[True]


class StateSection(_Described):
    """Further entries of one section of the shared context that was cut."""

    schema_version: Literal[1]
    ok: Literal[True]
    seq: int
    section: str
    entries: list[Any] | dict[str, Any]
    next: dict[str, str] | None = Field(None, description="The section with its next cursor, when there is more.")


class MirrorState(_Described):
    """The state of the hub's core, for a program of the same version that then applies the events after `seq`."""

    model_config = ConfigDict(extra="allow")

    seq: int


class Mirror(_Described):
    """The state for a mirror."""

    schema_version: Literal[1]
    ok: Literal[True]
    state: MirrorState


class EventsPage(_Described):
    """Events of the log in the order of `seq`, without those that the client may not see."""

    schema_version: Literal[1]
    ok: Literal[True]
    events: list[dict[str, Any]]
    next_after: int = Field(description="The `after` of the next page.")
    seq: int = Field(description="The number of the newest event.")


SENT_BY_CLIENTS = (Hello, Subscribe, FileSubscribe)
SENT_BY_THE_HUB = (Accepted, Refusal, Resync, LockFailed, ContextSync, Health, State, StateSection, Mirror, EventsPage)
