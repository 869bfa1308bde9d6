"""An `EventLog` that keeps events in memory only, for tests of code that uses one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from aegis_tui.domain.event import Event
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.ports.event_log import LoggedReply, RequestKey


class MemoryLog:
    """An `EventLog` in memory; closing and opening it again keeps everything."""

    def __init__(self) -> None:
        self.written: list[Event] = []
        """Every event that was appended, in order."""
        self._replies: dict[RequestKey, AnyReply] = {}
        self._snapshots: list[tuple[int, dict[str, Any]]] = []
        self.first_seq = 1

    @property
    def last_seq(self) -> int:
        """The number of the newest event; `first_seq` - 1 if there is none."""
        return self.first_seq - 1 + len(self.written)

    async def open(self) -> None:
        """Do nothing; the log can be used at once."""

    async def close(self) -> None:
        """Do nothing; everything is kept."""

    async def append(self, events: Sequence[Event], replies: Sequence[LoggedReply]) -> None:
        """Append events and keep replies, of which the first for a request stays; the numbers are not checked."""
        self.written += events
        for item in replies:
            self._replies.setdefault(item.key, item.reply)

    async def read(self, after: int, limit: int, *, most_bytes: int | None = None) -> list[Event]:
        """Return at most `limit` events with numbers above `after`, in order; `most_bytes` is ignored."""
        start = max(0, after - self.first_seq + 1)
        return self.written[start : start + limit]

    async def find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, AnyReply]:
        """Return the kept replies to those requests that have one, by request; the others are left out."""
        return {key: self._replies[key] for key in keys if key in self._replies}

    async def save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        """Keep a copy of the state after event `seq`; no event and no earlier snapshot is deleted."""
        self._snapshots.insert(0, (seq, deepcopy(state)))

    async def load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """Return copies of the kept snapshots with their `seq`, the one that was saved last first; may be empty."""
        return deepcopy(self._snapshots)
