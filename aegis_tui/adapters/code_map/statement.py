"""SQLite as the store of the code map uses it: transactions, result codes, full-text queries."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a transaction that may write; it is undone if the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def result_code(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite; 0 if the error has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def quoted(words: Sequence[str]) -> str:
    """Return an FTS5 query that finds any of the words; none is read as syntax. Empty, so not valid, for no words."""
    return " OR ".join('"' + word.replace('"', "") + '"' for word in words)
