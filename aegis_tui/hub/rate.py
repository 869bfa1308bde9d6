"""How much one instance may send: enough for any agent, too little to keep the others out (HUB-9)."""

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
    """A bucket for each sender: `burst` at once, then `per_s` a second."""

    def __init__(
        self,
        *,
        per_s: float = COMMAND_RATE.most,
        burst: float = COMMAND_BURST.most,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fill the buckets.

        Args:
            per_s: What comes back each second.
            burst: The most that may be saved up.
            now: A clock in seconds that never goes back.
        """
        self._per_s = per_s
        self._burst = burst
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, sender: str, amount: float = 1) -> bool:
        """Whether so much more of the sender may be taken now; if not, its bucket stays as it is."""
        now = self._now()
        left, seen_at = self._left.get(sender, (self._burst, now))
        left = min(self._burst, left + (now - seen_at) * self._per_s)
        if len(self._left) > _MOST_SENDERS:
            self._forget_full(now)
        is_allowed = left >= amount
        self._left[sender] = (left - amount if is_allowed else left, now)
        return is_allowed

    def _forget_full(self, now: float) -> None:
        """A bucket that is full again says no more than one that was never used."""
        full_after_s = self._burst / self._per_s
        self._left = {name: kept for name, kept in self._left.items() if now - kept[1] < full_after_s}


class Door:
    """What an instance may send through all doors together: commands, bytes, and requests under way.

    A person and the hub are not counted.
    """

    def __init__(self, *, commands: RateLimit | None = None, sizes: RateLimit | None = None) -> None:
        """Open it; the buckets are replaced in tests only."""
        self._commands = commands or RateLimit()
        self._sizes = sizes or RateLimit(per_s=BYTE_RATE.most, burst=BYTE_BURST.most)
        self._under_way: Counter[tuple[str, str]] = Counter()

    def take(self, actor: Actor, size: int) -> None:
        """Count one command.

        Args:
            actor: Who sends it.
            size: The bytes of the request.

        Raises:
            Unavailable: Code `rate`: too many commands or bytes in too short a time; waiting helps.
        """
        if actor.kind != "instance":
            return
        if not self._commands.take(actor.agent_id):
            raise _too_fast(actor, "commands", COMMAND_RATE)
        if not self._sizes.take(actor.agent_id, size):
            raise _too_fast(actor, "bytes", BYTE_RATE)

    @contextmanager
    def under_way(self, actor: Actor, limit: Limit = IN_FLIGHT) -> Iterator[None]:
        """Hold one of the actor's places, for HTTP requests or for connections, while it is needed.

        Raises:
            Unavailable: Code `rate`: all of its places are taken.
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
    return Unavailable(f"{actor.agent_id} has or sends too many {what}", limit.frees, code="rate", **facts)
