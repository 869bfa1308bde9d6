"""Pauses between tries that grow, so that what is in trouble is asked less and less often."""

from __future__ import annotations

import random

_MOST_DOUBLINGS = 30


def grown_pause_s(failures: int, first_s: float, longest_s: float, *, is_varied: bool = True) -> float:
    """The pause before the next try, in seconds: twice as long after each failure, up to a limit.

    Args:
        failures: How many tries failed before the last one; 0 gives the first pause.
        first_s: The first pause.
        longest_s: No pause is longer.
        is_varied: Take off up to half of it by chance, so that clients that failed together do not return together.
    """
    pause_s: float = min(first_s * 2 ** min(failures, _MOST_DOUBLINGS), longest_s)
    return pause_s * random.uniform(0.5, 1.0) if is_varied else pause_s


class Backoff:
    """The pauses of one series of tries; the arguments are those of `grown_pause_s`."""

    def __init__(self, first_s: float, longest_s: float, *, is_varied: bool = True) -> None:
        self._first_s, self._longest_s, self._is_varied = first_s, longest_s, is_varied
        self._failures = 0

    def next_s(self) -> float:
        """The pause before the next try, in seconds."""
        pause_s = grown_pause_s(self._failures, self._first_s, self._longest_s, is_varied=self._is_varied)
        self._failures += 1
        return pause_s

    def reset(self) -> None:
        """Begin with the first pause again, after a try that succeeded."""
        self._failures = 0
