"""How many commands one instance may send: enough for any agent, too few to keep the others out (HUB-9)."""

from __future__ import annotations

import time
from collections.abc import Callable

PER_S = 5_000.0
BURST = 10_000.0


_MOST_SENDERS = 1_000


class RateLimit:
    """A bucket for each sender: `BURST` at once, then `PER_S` a second."""

    def __init__(
        self, *, per_s: float = PER_S, burst: float = BURST, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Fill the buckets.

        Args:
            per_s: Commands that come back each second.
            burst: The most that may be saved up.
            now: A clock in seconds that never goes back.
        """
        self._per_s = per_s
        self._burst = burst
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, sender: str) -> bool:
        """Whether one more command of the sender may be decided now."""
        now = self._now()
        left, seen_at = self._left.get(sender, (self._burst, now))
        left = min(self._burst, left + (now - seen_at) * self._per_s)
        if len(self._left) > _MOST_SENDERS:
            self._forget_full(now)
        is_allowed = left >= 1
        self._left[sender] = (left - 1 if is_allowed else left, now)
        return is_allowed

    def _forget_full(self, now: float) -> None:
        """A bucket that is full again says no more than one that was never used."""
        full_after_s = self._burst / self._per_s
        self._left = {name: kept for name, kept in self._left.items() if now - kept[1] < full_after_s}
