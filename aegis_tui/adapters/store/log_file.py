"""The SQLite file of a log that no process has open."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.store.inspection import find_damage
from aegis_tui.adapters.store.salvage import salvage
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.ports.event_log import EventLog
from aegis_tui.ports.log_file import BeginAnew, Salvage


class SqliteLogFile:
    """As `aegis_tui.ports.log_file.LogFile`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Whether there is a file at its place, sound or not; a workspace in which nothing was logged has none."""
        return self._path.exists()

    def make_log(self) -> EventLog:
        """The log that this file holds; the caller opens it, and closes it again."""
        return SqliteEventLog(self._path)

    def find_damage(self) -> str | None:
        """What is wrong with it, in words; None when all of it is sound."""
        return find_damage(self._path)

    async def salvage(self, timestamp: str, begin_anew: BeginAnew) -> Salvage:
        """Replace it by what can be read of it."""
        return await salvage(self._path, timestamp, begin_anew)
