"""The SQLite file of a log while no process has it open."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.store.inspection import find_damage
from aegis_tui.adapters.store.salvage import salvage
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.ports.event_log import EventLog
from aegis_tui.ports.log_file import BeginAnew, Salvage


class SqliteLogFile:
    """The file of a workspace's log: opens it as a log, finds its damage, and saves what can be read of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Return whether the file exists, intact or not; it is created by the first start of a hub."""
        return self._path.exists()

    def make_log(self) -> EventLog:
        """Return the log in this file, not yet opened; the caller opens and closes it."""
        return SqliteEventLog(self._path)

    def find_damage(self) -> str | None:
        """Return its damage, in words; None if it is intact, or missing and nothing was ever acknowledged.

        Reads the whole file and changes nothing. A file that cannot be opened as a log counts as damaged.

        Raises:
            StoreError: A newer program wrote it, or it is not a file.
            OSError: It, or the file with the mark of the newest acknowledged event, may not be read.
        """
        return find_damage(self._path)

    async def salvage(self, timestamp: str, begin_anew: BeginAnew) -> Salvage:
        """Replace it by a new log with everything that can be read; return what was kept and lost; see `LogFile`.

        The damaged files are kept beside it under another name. No process may have the log open.

        Args:
            timestamp: For the events that take the place of lost ones, RFC 3339 UTC.
            begin_anew: Takes the number of the first event of a new log, and returns the state to start from; called
                only if no event can be kept.

        Raises:
            StoreError: A file cannot be read or written, or a newer program wrote an event. The log is unchanged then:
                files that were renamed have their former names again, unless the system refuses that too.
        """
        return await salvage(self._path, timestamp, begin_anew)
