"""Notices that this process did not run for a while: the machine was overloaded, slept, or the process was stopped."""

from __future__ import annotations

import logging

from aegis_tui.ports.clock import Clock

STALL_S = 1.0
"""A timer that is later than this means that the hub itself stalled: in that time, nobody could renew anything."""
SLEEP_S, GRACE_S = 10.0, 30.0
"""After a stall of more than `SLEEP_S` seconds, as when the machine slept, agents get `GRACE_S` more (PANE-9)."""

_log = logging.getLogger(__name__)


class StallMeter:
    """Compares when a timer was to fire with when this process next looked at the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected_at: float | None = None

    def expect(self, at: float) -> None:
        """Set when this process wants to look at the clock again at the latest, in seconds of the hub's clock.

        `lost_s` counts what it is later than that as a stall.
        """
        self._expected_at = at

    def lost_s(self) -> float:
        """Return by how many seconds deadlines are to be extended because of a stall; each stall is returned once.

        0 if there was none, which includes one of at most `STALL_S` seconds and any time before the first `expect`.
        """
        now = self._clock.now()
        late_s = 0.0 if self._expected_at is None else now - self._expected_at
        if late_s <= STALL_S:
            return 0.0
        self._expected_at = now
        _log.warning("the hub stalled", extra={"duration_s": round(late_s, 3)})
        return late_s + (GRACE_S if late_s > SLEEP_S else 0.0)
