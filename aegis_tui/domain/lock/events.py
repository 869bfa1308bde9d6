"""What can happen to a lock, and to a request that waits for one (contract 6)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.lock.model import LockMode, Rank, Region, Resource
from aegis_tui.domain.lock.region import Span, View
from aegis_tui.domain.model import EventData


class LockAcquired(EventData):
    """A lock was granted. One event a resource; the locks of one request follow each other."""

    type: Literal["lock:acquired"] = "lock:acquired"
    lock_id: str
    path: str
    region: Region | None
    lock_type: LockMode
    token: int
    """Fencing token: the seq of this very event."""
    ttl_s: float
    request_id: str
    waited: bool
    review_blob: str | None = None
    base_oid: str | None = None
    """The blob that the region was resolved on; None for a whole file, or where the file was not read."""
    views: tuple[View, ...] = ()
    """The lines of the region in that blob, then in others that regions of the file are known in."""


class LockMoved(EventData):
    """A region's file was written: where the region is in the new content, or that it is stale (LOCK-1)."""

    type: Literal["lock:moved"] = "lock:moved"
    lock_id: str
    path: str
    region: Region
    token: int
    base_oid: str
    """The blob that was written."""
    spans: tuple[Span, ...] = ()
    """The lines of the region in it; empty when it is stale."""
    stale: bool = False
    own: bool = False
    """Whether the content is in the holder's own checkout."""


class LockWaitMoved(EventData):
    """The file of a region that is waited for was written: where the region is in the new content."""

    type: Literal["lock:wait_moved"] = "lock:wait_moved"
    request_id: str
    path: str
    region: Region
    """The region as it was named until now."""
    base_oid: str
    """The blob that was written."""
    spans: tuple[Span, ...]
    own: bool = False
    """Whether the content is in the waiter's own checkout: its lines are named anew then."""


class LockQueued(EventData):
    """A request waits; `holder` is the instance in its way."""

    type: Literal["lock:queued"] = "lock:queued"
    request_id: str
    resources: tuple[Resource, ...]
    ranks: tuple[Rank, ...]
    lock_type: LockMode
    ttl_s: float
    wait_s: float
    position: int
    """1 for the next in line."""
    holder: str
    review_blobs: dict[str, str] = Field(default_factory=dict)


class LockReleased(EventData):
    """A lock was given back by its holder, or for it (`reason`)."""

    type: Literal["lock:released"] = "lock:released"
    lock_id: str
    path: str
    region: Region | None
    token: int
    reason: str


class LockRenewed(EventData):
    """A lock runs for `ttl_s` more seconds, from now."""

    type: Literal["lock:renewed"] = "lock:renewed"
    lock_id: str
    token: int
    ttl_s: float


class LockExpired(EventData):
    """A lock ended because its time, or the session of its holder, did."""

    type: Literal["lock:expired"] = "lock:expired"
    lock_id: str
    path: str
    region: Region | None
    token: int


class LockBroken(EventData):
    """A person ended somebody's lock."""

    type: Literal["lock:broken"] = "lock:broken"
    lock_id: str
    path: str
    region: Region | None
    token: int
    reason: str
    by: str


class LockDeadlock(EventData):
    """A request was refused because waiting would have closed this cycle; the asker comes first."""

    type: Literal["lock:deadlock"] = "lock:deadlock"
    request_id: str
    cycle: tuple[str, ...]


WithdrawnCode = Literal["TIMEOUT", "DEADLOCK", "GONE", "PARTITION", "CANCELLED"]
"""Why a wait ended: too late, a cycle, session over, partition taken away meanwhile, or given up by the asker."""


class LockWithdrawn(EventData):
    """A request waits no longer and was not granted; the other fields say what was in its way, as far as known."""

    type: Literal["lock:withdrawn"] = "lock:withdrawn"
    request_id: str
    code: WithdrawnCode
    held_by: str | None = None
    mode: LockMode | None = None
    path: str | None = None
    region: str | None = None
    lock_id: str | None = None


class LockDenied(EventData):
    """An immediate refusal, logged so that contention can be counted (LOCK-7)."""

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
"""Every event of this noun, for the discriminated union of the log."""
