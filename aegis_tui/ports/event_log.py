"""The durable log of a workspace: every state change, before it is acknowledged (HUB-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aegis_tui.domain.event import Event

RequestKey = tuple[str, str]
"""Who asked, and the id they chose for the request."""


@dataclass(frozen=True, slots=True)
class LoggedReply:
    """The first answer to a request, kept so that a retry gets it again."""

    key: RequestKey
    reply: dict[str, Any]


class EventLog(Protocol):
    """Append-only, gap-free, owned by one process. Never serves a damaged byte.

    Every method raises `StoreError` when the log cannot be read or written, and says what to do.
    """

    async def open(self) -> None:
        """Open or create the log, and check that nothing acknowledged is missing."""
        ...

    async def close(self) -> None:
        """Let go of the log; a second call does nothing."""
        ...

    @property
    def first_seq(self) -> int:
        """The number of the oldest event that is still there; 1 until the log was compacted."""
        ...

    @property
    def last_seq(self) -> int:
        """The number of the newest event on disk; 0 when there is none."""
        ...

    async def append(self, events: Sequence[Event], replies: Sequence[LoggedReply]) -> None:
        """Write all of it durably, or none of it.

        Args:
            events: Numbered from `last_seq` + 1, without a gap.
            replies: Answers to the requests that these events settle.
        """
        ...

    async def read(self, after: int, limit: int, *, most_bytes: int | None = None) -> list[Event]:
        """The next events after number `after`, at most `limit`, in order; never older than `first_seq`.

        With `most_bytes`, the page ends before the event that would take it over that; it has one event at least.
        """
        ...

    async def find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, dict[str, Any]]:
        """The first answers of those requests that had one."""
        ...

    async def save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        """Keep the whole state after event `seq`, and let go of what older snapshots were needed for."""
        ...

    async def load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """The intact snapshots with their `seq`, newest first."""
        ...
