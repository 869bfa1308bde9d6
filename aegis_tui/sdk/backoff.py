"""Growing pauses between attempts, so that a failing service is asked less and less often."""

from __future__ import annotations

import random

_MOST_DOUBLINGS = 30


def grown_pause_s(failures: int, first_s: float, longest_s: float, *, is_varied: bool = True) -> float:
    """Return the pause before the next attempt, in seconds: it doubles after each failure, up to a limit.

    Args:
        failures: How many attempts failed before the last one; 0 gives the first pause.
        first_s: The first pause, in seconds.
        longest_s: The longest pause, in seconds.
        is_varied: Shorten it by a random share of up to one half, so that clients that failed together do not retry
            together.
    """
    pause_s: float = min(first_s * 2 ** min(failures, _MOST_DOUBLINGS), longest_s)
    return pause_s * random.uniform(0.5, 1.0) if is_varied else pause_s


class Backoff:
    """The pauses of one series of attempts; for the arguments see `grown_pause_s`."""

    def __init__(self, first_s: float, longest_s: float, *, is_varied: bool = True) -> None:
        self._first_s, self._longest_s, self._is_varied = first_s, longest_s, is_varied
        self._failures = 0

    def next_s(self) -> float:
        """Return the pause before the next attempt, in seconds, and count one more failure."""
        pause_s = grown_pause_s(self._failures, self._first_s, self._longest_s, is_varied=self._is_varied)
        self._failures += 1
        return pause_s

    def reset(self) -> None:
        """Start again with the first pause; call it after an attempt that succeeded."""
        self._failures = 0
