"""Limits on how much one instance may send: enough for any agent, too little to block the others (HUB-9)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aegis_tui.domain.decision import Actor
from aegis_tui.domain.limit import BYTE_BURST, BYTE_RATE, COMMAND_BURST, COMMAND_RATE, IN_FLIGHT, Limit
from aegis_tui.errors import Unavailable

_MOST_SENDERS = 1_000


class RateLimit:
    """A token bucket for each sender: `burst` at once, then `per_s` per second."""

    def __init__(
        self,
        *,
        per_s: float = COMMAND_RATE.most,
        burst: float = COMMAND_BURST.most,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the limits; every bucket starts full.

        Args:
            per_s: How much a bucket gains per second.
            burst: How much a bucket holds at most.
            now: A clock in seconds that never goes back.
        """
        self._per_s = per_s
        self._burst = burst
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, sender: str, amount: float = 1) -> bool:
        """Take `amount` from the sender's bucket and return True; return False, and take nothing, when it holds less.

        A full bucket holds `burst`; it gains `per_s` each second.
        """
        now = self._now()
        burst = self._burst
        left, seen_at = self._left.get(sender, (burst, now))
        left += (now - seen_at) * self._per_s
        if left > burst:
            left = burst
        if len(self._left) > _MOST_SENDERS:
            self._forget_full(now)
        is_allowed = left >= amount
        self._left[sender] = (left - amount if is_allowed else left, now)
        return is_allowed

    def _forget_full(self, now: float) -> None:
        """Drop the buckets that are full again by `now`, in seconds: they are the same as unused ones."""
        full_after_s = self._burst / self._per_s
        self._left = {name: kept for name, kept in self._left.items() if now - kept[1] < full_after_s}


class Door:
    """Counts what each instance sends over all its connections: commands, bytes, and requests in progress.

    The person and the hub are not limited.
    """

    def __init__(self, *, commands: RateLimit | None = None, sizes: RateLimit | None = None) -> None:
        """Set the rate limits; only tests pass others than the defaults.

        Args:
            commands: How many commands each instance may send.
            sizes: How many bytes these may have together.
        """
        self._commands = commands or RateLimit()
        self._sizes = sizes or RateLimit(per_s=BYTE_RATE.most, burst=BYTE_BURST.most)
        self._under_way: Counter[tuple[str, str]] = Counter()

    def take(self, actor: Actor, size: int) -> None:
        """Count one command of an instance and its bytes, also if it is refused later.

        No effect for the person and the hub.

        Args:
            actor: Who sends it.
            size: The bytes of the request.

        Raises:
            Unavailable: Too many commands or bytes in too short a time (code `rate`); waiting helps.
        """
        if actor.kind != "instance":
            return
        if not self._commands.take(actor.agent_id):
            raise _too_fast(actor, "commands", COMMAND_RATE)
        if not self._sizes.take(actor.agent_id, size):
            raise _too_fast(actor, "bytes", BYTE_RATE)

    @contextmanager
    def under_way(self, actor: Actor, limit: Limit = IN_FLIGHT) -> Iterator[None]:
        """Count something of an instance as in progress while the context is open; no effect for person and hub.

        Args:
            actor: Whose it is.
            limit: What is counted, such as connections, and how many an instance may have at once; by default requests.

        Raises:
            Unavailable: The actor has as many as `limit` allows (code `rate`).
        """
        if actor.kind != "instance":
            yield
            return
        key = (limit.name, actor.agent_id)
        if self._under_way[key] >= limit.most:
            raise _too_fast(actor, f"{limit.unit} at once", limit)
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]


def _too_fast(actor: Actor, what: str, limit: Limit) -> Unavailable:
    facts: dict[str, Any] = {"limit": limit.name, "most": limit.most, "unit": limit.unit}
    return Unavailable(f"too many {what} from {actor.agent_id}", limit.frees, code="rate", **facts)
