"""Locks as JSON."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from aegis_tui.domain.wire.form import SchemaNote


class LockFields(TypedDict):
    """A lock in the reply to the command that acquired or renewed it."""

    lock_id: str
    path: str
    region: str | None
    """Lines or a symbol; null for the whole path."""
    lock_type: Annotated[str, SchemaNote(named="LockMode")]
    agent_id: str
    token: int
    ttl_s: float
    expires_in_s: float
    base_oid: NotRequired[Annotated[str, SchemaNote(default="")]]
    """Of a region: the blob in which `spans` are its lines."""
    spans: NotRequired[Annotated[list[tuple[int, int]], SchemaNote(default=[])]]
    """First and last line of each part, 1-based."""
    stale: NotRequired[Annotated[bool, SchemaNote(default=False)]]


class HeldLock(LockFields):
    """A lock that is held now."""

    ttl_seconds: float
    acquired_at: str | None
