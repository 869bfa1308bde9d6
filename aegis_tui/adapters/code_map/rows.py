"""The rows of one content in the three stores: written together, read back, and deleted together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from aegis_tui.adapters.code_map.schema import SLOTS
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol, pack_facts, unpack_facts
from aegis_tui.domain.code_map.text import words_of
from aegis_tui.domain.code_map.vector import vector_of
from aegis_tui.ports.code_map import BlobKey, Located

_SYNTAX = frozenset(["async", "bool", "class", "cls", "def", "float", "int", "none", "object", "self", "str"])
"""Words of signatures that say nothing about one of them."""

SYMBOL_COLUMNS = "id, name, kind, first, line, last, signature, doc, bases, returns"


def insert(connection: sqlite3.Connection, key: BlobKey, facts: FileFacts) -> bool:
    """Store what is known of a content, within the caller's transaction; False if it is stored already."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO blob(oid, language, lines, symbols, relations) VALUES(?, ?, ?, ?, ?)",
        (*key, facts.lines, len(facts.symbols), pack_facts(facts._replace(symbols=()))),
    )
    if cursor.rowcount < 1:
        return False
    blob = cursor.lastrowid or 0
    texts, mention = index_rows(blob, facts)
    rows = []
    for symbol, (at, name, words) in zip(facts.symbols, texts, strict=True):
        bases = json.dumps(symbol.bases) if symbol.bases else ""
        vector = vector_of(f"{name} {words}".split())
        rows.append((at, symbol.name.rpartition(".")[2], *symbol[:7], bases, symbol.returns, vector))
    connection.executemany("INSERT INTO symbol VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT INTO meaning(rowid, name, words) VALUES(?, ?, ?)", texts)
    connection.execute("INSERT INTO mention(rowid, names) VALUES(?, ?)", mention)
    return True


def remove(connection: sqlite3.Connection, blob: int) -> None:
    """Delete what is known of a content from the three stores, within the caller's transaction."""
    texts, mention = index_rows(blob, whole_facts(connection, blob))
    connection.executemany("INSERT INTO meaning(meaning, rowid, name, words) VALUES('delete', ?, ?, ?)", texts)
    connection.execute("INSERT INTO mention(mention, rowid, names) VALUES('delete', ?, ?)", mention)
    connection.execute("DELETE FROM symbol WHERE id >= ? AND id < ?", (blob * SLOTS, (blob + 1) * SLOTS))
    connection.execute("DELETE FROM blob WHERE id = ?", (blob,))


def index_rows(blob: int, facts: FileFacts) -> tuple[list[tuple[int, str, str]], tuple[int, str]]:
    """Return the rows of a content in the full-text tables: those of its symbols, and that of its mentions."""
    texts = []
    for at, symbol in enumerate(facts.symbols, start=blob * SLOTS):
        name = dict.fromkeys(words_of(symbol.name))
        others = dict.fromkeys(words_of(f"{symbol.signature} {symbol.doc}"))
        texts.append(
            (at, " ".join(name), " ".join(word for word in others if word not in name and word not in _SYNTAX))
        )
    return texts, (blob, " ".join(sorted(facts.mentions())))


def whole_facts(connection: sqlite3.Connection, blob: int) -> FileFacts:
    """Return everything that is known of a content.

    Raises:
        ValueError: It is damaged.
    """
    row = connection.execute("SELECT relations, symbols FROM blob WHERE id = ?", (blob,)).fetchone()
    if row is None:
        raise ValueError(f"content {blob} is missing")
    symbols = tuple(symbols_of(connection, blob))
    if len(symbols) != row[1]:
        raise ValueError(f"content {blob} has {len(symbols)} symbols instead of {row[1]}")
    return unpack_facts(row[0])._replace(symbols=symbols)


def symbols_of(connection: sqlite3.Connection, blob: int) -> Iterator[MapSymbol]:
    """Yield the symbols of a content, in their order."""
    statement = f"SELECT {SYMBOL_COLUMNS} FROM symbol WHERE id >= ? AND id < ? ORDER BY id"
    for row in connection.execute(statement, (blob * SLOTS, (blob + 1) * SLOTS)):
        yield _symbol(row[1:])


def located(row: tuple[Any, ...]) -> Located:
    """Return a symbol with its path, from a row of the path and the columns of `SYMBOL_COLUMNS`."""
    return Located(row[0], row[1] % SLOTS, _symbol(row[2:]))


def _symbol(fields: tuple[Any, ...]) -> MapSymbol:
    bases = tuple(json.loads(fields[7])) if fields[7] else ()
    return MapSymbol._make([*fields[:7], bases, fields[8]])
