"""A workspace's log as a file that no process has open: find damage in it, and save what can be read (HUB-5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aegis_tui.ports.event_log import EventLog

BeginAnew = Callable[[int], dict[str, Any]]
"""Returns the state of an empty workspace, as a snapshot after the event of the given number."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be saved of a damaged log.

    Attributes:
        kept: How many events were kept; 0 for a log that starts again empty.
        lost: First and last number of the events after those that were, or may have been, acknowledged and are lost;
            None when none are.
        forgotten: How many older events were dropped because the snapshot holds their effect.
        put_aside: Where the damaged file is now, with its write-ahead log beside it; None when there was no file.
        are_answers_whole: Whether every reply kept for retries could be read; if not, a request that is sent again may
            be carried out twice.
        is_certain: Whether the mark file told which events were acknowledged; if not, numbers were skipped to be safe.
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
        """Return whether the file exists, damaged or not; it is created when a hub first starts."""
        ...

    def make_log(self) -> EventLog:
        """Return the log in this file, not yet opened; the caller opens and closes it."""
        ...

    def find_damage(self) -> str | None:
        """Return the damage in the file, in words; None when there is none. Reads the whole file and changes nothing.

        A missing file is damage only if events were acknowledged.

        Raises:
            StoreError: A newer version of the program wrote the file, or the path is not a regular file.
            OSError: The file may not be read.
        """
        ...

    async def salvage(self, timestamp: str, begin_anew: BeginAnew) -> Salvage:
        """Replace the log by what can be read of it, and keep the damaged files beside it under another name.

        No process may have the log open. Numbers of events that cannot be read are used up by filler events.

        Args:
            timestamp: The time to put in the filler events, RFC 3339 UTC.
            begin_anew: Takes the number of the first event of the new log, and returns the state to start from; called
                only when no event can be kept.

        Returns:
            What was kept and what is lost.

        Raises:
            StoreError: A file cannot be read or written. The log is unchanged then: files that were renamed have their
                former names again, unless the system refuses that too.
        """
        ...
