"""The durable log of a workspace: every state change is written to it before it is acknowledged (HUB-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aegis_tui.domain.event import Event
from aegis_tui.domain.wire.reply import AnyReply

RequestKey = tuple[str, str]
"""The agent id of the sender, and the id that it chose for the request."""


@dataclass(frozen=True, slots=True)
class LoggedReply:
    """The first reply to a request, kept so that a retry gets the same reply."""

    key: RequestKey
    reply: AnyReply


class EventLog(Protocol):
    """An append-only log without gaps, owned by one process. It never returns damaged content.

    Every method raises `StoreError`, whose hint says what to do, when the log cannot be read or written.
    """

    async def open(self) -> None:
        """Open or create the log, and check that no acknowledged event is missing.

        Raises:
            StoreError: It is damaged, an acknowledged event is missing, or it cannot be opened.
        """
        ...

    async def close(self) -> None:
        """Close the log; a second call does nothing."""
        ...

    @property
    def first_seq(self) -> int:
        """The number of the oldest event that the log still holds; 1 until the log is first compacted."""
        ...

    @property
    def last_seq(self) -> int:
        """The number of the newest event on disk; 0 when there is none."""
        ...

    async def append(self, events: Sequence[Event], replies: Sequence[LoggedReply]) -> None:
        """Write all events and replies durably, or none of them: they are on disk when this returns.

        Args:
            events: Numbered from `last_seq` + 1, without a gap; may be empty.
            replies: Replies to the requests that these events answer.

        Raises:
            StoreError: They cannot be written (`DiskFull` if the disk is full), or the first event has another number.
        """
        ...

    async def read(self, after: int, limit: int, *, most_bytes: int | None = None) -> list[Event]:
        """Return at most `limit` events with numbers above `after`, in order; empty when there are none.

        The result begins at `first_seq` if `after` is lower. With `most_bytes`, the list ends before the event that
        would exceed that size, but holds at least one event if there is one.

        Raises:
            StoreError: An event is missing or damaged, or the log cannot be read.
        """
        ...

    async def find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, AnyReply]:
        """Return the first reply to each of these requests; requests without a reply are left out.

        Raises:
            StoreError: A reply is damaged, or the log cannot be read.
        """
        ...

    async def save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        """Save the whole state after event `seq`; delete what is no longer needed.

        Kept are the two newest snapshots, the events after the older of them, and the replies of about the newest
        30,000 events. The log may keep more events, up to a number set when it is made.

        Raises:
            StoreError: It cannot be written.
        """
        ...

    async def load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the undamaged snapshots as (seq, state), newest first; empty if there are none.

        A snapshot that is newer than the last event is left out.

        Raises:
            StoreError: The log is not open, or cannot be read.
        """
        ...
