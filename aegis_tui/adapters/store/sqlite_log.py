"""The event log in one SQLite file: one process, one thread, one connection.

SQLite before 3.51.3 can corrupt a write-ahead log that two connections write (https://sqlite.org/wal.html, "WAL
reset"), so this module never opens a second one. Every row has a checksum; a row with a wrong one is never returned.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from aegis_tui.adapters.store.answered import AnsweredIndex
from aegis_tui.adapters.store.inspection import WAY_OUT, check_unopened
from aegis_tui.adapters.store.mark import AcknowledgedMark
from aegis_tui.adapters.store.row import (
    FORMAT_VERSION,
    SCHEMA,
    EventRow,
    ReplyRow,
    checksum,
    decode,
    event_row,
    find_unsound,
    is_sound_reply,
    pack_snapshot,
    raw_key,
    reply_row,
    unpack_snapshot,
)
from aegis_tui.domain.event import Event, event_from_wire
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.errors import AegisError, DiskFull, StoreError
from aegis_tui.ports.event_log import LoggedReply, RequestKey

T = TypeVar("T")
_log = logging.getLogger(__name__)

SNAPSHOTS_KEPT = 2
_ROWS_AT_ONCE = 64
_READ_AT_ONCE = 1_000
REPLIES_KEPT_EVENTS = 30_000
"""An answer is deleted once its event is this far back: clients retry for a minute, not for days, and 50 busy
agents log some 400 events a second."""


class SqliteEventLog:
    """An `EventLog` in WAL mode with synchronous=FULL: once `append` has returned, the data survives a power loss.

    Every method raises `StoreError` if the log is not open, is damaged, or cannot be read or written.
    """

    def __init__(self, path: Path, *, kept_events: int = 1_000_000) -> None:
        """Store the path; `open` opens the file.

        Args:
            path: The log; its folder must exist. Files with `-wal`, `-shm` and `.mark` are created beside it.
            kept_events: How many events are kept at least when a snapshot allows deleting older ones.
        """
        self.path = path
        self._kept_events = kept_events
        self._mark = AcknowledgedMark(path.with_suffix(".mark"))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-log")
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._first_seq = 1
        self._last_seq = 0
        self._answered = AnsweredIndex()

    @property
    def first_seq(self) -> int:
        """The number of the oldest stored event, or without events of the first to be written; 1 before `open`."""
        return self._first_seq

    @property
    def last_seq(self) -> int:
        """The number of the newest event on disk; one less than `first_seq` if there is none."""
        return self._last_seq

    async def open(self, *, first_seq: int = 1) -> None:
        """Open or create the file (mode 0600), and check that no acknowledged event is missing.

        Args:
            first_seq: The number of the first event to be written, if the file holds none.

        Raises:
            StoreError: One is or may be missing, an answer is damaged, a newer program wrote the file, or it cannot be
                opened; nothing is open then.
        """
        await self._run(lambda: self._open(first_seq))

    async def close(self) -> None:
        """Close the file, for good: any other call then raises `StoreError`. A second call does nothing."""
        if not self._is_closed:
            await self._run(self._close)
            self._is_closed = True
            self._thread.shutdown(wait=False)

    async def append(self, events: Sequence[Event], replies: Sequence[LoggedReply]) -> None:
        """Write events and answers in one transaction; they are on disk when this returns.

        Args:
            events: Numbered from `last_seq` + 1, without a gap.
            replies: The answers to the requests that these events answer.

        Raises:
            StoreError: They cannot be written (`DiskFull` if the disk is full), or the first event has another number;
                nothing was written.
        """
        newest = events[-1].seq if events else self._last_seq
        event_rows = [event_row(event) for event in events]
        reply_rows = [reply_row(item, newest) for item in replies]
        await self._run(lambda: self._append(event_rows, reply_rows))

    async def read(self, after: int, limit: int, *, most_bytes: int | None = None) -> list[Event]:
        """Return at most `limit` events with numbers above `after`, in order; none is older than `first_seq`.

        With `most_bytes`, the list ends before the event whose JSON would exceed that size, but has at least one event.

        Raises:
            StoreError: An event is missing, damaged or of a newer program, or the log cannot be read.
        """
        return await self._run(lambda: self._read(after, limit, most_bytes))

    async def find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, AnyReply]:
        """Return the stored answers of those requests that have one, by request; the others are left out.

        Raises:
            StoreError: An answer is damaged, or the log cannot be read.
        """
        maybe = [key for key in keys if self._answered.find(raw_key(key)) is not None]
        return await self._run(lambda: self._find_replies(maybe)) if maybe else {}

    async def save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        """Store the whole state after event `seq`, and delete what is no longer needed.

        That is all snapshots but the newest two, answers of events more than 30,000 before `seq`, and events up to the
        older snapshot, except the newest `kept_events`.

        Raises:
            StoreError: It cannot be written; or only the write-ahead log cannot be moved into the file, and then it is
                stored.
        """
        await self._run(lambda: self._save_snapshot(seq, state))

    async def load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the intact snapshots with their `seq`, newest first; empty if there are none.

        Snapshots of a state after the newest event on disk are left out.

        Raises:
            StoreError: The log is not open, or cannot be read.
        """
        return await self._run(self._load_snapshots)

    async def restore_replies(self, rows: Sequence[ReplyRow]) -> None:
        """Insert answers of another log unchanged.

        Args:
            rows: Complete rows of its table `request`, with their checksums.

        Raises:
            StoreError: They cannot be written; or one is damaged, and then they are in the log nevertheless.
        """
        await self._run(lambda: self._restore_replies(rows))

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
            raise store_error(self.path, doing, error) from error

    def _open(self, first_seq: int) -> None:
        with self._mapped("open"):
            marked = check_unopened(self.path)
        try:
            with self._mapped("open"):
                self._mark.open(marked)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                self._connection = sqlite3.connect(
                    self.path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256
                )
                self._prepare(self._connection)
                self._mark.write(self._last_seq)
            if self._last_seq == 0:
                self._first_seq, self._last_seq = first_seq, first_seq - 1
        except AegisError:
            self._close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.text_factory = decode
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        oldest, newest = connection.execute(
            "SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)"
        ).fetchone()
        self._first_seq, self._last_seq = int(oldest or 1), int(newest or 0)
        self._answered = self._load_answered(connection)

    def _load_answered(self, connection: sqlite3.Connection) -> AnsweredIndex:
        """Return an index of the newest answers, each checked: with a damaged key, its request would be executed twice.

        They are most of the table; reading them without its index takes a third of the time.

        Raises:
            StoreError: An answer is damaged.
            sqlite3.Error: The log cannot be read.
        """
        index = AnsweredIndex()
        statement = "SELECT agent_id, request_id, seq, reply, crc FROM request NOT INDEXED WHERE seq >= ?"
        connection.text_factory = bytes
        try:
            rows = connection.execute(statement, (self._last_seq - REPLIES_KEPT_EVENTS,))
            while some := rows.fetchmany(_READ_AT_ONCE):
                if (unsound := find_unsound(some)) is not None:
                    raise self._damaged_answer(unsound[1])
                index.extend([((agent_id, request_id), seq) for agent_id, request_id, seq, _, _ in some])
        finally:
            connection.text_factory = decode
        return index

    def _damaged_answer(self, request_id: object) -> StoreError:
        text = decode(request_id) if isinstance(request_id, bytes) else str(request_id)
        name = text.encode("ascii", "backslashreplace").decode()
        return StoreError(f"the answer to request {name} in {self.path} fails its checksum", WAY_OUT)

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
        for row in replies:
            self._answered.add(raw_key(row[:2]), newest)
        try:
            self._mark.write(newest)
        except OSError as error:
            _log.warning(
                "the mark of the newest acknowledged event was not written",
                extra={"aegis_seq": newest, "aegis_error": str(error)},
            )

    def _restore_replies(self, rows: Sequence[ReplyRow]) -> None:
        with self._transaction("write"):
            self._insert("INSERT OR REPLACE INTO request VALUES", rows)
        self._answered = self._load_answered(self._db)

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert many rows with few statements: after each statement this thread waits for the hub's thread.

        Args:
            statement: An INSERT statement up to and including VALUES.
            rows: The rows, all of the same length; nothing happens if there are none.
        """
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

    def _read(self, after: int, limit: int, most_bytes: int | None) -> list[Event]:
        after = max(after, self._first_seq - 1)
        with self._mapped("read"):
            cursor = self._db.execute(
                "SELECT seq, ts, type, agent_id, body, crc FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            )
            rows = cursor.fetchall() if most_bytes is None else _first_bytes(cursor, most_bytes)
        if limit and not rows and after < self._last_seq:
            raise self._damaged(after + 1, "is missing")
        return [self._event(row, after + 1 + index) for index, row in enumerate(rows)]

    def _event(self, row: tuple[Any, ...], expected_seq: int) -> Event:
        if row[0] != expected_seq:
            raise self._damaged(expected_seq, "is missing")
        try:
            if row[5] != checksum(*row[:5]):
                raise self._damaged(expected_seq, "fails its checksum")
            return event_from_wire(json.loads(row[4]))
        except (TypeError, ValueError) as error:
            raise self._damaged(expected_seq, f"cannot be read ({type(error).__name__})") from error

    def _damaged(self, seq: int, what: str) -> StoreError:
        return StoreError(f"event {seq} of {self.path} {what}", WAY_OUT, seq=seq)

    def _find_replies(self, keys: Sequence[RequestKey]) -> dict[RequestKey, AnyReply]:
        replies: dict[RequestKey, AnyReply] = {}
        with self._mapped("read"):
            for key in keys:
                if (seq := self._answered.find(raw_key(key))) is None:
                    continue
                row = self._db.execute(
                    "SELECT seq, reply, crc FROM request WHERE seq=? AND agent_id=? AND request_id=?", (seq, *key)
                ).fetchone()
                if row is None:
                    raise self._damaged_answer(key[1])
                replies[key] = self._reply(key, row)
        return replies

    def _reply(self, key: RequestKey, row: tuple[Any, ...]) -> dict[str, Any]:
        if not is_sound_reply((*key, *row)):
            raise self._damaged_answer(key[1])
        reply: dict[str, Any] = json.loads(row[1])
        return reply

    def _save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        packed = pack_snapshot(seq, state)
        with self._transaction("write a snapshot to"):
            self._db.execute("INSERT OR REPLACE INTO snapshot VALUES(?,?,?)", packed)
            self._db.execute(
                "DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT ?)",
                (SNAPSHOTS_KEPT,),
            )
            self._db.execute("DELETE FROM request WHERE seq < ?", (seq - REPLIES_KEPT_EVENTS,))
            oldest_snapshot = self._db.execute("SELECT min(seq) FROM snapshot").fetchone()[0]
            first_kept = max(self._first_seq, min(oldest_snapshot, self._last_seq - self._kept_events) + 1)
            self._db.execute("DELETE FROM event WHERE seq < ?", (first_kept,))
        self._first_seq = first_kept
        self._answered.forget_before(seq - REPLIES_KEPT_EVENTS)
        with self._mapped("compact"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _load_snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        with self._mapped("read"):
            rows = self._db.execute("SELECT seq, body, crc FROM snapshot ORDER BY seq DESC").fetchall()
        unpacked = [unpack_snapshot(row) for row in rows if row[0] <= self._last_seq]
        return [snapshot for snapshot in unpacked if snapshot is not None]


def _first_bytes(cursor: Iterable[tuple[Any, ...]], most: int) -> list[tuple[Any, ...]]:
    """Return the first rows of the table `event` whose bodies have at most `most` characters together; at least one.

    Empty only if the cursor has none.
    """
    rows: list[tuple[Any, ...]] = []
    for row in cursor:
        most -= len(row[4])
        if most < 0 and rows:
            break
        rows.append(row)
    return rows


def store_error(path: Path, doing: str, error: Exception) -> StoreError:
    """Return (not raise) the error for a failure of SQLite or the system, with the reason and what to do.

    `DiskFull` if its text speaks of a full, failing or read-only disk, a quota or a limit of size, else `StoreError`.

    Args:
        path: The log.
        doing: What failed, as a verb: `open`, `write`.
        error: The failure.
    """
    text = str(error)
    if any(word in text for word in ("full", "disk I/O", "No space", "quota", "too large", "readonly")):
        return DiskFull(f"cannot {doing} {path}: {text}", f"free space on the disk of {path.parent}")
    return StoreError(f"cannot {doing} {path}: {text}", WAY_OUT)
