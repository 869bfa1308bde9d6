"""What can happen to a lock, and to a request that waits for one (contract 6)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.lock.model import LockMode, Rank, Region, Resource
from aegis_tui.domain.lock.region import Span, View
from aegis_tui.domain.model import EventData


class LockAcquired(EventData):
    """A lock was granted. A request leads to one event for each resource that the instance did not hold yet."""

    type: Literal["lock:acquired"] = "lock:acquired"
    lock_id: str
    path: str
    region: Region | None
    lock_type: LockMode
    token: int
    """Fencing token: the seq of this event."""
    ttl_s: float
    request_id: str
    waited: bool
    review_blob: str | None = None
    base_oid: str | None = None
    """Id of the blob that the region was resolved on; None for a whole file, or where the file was not read."""
    views: tuple[View, ...] = ()
    """The lines of the region in that blob, then in other contents of the file."""


class LockMoved(EventData):
    """The file of a locked region was written: says where the region is now, or that it is stale (LOCK-1)."""

    type: Literal["lock:moved"] = "lock:moved"
    lock_id: str
    path: str
    region: Region
    token: int
    base_oid: str
    """Blob id of the new content."""
    spans: tuple[Span, ...] = ()
    """The lines of the region in the new content; empty when it is stale."""
    stale: bool = False
    own: bool = False
    """Whether the content is in the holder's own checkout."""


class LockWaitMoved(EventData):
    """The file of a region that a request waits for was written: says where the region is in the new content."""

    type: Literal["lock:wait_moved"] = "lock:wait_moved"
    request_id: str
    path: str
    region: Region
    """The region as it was before the write."""
    base_oid: str
    """Blob id of the new content."""
    spans: tuple[Span, ...]
    own: bool = False
    """Whether the content is in the waiter's own checkout: then a region of lines takes its new lines."""


class LockQueued(EventData):
    """A lock request was queued; `holder` is the instance that blocks it."""

    type: Literal["lock:queued"] = "lock:queued"
    request_id: str
    resources: tuple[Resource, ...]
    ranks: tuple[Rank, ...]
    lock_type: LockMode
    ttl_s: float
    wait_s: float
    position: int
    """Place in the queue: 1 for the next request."""
    holder: str
    review_blobs: dict[str, str] = Field(default_factory=dict)


class LockReleased(EventData):
    """A lock was released by its holder, or on its behalf; `reason` says why."""

    type: Literal["lock:released"] = "lock:released"
    lock_id: str
    path: str
    region: Region | None
    token: int
    reason: str


class LockRenewed(EventData):
    """The TTL of a lock was restarted: it lasts `ttl_s` seconds from this event."""

    type: Literal["lock:renewed"] = "lock:renewed"
    lock_id: str
    token: int
    ttl_s: float


class LockExpired(EventData):
    """A lock ended because its TTL passed or the session of its holder was lost."""

    type: Literal["lock:expired"] = "lock:expired"
    lock_id: str
    path: str
    region: Region | None
    token: int


class LockBroken(EventData):
    """A person ended a lock; `by` is the person, `agent_id` of the event the holder."""

    type: Literal["lock:broken"] = "lock:broken"
    lock_id: str
    path: str
    region: Region | None
    token: int
    reason: str
    by: str


class LockDeadlock(EventData):
    """A lock request was refused: its wait would have closed this cycle, which starts with its sender."""

    type: Literal["lock:deadlock"] = "lock:deadlock"
    request_id: str
    cycle: tuple[str, ...]


WithdrawnCode = Literal["TIMEOUT", "DEADLOCK", "GONE", "PARTITION", "CANCELLED"]
"""Why a wait ended: its timeout passed, a deadlock, the session ended, the partition changed, or it was cancelled."""


class LockWithdrawn(EventData):
    """A request no longer waits and was not granted; the other fields say what blocked it, where that is known."""

    type: Literal["lock:withdrawn"] = "lock:withdrawn"
    request_id: str
    code: WithdrawnCode
    held_by: str | None = None
    mode: LockMode | None = None
    path: str | None = None
    region: str | None = None
    lock_id: str | None = None


class LockDenied(EventData):
    """A lock request was refused at once; logged so that contention can be counted (LOCK-7)."""

    type: Literal["lock:denied"] = "lock:denied"
    path: str
    lock_type: LockMode
    code: Literal["HELD", "UPGRADE", "PARTITION", "STALE"]
    held_by: str


LockEvent = (
    LockAcquired
    | LockQueued
    | LockReleased
    | LockRenewed
    | LockMoved
    | LockWaitMoved
    | LockExpired
    | LockBroken
    | LockDeadlock
    | LockWithdrawn
    | LockDenied
)
"""Every lock event, for the discriminated union of the log."""
