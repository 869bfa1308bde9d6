"""How much one caller may have under way at once, so that no agent takes the gateway from the others (SEC-3)."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from aegis_tui.gateway.request import Rejected

MOST_CALLS = 256
MOST_BYTES = 128 * 1024 * 1024
"""Of the bodies of those calls, which are kept until each has its answer."""


@dataclass
class Share:
    """What one call takes of its caller's share."""

    caller: str
    held: Counter[str]
    size_bytes: int = 0

    def take(self, size_bytes: int) -> None:
        """Note that more of the body has come.

        Raises:
            Rejected: 429: the calls of this caller hold more than they may.
        """
        self.size_bytes += size_bytes
        self.held[self.caller] += size_bytes
        if self.held[self.caller] > MOST_BYTES:
            raise Rejected(429, "limit", f"calls of {MOST_BYTES} bytes are under way", "wait for an answer")


class Shares:
    """Counts what is under way, by caller.

    Args:
        most_calls: How many calls one caller may have under way.
    """

    def __init__(self, most_calls: int = MOST_CALLS) -> None:
        self._most = most_calls
        self._calls: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, caller: str) -> Iterator[Share]:
        """One call, from before its body is read to its end.

        Raises:
            Rejected: 429: too many are under way.
        """
        if self._calls[caller] >= self._most:
            raise Rejected(429, "limit", f"{self._most} calls are under way", "wait for an answer")
        share = Share(caller, self._held)
        self._calls[caller] += 1
        try:
            yield share
        finally:
            self._calls[caller] -= 1
            self._held[caller] -= share.size_bytes
            if not self._calls[caller]:
                del self._calls[caller], self._held[caller]
