"""A granted lock and its remaining time on this machine: when and how to renew it (LOCK-2)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aegis_tui.ports.hub_link import LockGrant

Send = Callable[..., Awaitable[dict[str, Any]]]
"""Sends one command of contract 5 and returns its reply, or raises the `AegisError` of the refusal."""


class Lease:
    """Base of objects that hold a granted lock. It is due for renewal after a third of its time: two tries may fail."""

    grant: LockGrant
    until: float
    """When it ends unless renewed, on this machine's monotonic clock."""

    @property
    def left_s(self) -> float:
        """Seconds until it ends unless renewed; negative once it is over."""
        return self.until - time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether a third of the lock's time has passed, so that it should be renewed now."""
        return self.left_s <= self.grant.expires_in_s * 2 / 3

    async def renew(self, send: Send, **fields: Any) -> None:
        """Ask the hub to renew the lock, and set `grant` and `until` by its answer.

        Neither is set if another grant replaced `grant` in the meantime.

        Args:
            send: Sends a command to the hub.
            fields: Further fields of `lock:renew`.

        Raises:
            StaleToken: The lock is no longer held under its token, or a write has changed the lines that it covers.
            Refused: Another instance holds it.
            AegisError: Any other error of `send`, such as `HubUnavailable` if the hub does not answer.
        """
        grant, asked_at = self.grant, time.monotonic()
        reply = await send("lock:renew", lock_id=grant.lock_id, token=grant.token, **fields)
        lock = next((item for item in reply["locks"] if item["lock_id"] == grant.lock_id), None)
        if lock is not None and self.grant is grant:
            self.grant = replace(grant, expires_in_s=lock["expires_in_s"])
            self.until = asked_at + lock["expires_in_s"]


def end_of(grant: LockGrant) -> float:
    """Return when a lock ends that is granted now, in seconds of this machine's monotonic clock."""
    return time.monotonic() + grant.expires_in_s
