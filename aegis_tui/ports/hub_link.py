"""An agent's connection to the hub: commands with replies, events, and locks (contract 5 to 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class HubEvent:
    """One event of contract 6. `seq` is 0 for events that are not logged."""

    seq: int
    type: str
    agent_id: str
    timestamp: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LockGrant:
    """A granted lock with its fencing token; it lapses `expires_in_s` seconds after the grant unless renewed."""

    lock_id: str
    path: str
    token: int
    expires_in_s: float
    region: str | None = None
    """Lines `10-20` or a dotted symbol name; None when the whole file is locked, which may exceed the request."""


class HubLink(Protocol):
    """One instance's connection to the hub.

    Every method raises the `AegisError` that the hub replied with, or `HubUnavailable` when no hub answers.
    """

    async def command(
        self, command_type: str, /, *, request_id: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send one command and return the hub's reply. After a success, the same `request_id` gets that reply again."""
        ...

    def events(self, *, types: Sequence[str] = (), after: int | None = None) -> AsyncIterator[HubEvent]:
        """Yield events in `seq` order (must-deliver).

        Args:
            types: The event types wanted; all when empty.
            after: Start with the event after this number; None for new events only.
        """
        ...

    async def acquire_lock(
        self,
        path: str,
        *,
        lock_type: str = "EXCLUSIVE",
        ttl_s: float | None = None,
        wait_s: float = 0.0,
        lines: tuple[int, int] | None = None,
        symbol: str | None = None,
    ) -> LockGrant:
        """Return the granted lock, waiting at most `wait_s` seconds in the hub's queue.

        Raises:
            LockHeld: Not granted in time; `data` holds `held_by` and `expires_in_s`.
            PartitionRefused: This instance may not lock the path.
        """
        ...

    async def release_lock(self, lock_id: str, token: int) -> None:
        """Release the lock.

        Raises:
            StaleToken: The instance no longer holds the lock under this token.
        """
        ...
