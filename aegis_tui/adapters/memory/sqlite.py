"""The memory of failures in one SQLite file per workspace: full text first, then hashed letter groups (MEM-1, MEM-3).

With each vector stands the name and the dimension of what made it; vectors of another make are made again when the file
is opened.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from aegis_tui.domain.code_map.text import words_of
from aegis_tui.domain.code_map.vector import DIMENSION, VECTOR_MODEL, vector_of
from aegis_tui.domain.memory.model import Failure, Recalled
from aegis_tui.errors import StoreError
from aegis_tui.ports.failure_memory import FailureCount

T = TypeVar("T")

_VERSION: Final = 1
_WAIT_S: Final = 20.0
_MOST_KEPT: Final = 5_000
"""The oldest failures beyond so many are deleted."""

_SCHEMA: Final = """
CREATE TABLE failure(
  id TEXT PRIMARY KEY, at TEXT NOT NULL, run TEXT NOT NULL, piece TEXT NOT NULL, spec TEXT NOT NULL,
  agent_id TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, code TEXT NOT NULL, error TEXT NOT NULL,
  trace TEXT NOT NULL, tried TEXT NOT NULL, files TEXT NOT NULL, resolution TEXT NOT NULL, resolved_by TEXT NOT NULL,
  vector BLOB NOT NULL, vector_model TEXT NOT NULL, vector_dimension INTEGER NOT NULL);
CREATE TABLE forgotten(id TEXT PRIMARY KEY);
CREATE VIRTUAL TABLE failure_text USING fts5(id UNINDEXED, words, tokenize='porter unicode61');
"""
_FIELDS: Final = (
    *("id", "at", "run", "piece", "spec", "agent_id", "kind", "model", "code", "error", "trace", "tried", "files"),
    *("resolution", "resolved_by"),
)
_COLUMNS: Final = ", ".join(_FIELDS)


class SqliteFailureMemory:
    """Implements `FailureMemory`. One connection, used by one thread at a time; other processes may write too."""

    def __init__(self, path: Path) -> None:
        """Open or create the file (mode 0600); its folder is created too.

        Raises:
            StoreError: It cannot be opened, is damaged, or was written by a newer version.
        """
        self.path = path
        self._connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA secure_delete=ON")
            self._run(_prepare)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise _store_error(path, "opened", error) from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in one transaction and return its result.

        Raises:
            StoreError: The file cannot be read or written.
        """
        connection = self._connection
        if connection is None:
            raise StoreError("the memory of failures is closed", "")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = job(connection)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite has done so itself, as on a full disk
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError, ValueError) as error:
            raise _store_error(self.path, "used", error) from error
        return result

    def keep(self, failures: Sequence[Failure]) -> None:
        """Store failures, all or none; one that is known by its id is replaced, one that was forgotten stays so.

        The oldest beyond 5,000 are deleted.

        Raises:
            StoreError: The file cannot be written.
        """

        def job(connection: sqlite3.Connection) -> None:
            for failure in failures:
                if connection.execute("SELECT 1 FROM forgotten WHERE id=?", (failure.id,)).fetchone() is None:
                    _delete(connection, failure.id)
                    _insert(connection, failure)
            old = connection.execute(f"SELECT id FROM failure ORDER BY at DESC, id DESC LIMIT -1 OFFSET {_MOST_KEPT}")
            for (failure_id,) in old.fetchall():
                _delete(connection, failure_id)

        if failures:
            self._run(job)

    def last(self, count: int) -> list[Failure]:
        """Return the newest failures, the newest first, at most `count`.

        Raises:
            StoreError: The file cannot be read.
        """
        sql = f"SELECT {_COLUMNS} FROM failure ORDER BY at DESC, id DESC LIMIT ?"
        return self._run(lambda connection: [_failure(row) for row in connection.execute(sql, (count,))])

    def similar(self, text: str, count: int) -> list[Recalled]:
        """Return the failures that resemble a text, the most similar first, at most `count`; may be empty.

        A failure counts if it shares a word with the text, or if their letter groups are near.

        Raises:
            StoreError: The file cannot be read.
        """
        words = list(dict.fromkeys(words_of(text)))
        if not words:
            return []

        def job(connection: sqlite3.Connection) -> list[Recalled]:
            scores = _scores(connection, words)
            best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:count]
            sql = f"SELECT {_COLUMNS} FROM failure WHERE id=?"
            return [Recalled(_failure(connection.execute(sql, (key,)).fetchone()), score) for key, score in best]

        return self._run(job)

    def by_agent(self) -> list[FailureCount]:
        """Return the number of failures of each kind of agent with each model, the largest first.

        Raises:
            StoreError: The file cannot be read.
        """
        sql = (
            "SELECT kind, model, COUNT(*), SUM(resolution != '') FROM failure GROUP BY kind, model "
            "ORDER BY COUNT(*) DESC, kind, model"
        )
        return self._run(lambda connection: [FailureCount(*row) for row in connection.execute(sql)])

    def forget(self, failure_id: str) -> bool:
        """Delete a failure for good, also from the file; return False if there is none of that id.

        Raises:
            StoreError: The file cannot be written.
        """

        def job(connection: sqlite3.Connection) -> bool:
            if not _delete(connection, failure_id):
                return False
            connection.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (failure_id,))
            # The index keeps deleted words until its parts are merged.
            connection.execute("INSERT INTO failure_text(failure_text) VALUES ('optimize')")
            return True

        return self._run(job)


