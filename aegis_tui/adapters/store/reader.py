"""Reads a workspace's log without changing it, whether or not a hub is writing it.

Only the hub's own connection writes (`sqlite_log.py`). This one is read-only: it does not move the write-ahead log.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from aegis_tui.adapters.store.inspection import WAY_OUT
from aegis_tui.adapters.store.row import checksum, decode, unpack_snapshot
from aegis_tui.domain.event import Event, event_from_wire
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StoreError, UsageError

_BUSY_S = 5.0


class LogReader:
    """The events of a log file.

    Args:
        path: The log.

    Raises:
        UsageError: The file does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise UsageError("nothing was ever logged for this repository", "start a run: aegis-tui run GOAL")
        self._path = path

    def events(self, types: Sequence[str] = (), *, after: int = 0) -> list[Event]:
        """Return the logged events after number `after`, of the given types or of all, in order, each checked.

        Empty if there are none. That an event is missing between two others is not noticed.

        Raises:
            StoreError: An event is damaged or was written by a newer program, or the log cannot be read.
        """
        marks = ",".join("?" * len(types))
        chosen = f" AND type IN ({marks})" if types else ""
        query = f"SELECT seq, ts, type, agent_id, body, crc FROM event WHERE seq > ?{chosen} ORDER BY seq"
        try:
            with closing(self._open()) as connection:
                return [self._event(row) for row in connection.execute(query, (after, *types))]
        except sqlite3.Error as error:
            raise StoreError(f"cannot read {self._path}: {error}", WAY_OUT) from error

    def workspace(self) -> Workspace:
        """Return the state after the last logged event: the newest intact snapshot plus the later events.

        An empty workspace if nothing is logged.

        Raises:
            StoreError: An event is damaged or was written by a newer program, or the log cannot be read.
        """
        workspace = next(self._snapshots(), None) or Workspace()
        for event in self.events(after=workspace.seq):
            workspace.evolve(event)
        return workspace

    def _snapshots(self) -> Iterator[Workspace]:
        try:
            with closing(self._open()) as connection:
                rows = connection.execute("SELECT seq, body, crc FROM snapshot ORDER BY seq DESC").fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read {self._path}: {error}", WAY_OUT) from error
        for row in rows:
            if (unpacked := unpack_snapshot(row)) is not None:
                yield Workspace.load(unpacked[1])

    def _open(self) -> sqlite3.Connection:
        """Open a read-only connection, which the caller closes; log and write-ahead log are not changed.

        SQLite may create a missing `-shm` beside a write-ahead log.

        Raises:
            sqlite3.Error: The file cannot be opened; a file that is no database is noticed only by the first query.
        """
        is_alone = not self._path.with_name(f"{self._path.name}-wal").exists()
        mode = "mode=ro&immutable=1" if is_alone else "mode=ro"
        connection = sqlite3.connect(f"file:{quote(str(self._path))}?{mode}", uri=True, timeout=_BUSY_S)
        connection.text_factory = decode
        return connection

    def _event(self, row: tuple[object, ...]) -> Event:
        try:
            if row[5] != checksum(*row[:5]):
                raise StoreError(f"event {row[0]} of {self._path} fails its checksum", WAY_OUT)
            return event_from_wire(json.loads(str(row[4])))
        except (TypeError, ValueError) as error:
            raise StoreError(f"event {row[0]} of {self._path} cannot be read", WAY_OUT) from error
