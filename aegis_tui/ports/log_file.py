"""A workspace's log as a file that no process has open: whether it is sound, and what can be saved of it (HUB-5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aegis_tui.ports.event_log import EventLog

BeginAnew = Callable[[int], dict[str, Any]]
"""The state of a workspace of which nothing is known, as a snapshot after the event of that number."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be saved of a damaged log.

    Attributes:
        kept: How many events could be kept; 0 for a log that begins anew.
        lost: First and last number of what was, or may have been, acknowledged after them, or None.
        forgotten: How many older events were let go, whose effect the snapshot holds.
        put_aside: Where the damaged file is now, its write-ahead log beside it; None when there was none.
        are_answers_whole: Every answer kept for retries could be read; otherwise a request sent again may be carried
            out again.
        is_certain: The mark said what was acknowledged; otherwise numbers were passed over to be safe.
    """

    kept: int
    lost: tuple[int, int] | None
    forgotten: int
    put_aside: Path | None
    are_answers_whole: bool
    is_certain: bool


class LogFile(Protocol):
    """The file of one workspace's log."""

    def exists(self) -> bool:
        """Whether there is a file at its place, sound or not; a workspace in which nothing was logged has none."""
        ...

    def make_log(self) -> EventLog:
        """The log that this file holds; the caller opens it, and closes it again."""
        ...

    def find_damage(self) -> str | None:
        """What is wrong with it, in words; None when all of it is sound. Reads all of it, changes nothing.

        Raises:
            StoreError: A newer program wrote it.
        """
        ...

    async def salvage(self, timestamp: str, begin_anew: BeginAnew) -> Salvage:
        """Replace the log by what can be read of it; the damaged files stay beside it under another name.

        Args:
            timestamp: For the notes on what is lost, RFC 3339 UTC.
            begin_anew: As for `BeginAnew`.

        Raises:
            StoreError: The disk refuses; the log is as it was.
        """
        ...