def _store_error(path: Path, doing: str, error: Exception) -> StoreError:
    """Return (not raise) the error for a failure of SQLite or the system, with its reason and what to do.

    Args:
        path: The memory.
        doing: What cannot be done with it, such as `opened`.
        error: The failure; a ValueError is a row that cannot be read.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        hint = "try again when the other process that uses it has ended"
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, ValueError):
        hint = f"move {path} away; a new one is then created"
    else:
        hint = f"check the free space and the permissions of {path.parent}"
    return StoreError(f"the memory of failures {path} cannot be {doing}: {error}", hint)


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise StoreError("the memory of failures was written by a newer version of aegis-tui", "install that version")
    if version == 0:
        for statement in _SCHEMA.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={_VERSION}")
    sql = f"SELECT {_COLUMNS} FROM failure WHERE vector_model != ?"
    for row in connection.execute(sql, (VECTOR_MODEL,)).fetchall():
        failure = _failure(row)
        _delete(connection, failure.id)
        _insert(connection, failure)


def _insert(connection: sqlite3.Connection, failure: Failure) -> None:
    words = words_of(failure.text)
    values = [getattr(failure, name) for name in _FIELDS]
    values[_FIELDS.index("files")] = json.dumps(failure.files, ensure_ascii=False)
    row = (*values, vector_of(words), VECTOR_MODEL, DIMENSION)
    connection.execute(f"INSERT INTO failure VALUES ({', '.join('?' * len(row))})", row)
    connection.execute("INSERT INTO failure_text VALUES (?, ?)", (failure.id, " ".join(words)))


def _delete(connection: sqlite3.Connection, failure_id: str) -> bool:
    connection.execute("DELETE FROM failure_text WHERE id=?", (failure_id,))
    return connection.execute("DELETE FROM failure WHERE id=?", (failure_id,)).rowcount > 0


def _failure(row: Sequence[Any]) -> Failure:
    fields = dict(zip(_FIELDS, row, strict=True))
    return Failure(**{**fields, "files": tuple(json.loads(fields["files"]))})


def _scores(connection: sqlite3.Connection, words: Sequence[str]) -> dict[str, float]:
    """Return id -> how much the failure resembles the words, from 0 to 1, of those that do at all.

    It is the mean of the share of the words that the failure has, the rarer ones counting more, and the cosine of the
    letter groups.
    """
    (total,) = connection.execute("SELECT COUNT(*) FROM failure").fetchone()
    shared: dict[str, float] = {}
    whole = 0.0
    for word in words:
        sql = "SELECT id FROM failure_text WHERE words MATCH ?"
        hits = [key for (key,) in connection.execute(sql, (f'"{word}"',))]
        weight = math.log(1 + total / (1 + len(hits))) * min(len(word), 8)
        whole += weight
        for key in hits:
            shared[key] = shared.get(key, 0.0) + weight
    query = int.from_bytes(vector_of(words), "little")
    scores: dict[str, float] = {}
    for key, vector in connection.execute("SELECT id, vector FROM failure"):
        bits = int.from_bytes(vector, "little")
        size = math.sqrt(query.bit_count() * bits.bit_count())
        cosine = (bits & query).bit_count() / size if size else 0.0
        score = (shared.get(key, 0.0) / whole + cosine) / 2 if whole else cosine
        if key in shared or cosine >= 0.5:
            scores[key] = round(score, 4)
    return scores
