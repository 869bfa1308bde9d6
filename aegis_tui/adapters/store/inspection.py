"""Checks a log before it is opened for writing, and completely on request. Opens it read-only.

Opening a damaged write-ahead log for writing would destroy what follows the damage: SQLite overwrites or deletes it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from aegis_tui.adapters.store.mark import AcknowledgedMark
from aegis_tui.adapters.store.row import FORMAT_VERSION, checked_event, decode, is_sound_reply, unpack_snapshot
from aegis_tui.errors import StoreError

WAY_OUT = (
    "`aegis-tui hub repair` keeps what can be read; if nothing can be read, it begins a new log. Or restore the "
    "log from a backup"
)


@contextlib.contextmanager
def open_unchanged(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a read-only connection to a log; neither the log nor its write-ahead log is changed or created.

    SQLite may create a missing `-shm` beside a write-ahead log. The connection is closed at the end.

    Raises:
        sqlite3.Error: The log is missing or cannot be opened.
    """
    ahead = Path(f"{path}-wal")
    options = "mode=ro" if ahead.exists() and ahead.stat().st_size else "mode=ro&immutable=1"
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    with contextlib.closing(sqlite3.connect(f"file:{quoted}?{options}", uri=True, timeout=5.0)) as connection:
        connection.text_factory = decode
        yield connection


def check_unopened(path: Path) -> int:
    """Check that a log may be opened for writing; return the number of its newest acknowledged event, 0 for a new log.

    Raises:
        StoreError: An acknowledged event is or may be missing, a newer program wrote the log, or it is not a file.
        sqlite3.Error: The log cannot be read.
        OSError: The file with the mark cannot be read.
    """
    mark = AcknowledgedMark(path.with_suffix(".mark"))
    marked, newest = mark.read(), _newest(path)
    if marked is None and Path(f"{path}-wal").exists():
        raise StoreError(f"{mark.path} is missing or damaged: events after event {newest} may be lost", WAY_OUT)
    if marked is not None and newest < marked:
        raise StoreError(f"{path} ends at event {newest}, but event {marked} was acknowledged", WAY_OUT)
    return marked or newest


def find_damage(path: Path) -> str | None:
    """Return the damage of a log, in words; None if every page and every row is intact. Changes nothing. Blocking.

    A missing log is damage only if the file with the mark says that events were acknowledged. A log that cannot be
    opened counts as damaged, and so does one of our format with an event of a newer program.

    Raises:
        StoreError: A newer program wrote it, in a newer format, or it is not a file.
        OSError: It, or the file with the mark, may not be read.
    """
    try:
        check_unopened(path)
        if not _has_content(path):
            return None
        with open_unchanged(path) as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
            return _damaged_row(connection) if problems == ["ok"] else "; ".join(problems)
    except NotOurs:
        raise
    except (sqlite3.Error, StoreError) as error:
        return str(error)


class NotOurs(StoreError):
    """A newer program wrote the log, or it is not a file: it is not damaged, and we must not change it."""


def _has_content(path: Path) -> bool:
    if path.exists() and not path.is_file():
        raise NotOurs(f"{path} is not a file", "move it away; the next start begins a new log")
    return path.exists() and path.stat().st_size > 0


def _newest(path: Path) -> int:
    if not _has_content(path):
        return 0
    with open_unchanged(path) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] > FORMAT_VERSION:
            raise NotOurs(f"{path} was written by a newer aegis-tui", "update aegis-tui")
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'event'").fetchone()[0]:
            return 0
        return int(connection.execute("SELECT max(seq) FROM event").fetchone()[0] or 0)


def _damaged_row(connection: sqlite3.Connection) -> str | None:
    expected = None
    for row in connection.execute("SELECT seq, ts, type, agent_id, body, crc FROM event ORDER BY seq"):
        if expected not in (None, row[0]):
            return f"event {expected} is missing"
        if checked_event(row) is None:
            return f"event {row[0]} is damaged"
        expected = row[0] + 1
    for row in connection.execute("SELECT agent_id, request_id, seq, reply, crc FROM request"):
        if not is_sound_reply(row):
            return "the answer to a request is damaged"
    for row in connection.execute("SELECT seq, body, crc FROM snapshot"):
        if unpack_snapshot(row) is None:
            return f"the snapshot after event {row[0]} is damaged"
    return None
