"""The rows of one content in the three stores: written together, read back, and deleted together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from aegis_tui.adapters.code_map.schema import SLOTS
from aegis_tui.domain.code_map.entry import Entry, make_entry
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol, unpack_facts, unpack_imports
from aegis_tui.ports.code_map import BlobKey, FileLinks, Located

SYMBOL_COLUMNS = "id, name, kind, first, line, last, signature, doc, bases, returns"


def insert(connection: sqlite3.Connection, key: BlobKey, entry: Entry) -> bool:
    """Store what is known of a content, within the caller's transaction; return False if it is stored already.

    Raises:
        sqlite3.Error: The file cannot be written or is damaged; the caller rolls back.
    """
    cursor = connection.execute(
        "INSERT OR IGNORE INTO blob(oid, language, lines, symbols, relations) VALUES(?, ?, ?, ?, ?)",
        (*key, entry.lines, len(entry.symbols), entry.relations),
    )
    if cursor.rowcount < 1:
        return False
    blob = cursor.lastrowid or 0
    rows = []
    for at, (symbol, _, _, vector) in enumerate(entry.symbols, start=blob * SLOTS):
        bases = json.dumps(symbol.bases) if symbol.bases else ""
        rows.append((at, symbol.name.rpartition(".")[2], *symbol[:7], bases, symbol.returns, vector))
    connection.executemany("INSERT INTO symbol VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT INTO meaning(rowid, name, words) VALUES(?, ?, ?)", meaning_rows(blob, entry))
    connection.execute("INSERT INTO mention(rowid, names) VALUES(?, ?)", (blob, entry.mention))
    return True


def remove(connection: sqlite3.Connection, blob: int) -> None:
    """Delete all rows of a content, within the caller's transaction; does nothing if it is not stored.

    Args:
        connection: The code map.
        blob: The content's number in the table `blob`.

    Raises:
        ValueError: The rows are damaged; nothing was deleted.
        sqlite3.Error: The file cannot be written or is damaged; the caller rolls back.
    """
    if (facts := whole_facts(connection, blob)) is None:
        return
    entry = make_entry(facts)
    texts = meaning_rows(blob, entry)
    connection.executemany("INSERT INTO meaning(meaning, rowid, name, words) VALUES('delete', ?, ?, ?)", texts)
    connection.execute("INSERT INTO mention(mention, rowid, names) VALUES('delete', ?, ?)", (blob, entry.mention))
    connection.execute("DELETE FROM symbol WHERE id >= ? AND id < ?", (blob * SLOTS, (blob + 1) * SLOTS))
    connection.execute("DELETE FROM blob WHERE id = ?", (blob,))


def meaning_rows(blob: int, entry: Entry) -> Iterator[tuple[int, str, str]]:
    """Yield the rows of a content's symbols in the table `meaning`.

    Each is the symbol's id, the words of its name, and the other words of its signature and documentation, with blanks
    between words.

    Args:
        blob: The content's own id in the store; the ids of its symbols are `blob * SLOTS` and those that follow.
        entry: What is known of the content.
    """
    for at, item in enumerate(entry.symbols, start=blob * SLOTS):
        yield at, item.name_words, item.words


def whole_facts(connection: sqlite3.Connection, blob: int) -> FileFacts | None:
    """Return everything that is known of a content; None if it is not stored (any more).

    Raises:
        ValueError: It is damaged.
        sqlite3.Error: The file cannot be read.
    """
    row = connection.execute("SELECT relations, symbols FROM blob WHERE id = ?", (blob,)).fetchone()
    if row is None:
        return None
    symbols = tuple(symbols_of(connection, blob))
    if len(symbols) != row[1]:
        raise ValueError(f"file version {blob} has {len(symbols)} symbols instead of {row[1]}")
    return unpack_facts(row[0])._replace(symbols=symbols)


def symbols_of(connection: sqlite3.Connection, blob: int) -> Iterator[MapSymbol]:
    """Yield the symbols of a content, in their order; nothing if it is not stored.

    Raises:
        ValueError: One is damaged.
        sqlite3.Error: The file cannot be read.
    """
    statement = f"SELECT {SYMBOL_COLUMNS} FROM symbol WHERE id >= ? AND id < ? ORDER BY id"
    for row in connection.execute(statement, (blob * SLOTS, (blob + 1) * SLOTS)):
        yield _symbol(row[1:])


def links_of(connection: sqlite3.Connection) -> Iterator[FileLinks]:
    """Yield path, lines and imports of the files of the view, by path.

    Raises:
        ValueError: The relations of one are damaged.
        sqlite3.Error: The file cannot be read.
    """
    statement = "SELECT v.path, b.lines, b.relations FROM temp.view v JOIN blob b ON b.id = v.blob ORDER BY v.path"
    for path, lines, relations in connection.execute(statement):
        yield FileLinks(path, lines, unpack_imports(relations))


def located(row: tuple[Any, ...]) -> Located:
    """Return a symbol with the path of its file and its index among the symbols of the file, from 0.

    Args:
        row: A path, and then the columns of `SYMBOL_COLUMNS`.

    Raises:
        ValueError: The list of base classes in it is no JSON.
    """
    return Located(row[0], row[1] % SLOTS, _symbol(row[2:]))


def _symbol(fields: tuple[Any, ...]) -> MapSymbol:
    bases = tuple(json.loads(fields[7])) if fields[7] else ()
    return MapSymbol._make([*fields[:7], bases, fields[8]])
