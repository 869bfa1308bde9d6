"""The answers of the hub's routes as JSON, and the frames of its stream (contracts 5 to 7)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from aegis_tui.domain.wire.context import ContextSection, SharedContext
from aegis_tui.domain.wire.form import SchemaNote, Timestamp


class Envelope(TypedDict):
    """One logged event (contract 6)."""

    v: int
    seq: int
    type: str
    agent_id: str
    timestamp: str
    data: dict[str, Any]
    """The fields of an event of this type."""


class Answered(TypedDict):
    """What every answer of a route with status 200 has."""

    schema_version: Literal[1]
    ok: Literal[True]


class Health(Answered):
    """The hub runs and serves requests."""

    pid: int
    seq: int


class State(SharedContext, Answered):
    """The present state of the workspace."""


class StateSection(Answered, ContextSection):
    """Further entries of one section of the shared context that was cut."""


class Mirror(Answered):
    """The state for a mirror."""

    state: Annotated[dict[str, Any], SchemaNote(named="MirrorState")]


class EventsPage(Answered):
    """Events of the log in the order of `seq`, without those that the client may not see."""

    events: list[Envelope]
    next_after: int
    """The `after` of the next page."""
    seq: int
    """The number of the newest event."""


class ErrorFields(TypedDict):
    """Why a request was refused; further fields give details, for example held_by."""

    code: str
    message: str
    hint: str
    exit_code: int
    """1 failed, 2 usage, 3 refused, 4 conflict, 5 unavailable."""


class Accepted(TypedDict):
    """The answer to a command, hello or subscription that was accepted; the fields of the reply are beside `ok`."""

    v: Literal[1]
    request_id: str | None
    """The `request_id` of the request; null when it had none."""
    ok: Literal[True]


class Refusal(TypedDict):
    """The answer to a request that was refused."""

    request_id: str | None
    """The `request_id` of the request; null when it had none, or was refused before it was read."""
    ok: Literal[False]
    error: ErrorFields


class Resync(TypedDict):
    """The receiver was too slow: `dropped` queued events were discarded, and are sent again from the log."""

    v: Literal[1]
    type: Literal["resync"]
    from_seq: int
    dropped: int


class LockFailedData(TypedDict):
    """Why a lock was not granted; further fields give details."""

    path: str | None
    code: str
    """HELD, TIMEOUT, DEADLOCK or UPGRADE."""
    held_by: NotRequired[Annotated[str | None, SchemaNote(default=None)]]
    expires_in_s: NotRequired[Annotated[float | None, SchemaNote(default=None)]]


class LockFailed(TypedDict):
    """A lock was not granted. This is sent only to the client that requested it, and not logged, so it has no seq."""

    v: Literal[1]
    type: Literal["lock:failed"]
    agent_id: str
    timestamp: Timestamp
    data: LockFailedData


class ContextSyncData(TypedDict):
    """The whole state, and the number of the last event in it."""

    snapshot: SharedContext
    seq: int


class ContextSync(TypedDict):
    """The state instead of the events up to `seq`, which the log no longer holds. This message has no seq itself."""

    v: Literal[1]
    type: Literal["context:sync"]
    agent_id: Literal["hub"]
    timestamp: Timestamp
    data: ContextSyncData
