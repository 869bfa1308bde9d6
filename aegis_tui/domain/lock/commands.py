"""The commands about locks: to acquire, renew, release and break them, and the hub's own for expiry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.field import Name, PathText, Reason, Symbol
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.model import CommandData, Count, FrozenModel, Seconds


class WantedResource(FrozenModel):
    """A file, or a region of it, to lock."""

    path: PathText
    lines: tuple[Count, Count] | None = None
    symbol: Symbol | None = None


class LockAcquire(CommandData):
    """Acquire locks on all of the resources, or on none.

    Where a region is wanted, the hub reads the sender's files and sets `pinned` and `whole`; a client cannot set them.
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
    """All wanted resources, each region with its current lines."""
    whole: tuple[str, ...] = ()
    """Files that are locked as a whole although a symbol was named, because they cannot be parsed."""


class LockRenew(CommandData):
    """Restart the TTL of a lock, named by `lock_id` or `path`; `token` must be its current one."""

    type: Literal["lock:renew"] = "lock:renew"
    lock_id: Name | None = None
    path: PathText | None = None
    token: Count
    ttl_s: Seconds | None = None


class LockRelease(CommandData):
    """Release the sender's locks that `lock_id` or `path` names, or cancel its `request`, waiting or granted.

    Where `token` is given, only the lock with that token is released.
    """

    type: Literal["lock:release"] = "lock:release"
    lock_id: Name | None = None
    path: PathText | None = None
    token: Count | None = None
    request: Name | None = None


class LockBreak(CommandData):
    """End a lock of any instance; only a person may."""

    type: Literal["lock:break"] = "lock:break"
    lock_id: Name
    reason: Reason = ""


class OtherCopy(FrozenModel):
    """How another instance's copy of a file differs from the sender's, as the hub has read both."""

    agent_id: str
    change: Literal["changed", "created", "deleted", "binary", "unknown"]
    diff: str = ""
    """Lines that only the sender's copy has begin with `-`, those that only the other has with `+`."""


class LockNews(CommandData):
    """Ask what others wrote to a file under its lock that is not merged yet, and which merged pieces changed it.

    The hub reads the copies and sets `copies`; a client cannot set it.
    """

    type: Literal["lock:news"] = "lock:news"
    path: PathText
    copies: tuple[OtherCopy, ...] = ()


class LockExpire(CommandData):
    """End a lock whose TTL has passed."""

    type: Literal["lock:expire"] = "lock:expire"
    lock_id: str
    token: int


class WaitExpire(CommandData):
    """End the wait of a request whose timeout has passed."""

    type: Literal["wait:expire"] = "wait:expire"
    agent_id: str
    waiting: str


LockClientCommand = LockAcquire | LockRenew | LockRelease | LockBreak | LockNews
LockHubCommand = LockExpire | WaitExpire
