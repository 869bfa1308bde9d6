"""The event log in one SQLite file: one process, one thread, one connection.

SQLite before 3.51.3 can corrupt a write-ahead log that two connections write (https://sqlite.org/wal.html, "WAL
reset"), so this module never opens a second one. Every row carries a checksum; a row that fails it is never returned.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from aegis_tui.adapters.store.mark import AcknowledgedMark
from aegis_tui.domain.event import Event, event_from_wire, event_to_wire
from aegis_tui.errors import AegisError, StoreError
from aegis_tui.ports.event_log import LoggedReply, RequestKey

T = TypeVar("T")
EventRow = tuple[int, str, str, str, str, int]
ReplyRow = tuple[str, str, int, str, int]

FORMAT_VERSION = 1
"""`PRAGMA user_version` of the files this module writes."""

SNAPSHOTS_KEPT = 2
_ROWS_AT_ONCE = 64
REPLIES_KEPT_EVENTS = 100_000
"""Answers are forgotten once their event is this far back: clients retry for a minute, not for days."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_SCHEMA = """
CREATE TABLE IF NOT EXISTS event(
  seq INTEGER PRIMARY KEY, ts TEXT NOT NULL, type TEXT NOT NULL, agent_id TEXT NOT NULL,
  body TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS request(
  agent_id TEXT NOT NULL, request_id TEXT NOT NULL, seq INTEGER NOT NULL, reply TEXT NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY(agent_id, request_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS request_by_seq ON request(seq);
CREATE TABLE IF NOT EXISTS snapshot(seq INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL);
"""


class SqliteEventLog:
    """An `EventLog` in WAL mode with synchronous=FULL: what `append` returned from survives power loss."""

    def __init__(self, path: Path, *, kept_events: int = 1_000_000) -> None:
        """Name the file.

        Args:
            path: The log; its folder exists. `-wal`, `-shm` and `.mark` files appear beside it.
            kept_events: Events to keep at least when a snapshot lets older ones go.
        """
        self.path = path
        self._kept_events = kept_events
        self._mark = AcknowledgedMark(path.with_suffix(".mark"))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-log")
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._first_seq = 1
        self._last_seq = 0
        self._answered: dict[int, int] = {}
        """Hash of each request that has a logged answer -> `seq`, oldest first: most requests are new, and need no look
        at the disk to be known as such."""

    @property
    def first_seq(self) -> int:
        """The number of the oldest event that is still there; 1 until the log was compacted."""
        return self._first_seq

    @property
    def last_seq(self) -> int:
        """The number of the newest event on disk; 0 when there is none."""
        return self._last_seq

    async def open(self, *, first_seq: int = 1) -> None:
        """Open or create the file (0600), and check that nothing acknowledged is missing.

        Args:
            first_seq: The number of the first event that will be written, where the file holds none.
        """
        await self._run(lambda: self._open(first_seq))

    async def close(self) -> None:
        """Close the file; a second call does nothing."""
        if not self._is_closed:
            await self._run(self._close)
            self._is_closed = True
            self._thread.shutdown(wait=False)

    async def append(self, events: Sequence[Event], replies: Sequence[LoggedReply]) -> None:
        """Write events and answers in one transaction; they are on disk when this returns."""
        newest = events[-1].seq if events else self._last_seq
        event_rows = [_event_row(event) for event in events]
        reply_rows = [_reply_row(item, newest) for item in replies]
        await self._run(lambda: self._append(event_rows, reply_rows))
        self._answered.update((hash(item.key), newest) for item in replies)

    async def read(self, after: int, limit: int) -> list[Event]:
        """The events with the next higher numbers, at most `limit`, in order, each checked."""
        return await self._run(lambda: self._read(after, limit))

    async def find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, dict[str, Any]]:
        """The first answers of those requests that had one."""
        maybe = [key for key in keys if hash(key) in self._answered]
        return await self._run(lambda: self._find_replies(maybe)) if maybe else {}

    async def save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        """Keep the state after event `seq`; older snapshots and old answers go."""
        await self._run(lambda: self._save_snapshot(seq, state))

    async def load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """The intact snapshots with their `seq`, newest first."""
        return await self._run(self._load_snapshots)

    async def _run(self, job: Callable[[], T]) -> T:
        if self._is_closed:
            raise StoreError("the log is closed", "start the hub again")
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, job))

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the log is not open", "start the hub again")
        return self._connection

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._store_error(doing, error) from error

    def _store_error(self, doing: str, error: Exception) -> StoreError:
        text = str(error)
        if any(word in text for word in ("full", "disk I/O", "No space", "too large", "readonly")):
            return StoreError(f"cannot {doing} {self.path}: {text}", f"free space on the disk of {self.path.parent}")
        return StoreError(f"cannot {doing} {self.path}: {text}", self._way_out())

    def _way_out(self) -> str:
        return (
            f"`aegis-tui hub repair` keeps what can be read; or restore {self.path} from a backup, or move it and "
            f"{self._mark.path.name} away to start with an empty log"
        )

    def _open(self, first_seq: int) -> None:
        with self._mapped("open"):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256
            )
        self._connection = connection
        try:
            with self._mapped("open"):
                self._prepare(connection)
                self._check_against_mark(self._mark.open())
            if self._last_seq == 0:
                self._first_seq, self._last_seq = first_seq, first_seq - 1
        except AegisError:
            self._close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT_VERSION:
            raise StoreError(f"{self.path} was written by a newer aegis-tui", "update aegis-tui")
        connection.text_factory = _decode
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        oldest, newest = connection.execute(
            "SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)"
        ).fetchone()
        self._first_seq, self._last_seq = int(oldest or 1), int(newest or 0)
        answered = connection.execute("SELECT agent_id, request_id, seq FROM request ORDER BY seq")
        self._answered = {hash((agent_id, request_id)): seq for agent_id, request_id, seq in answered}

    def _check_against_mark(self, marked: int) -> None:
        if self._last_seq < marked:
            raise StoreError(
                f"{self.path} ends at event {self._last_seq}, but event {marked} was acknowledged",
                f"{self._way_out()}; to go on without those events remove {self._mark.path}",
            )
        self._mark.write(self._last_seq)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._mark.close()

    def _append(self, events: list[EventRow], replies: list[ReplyRow]) -> None:
        if events and events[0][0] != self._last_seq + 1:
            raise StoreError(f"event {events[0][0]} does not follow event {self._last_seq}", "start the hub again")
        newest = events[-1][0] if events else self._last_seq
        with self._transaction("write"):
            self._insert("INSERT INTO event VALUES", events)
            self._insert("INSERT OR REPLACE INTO request VALUES", replies)
        self._last_seq = newest
        with self._mapped("write"):
            self._mark.write(newest)

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Many rows by few statements: after each one this thread waits for its turn with the hub's own."""
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            marks = f"({','.join('?' * len(some[0]))})"
            self._db.execute(f"{statement} {','.join([marks] * len(some))}", list(chain.from_iterable(some)))

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._mapped(doing):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _read(self, after: int, limit: int) -> list[Event]:
        after = max(after, self._first_seq - 1)
        with self._mapped("read"):
            rows = self._db.execute(
                "SELECT seq, ts, type, agent_id, body, crc FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        if limit and not rows and after < self._last_seq:
            raise self._damaged(after + 1, "is missing")
        return [self._event(row, after + 1 + index) for index, row in enumerate(rows)]

    def _event(self, row: tuple[Any, ...], expected_seq: int) -> Event:
        if row[0] != expected_seq:
            raise self._damaged(expected_seq, "is missing")
        try:
            if row[5] != _crc(*row[:5]):
                raise self._damaged(expected_seq, "fails its checksum")
            return event_from_wire(json.loads(row[4]))
        except (TypeError, ValueError) as error:
            raise self._damaged(expected_seq, f"cannot be read ({type(error).__name__})") from error

    def _damaged(self, seq: int, what: str) -> StoreError:
        return StoreError(f"event {seq} of {self.path} {what}", self._way_out(), seq=seq)

    def _find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, dict[str, Any]]:
        found: dict[RequestKey, dict[str, Any]] = {}
        with self._mapped("read"):
            for key in keys:
                row = self._db.execute(
                    "SELECT seq, reply, crc FROM request WHERE agent_id=? AND request_id=?", key
                ).fetchone()
                if row is not None:
                    found[key] = self._reply(key, row)
        return found

    def _reply(self, key: RequestKey, row: tuple[Any, ...]) -> dict[str, Any]:
        if row[2] != _crc(*key, row[0], row[1]):
            raise StoreError(f"the answer to request {key[1]} in {self.path} fails its checksum", self._way_out())
        reply: dict[str, Any] = json.loads(row[1])
        return reply

    def _save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        body = zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 1)
        with self._transaction("write a snapshot to"):
            self._db.execute("INSERT OR REPLACE INTO snapshot VALUES(?,?,?)", (seq, body, zlib.crc32(body, seq)))
            self._db.execute(
                "DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT ?)",
                (SNAPSHOTS_KEPT,),
            )
            self._db.execute("DELETE FROM request WHERE seq < ?", (seq - REPLIES_KEPT_EVENTS,))
            oldest_snapshot = self._db.execute("SELECT min(seq) FROM snapshot").fetchone()[0]
            first_kept = max(self._first_seq, min(oldest_snapshot, self._last_seq - self._kept_events) + 1)
            self._db.execute("DELETE FROM event WHERE seq < ?", (first_kept,))
        self._first_seq = first_kept
        self._forget_answers(seq - REPLIES_KEPT_EVENTS)
        with self._mapped("compact"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _forget_answers(self, before_seq: int) -> None:
        while self._answered:
            oldest = next(iter(self._answered))
            if self._answered[oldest] >= before_seq:
                return
            del self._answered[oldest]

    def _load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        with self._mapped("read"):
            rows = self._db.execute("SELECT seq, body, crc FROM snapshot ORDER BY seq DESC").fetchall()
        intact: list[tuple[int, dict[str, Any]]] = []
        for seq, body, crc in rows:
            if seq <= self._last_seq and isinstance(body, bytes) and crc == zlib.crc32(body, seq):
                intact.append((int(seq), json.loads(zlib.decompress(body))))
        return intact


def checked_event(row: tuple[Any, ...] | None) -> Event | None:
    """The event of a row of the table, or None when it is missing or damaged."""
    try:
        if row is None or row[5] != _crc(*row[:5]):
            return None
        return event_from_wire(json.loads(row[4]))
    except (TypeError, ValueError):
        return None


def _decode(raw: bytes) -> str:
    """Damaged text must reach the checksum, not end as an error that names no event."""
    return raw.decode("utf-8", "surrogateescape")


def _event_row(event: Event) -> EventRow:
    body = _encode(event_to_wire(event))
    return (
        event.seq,
        event.timestamp,
        event.type,
        event.agent_id,
        body,
        _crc(event.seq, event.timestamp, event.type, event.agent_id, body),
    )


def _reply_row(item: LoggedReply, seq: int) -> ReplyRow:
    text = _encode(item.reply)
    return *item.key, seq, text, _crc(*item.key, seq, text)


def _crc(*parts: object) -> int:
    return zlib.crc32("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"))
