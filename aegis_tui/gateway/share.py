"""Limits the running calls of each caller, so that no agent blocks the gateway for the others (SEC-3)."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from aegis_tui.gateway.rejected import Rejected

MOST_CALLS = 256
MOST_BYTES = 128 * 1024 * 1024
"""Limit of the bodies of one caller's running calls together, which stay in memory until the answer is complete."""


@dataclass
class Share:
    """One call's part of its caller's limits.

    Args:
        caller: The agent id or `PERSON`.
        held: Bytes of all running calls, by caller; shared by the calls.
        size_bytes: The bytes of this call.
    """

    caller: str
    held: Counter[str]
    size_bytes: int = 0

    def take(self, size_bytes: int) -> None:
        """Count `size_bytes` more of the call's body for its caller; they count until the block of `Shares.hold` ends.

        Raises:
            Rejected: The bodies of this caller's running calls are over 128 MiB together (429); they are counted even
                then.
        """
        self.size_bytes += size_bytes
        self.held[self.caller] += size_bytes
        if self.held[self.caller] > MOST_BYTES:
            raise Rejected(429, "limit", f"calls in progress exceed {MOST_BYTES} bytes together", "wait for an answer")


class Shares:
    """Counts the running calls and their bytes, per caller.

    Args:
        most_calls: How many calls one caller may have running at once.
    """

    def __init__(self, most_calls: int = MOST_CALLS) -> None:
        self._most = most_calls
        self._calls: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, caller: str) -> Iterator[Share]:
        """Count one call of a caller while the block runs, and yield its `Share`.

        The call's body has to be added to that, part by part. The block has to begin before the body is read; at its
        end the call and its bytes count no more.

        Raises:
            Rejected: The caller has too many running calls (429).
        """
        if self._calls[caller] >= self._most:
            raise Rejected(429, "limit", f"too many calls at once: {self._most} are in progress", "wait for an answer")
        share = Share(caller, self._held)
        self._calls[caller] += 1
        try:
            yield share
        finally:
            self._calls[caller] -= 1
            self._held[caller] -= share.size_bytes
            if not self._calls[caller]:
                del self._calls[caller], self._held[caller]
