"""The keys that changed, for one follower inside the hub. Delivery: latest-wins, bursts are merged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aegis_tui.domain.model import Key


class Changes:
    """The changed keys that one follower has not taken yet."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()
        self._wake = asyncio.Event()

    def note(self, keys: Iterable[Key]) -> None:
        """Add changed keys for the next `take`, and wake a waiting one, also for no keys; never blocks."""
        self._keys.update(keys)
        self._wake.set()

    async def take(self) -> frozenset[Key]:
        """Return all keys noted since the last call, perhaps none; if `note` was not called since, wait until it is."""
        await self._wake.wait()
        self._wake.clear()
        keys = frozenset(self._keys)
        self._keys.clear()
        return keys
