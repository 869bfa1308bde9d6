"""The commands of locks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.field import Name, PathText, Reason, Symbol
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.model import CommandData, Count, FrozenModel, Seconds


class WantedResource(FrozenModel):
    """A file, or a region of it, that a lock is wanted on."""

    path: PathText
    lines: tuple[Count, Count] | None = None
    symbol: Symbol | None = None


class LockAcquire(CommandData):
    """All of the resources, or none.

    The hub fills `pinned` and `whole` by looking at the asker's files when a region is wanted; a client cannot.
    """

    type: Literal["lock:acquire"] = "lock:acquire"
    path: PathText | None = None
    resources: tuple[WantedResource, ...] = ()
    lock_type: Literal["EXCLUSIVE", "SHARED", "REVIEW"] = "EXCLUSIVE"
    ttl_s: Seconds | None = None
    wait_s: Seconds | None = Field(None, ge=0, le=3600)
    lines: tuple[Count, Count] | None = None
    symbol: Symbol | None = None
    pinned: tuple[Resource, ...] | None = None
    """All that is wanted, each region with the lines it has now."""
    whole: tuple[str, ...] = ()
    """Files that are locked as a whole, although a symbol was named, because they do not parse."""


class LockRenew(CommandData):
    """Start a lock's TTL again."""

    type: Literal["lock:renew"] = "lock:renew"
    lock_id: Name | None = None
    path: PathText | None = None
    token: Count
    ttl_s: Seconds | None = None


class LockRelease(CommandData):
    """Give a lock back, the token says which grant is meant; or give up an own `request`, waiting or granted."""

    type: Literal["lock:release"] = "lock:release"
    lock_id: Name | None = None
    path: PathText | None = None
    token: Count | None = None
    request: Name | None = None


class LockBreak(CommandData):
    """A person takes another's lock away."""

    type: Literal["lock:break"] = "lock:break"
    lock_id: Name
    reason: Reason = ""


class LockExpire(CommandData):
    """A lock's TTL has passed."""

    type: Literal["lock:expire"] = "lock:expire"
    lock_id: str
    token: int


class WaitExpire(CommandData):
    """A wait's time-out has passed."""

    type: Literal["wait:expire"] = "wait:expire"
    agent_id: str
    waiting: str


LockClientCommand = LockAcquire | LockRenew | LockRelease | LockBreak
LockHubCommand = LockExpire | WaitExpire
