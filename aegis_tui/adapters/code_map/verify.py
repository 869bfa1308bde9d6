"""Checks that the three stores of a code map agree: each content has its symbols, its relations and its meaning."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from aegis_tui.adapters.code_map.rows import meaning_rows, whole_facts
from aegis_tui.adapters.code_map.schema import INDEXES, SLOTS, create_index
from aegis_tui.domain.code_map.entry import make_entry
from aegis_tui.domain.count import counted

_MOST = 20


def disagreements(connection: sqlite3.Connection) -> list[str]:
    """Return in words where the tables of a code map contradict each other, 20 at most; empty if they agree.

    Each content must have its symbols and their vectors, and both full-text tables must hold what these give: they are
    made again in memory and compared. The file is not changed.

    Args:
        connection: The code map, with no transaction open.

    Raises:
        sqlite3.Error: The file cannot be read.
    """
    return [words for words, _ in zip(_all(connection), range(_MOST), strict=False)]


def _all(connection: sqlite3.Connection) -> Iterator[str]:
    for (words,) in connection.execute("PRAGMA integrity_check(3)"):
        if words != "ok":
            yield str(words)
    connection.execute("BEGIN")
    try:
        for name in INDEXES:
            connection.execute(create_index(name, prefix="temp.again_"))
        blobs = [row[0] for row in connection.execute("SELECT id FROM blob ORDER BY id")]
        for (at,) in connection.execute(f"SELECT DISTINCT id / {SLOTS} FROM symbol EXCEPT SELECT id FROM blob"):
            yield f"there are symbols of file version {at}, which is not stored"
        for blob in blobs:
            yield from _one(connection, blob)
        for name in INDEXES:
            yield from _differences(connection, name)
    finally:
        connection.execute("ROLLBACK")


def _one(connection: sqlite3.Connection, blob: int) -> Iterator[str]:
    """Yield what is wrong with one content, and add its rows to the full-text tables in memory.

    Nothing for a content that is not stored. If its rows are damaged, that is yielded, and nothing is added.
    """
    try:
        facts = whole_facts(connection, blob)
    except ValueError as error:
        yield str(error)
        return
    if facts is None:
        return
    entry = make_entry(facts)
    statement = "SELECT vector FROM symbol WHERE id >= ? AND id < ? ORDER BY id"
    stored = [row[0] for row in connection.execute(statement, (blob * SLOTS, (blob + 1) * SLOTS))]
    if stored != [item.vector for item in entry.symbols]:
        yield f"the vectors of file version {blob} are not those of its symbols"
    texts = meaning_rows(blob, entry)
    connection.executemany("INSERT INTO temp.again_meaning(rowid, name, words) VALUES(?, ?, ?)", texts)
    connection.execute("INSERT INTO temp.again_mention(rowid, names) VALUES(?, ?)", (blob, entry.mention))


def _differences(connection: sqlite3.Connection, name: str) -> Iterator[str]:
    for prefix, schema in (("", "main"), ("again_", "temp")):
        connection.execute(
            f"CREATE VIRTUAL TABLE temp.of_{prefix}{name} USING fts5vocab({schema}, {prefix}{name}, instance)"
        )
    columns = "term, doc, col, offset"
    for one, other, words in (("of_", "of_again_", "superfluous"), ("of_again_", "of_", "missing")):
        statement = (
            f"SELECT count(*), min(doc) FROM (SELECT {columns} FROM temp.{one}{name} "
            f"EXCEPT SELECT {columns} FROM temp.{other}{name})"
        )
        count, first = connection.execute(statement).fetchone()
        if count:
            yield f"{name}: {counted(count, f'{words} entry', f'{words} entries')}, the first at row {first}"
