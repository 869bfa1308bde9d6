"""The tables of shadow tags, and how tags are carried over into a file that is begun anew (MAP-4)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from aegis_tui.adapters.code_map.rows import SYMBOL_COLUMNS, located
from aegis_tui.adapters.code_map.schema import SLOTS
from aegis_tui.domain.code_map.shadow import ShadowTag, clean_tag
from aegis_tui.ports.code_map import Located, StoredTag

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS shadow(
  id INTEGER PRIMARY KEY AUTOINCREMENT, oid TEXT NOT NULL, name TEXT NOT NULL, line INTEGER NOT NULL,
  code TEXT NOT NULL, text TEXT NOT NULL, model TEXT NOT NULL, UNIQUE(oid, name, line))""",
    "CREATE INDEX IF NOT EXISTS shadow_by_code ON shadow(code)",
    """CREATE TABLE IF NOT EXISTS shadow_use(
  hour INTEGER PRIMARY KEY, requests INTEGER NOT NULL, tokens INTEGER NOT NULL)""",
)
_SYMBOL: Final = "s." + SYMBOL_COLUMNS.replace(", ", ", s.")
_COLUMNS: Final = "oid, name, line, code, text, model"
_MOST_WORDS: Final = 200
"""SQLite refuses a statement whose terms are nested more than 1,000 deep."""


class CarriedTags(NamedTuple):
    """What is carried over from one file to the next."""

    tags: tuple[StoredTag, ...] = ()
    uses: tuple[tuple[int, int, int], ...] = ()
    """What was used in an hour: the hour since 1970, and the requests and tokens in it."""


def create_tag_tables(connection: sqlite3.Connection, kept: CarriedTags) -> None:
    """Create what is missing of the tables, and store what was kept; call it within a transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    insert_tags(connection, kept.tags)
    connection.executemany("INSERT OR IGNORE INTO shadow_use VALUES(?, ?, ?)", kept.uses)


def insert_tags(connection: sqlite3.Connection, rows: Iterable[StoredTag]) -> None:
    """Store tags within the caller's transaction; one that the same definition has already is replaced."""
    statement = f"INSERT OR REPLACE INTO shadow({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?)"
    connection.executemany(statement, rows)


def tags_of(connection: sqlite3.Connection, oid: str) -> dict[tuple[str, int], ShadowTag]:
    """Return the tags of a content, also the empty ones, by name and line of the definition."""
    statement = "SELECT name, line, text, model FROM shadow WHERE oid = ?"
    return {(name, line): ShadowTag(text, model) for name, line, text, model in connection.execute(statement, (oid,))}


def tagged_symbols(connection: sqlite3.Connection, words: Sequence[str], count: int) -> list[Located]:
    """Return up to `count` symbols of the view whose tag has some of the words, those with most of them first.

    A word also counts where it is the beginning of one; after the first 200, words have no effect. What has
    documentation of its own is left out.
    """
    if not words:
        return []
    terms = [f"% {word}%" for word in words[:_MOST_WORDS]]
    hits = " + ".join(["(' ' || text LIKE ?)"] * len(terms))
    best = (
        f"SELECT oid, name, line, {hits} AS hits FROM shadow WHERE text != '' AND hits > 0 AND oid IN "
        "(SELECT oid FROM blob WHERE id IN (SELECT blob FROM temp.view)) ORDER BY hits DESC, id LIMIT ?"
    )
    one = (
        f"SELECT v.path, {_SYMBOL} FROM symbol s JOIN blob b ON b.id = s.id / {SLOTS} "
        "JOIN temp.view v ON v.blob = b.id "
        "WHERE s.last_name = ? AND s.name = ? AND s.line = ? AND s.doc = '' AND b.oid = ? ORDER BY v.path"
    )
    keys = (
        (name.rpartition(".")[2], name, line, oid) for oid, name, line, _ in connection.execute(best, (*terms, count))
    )
    return [located(row) for key in keys for row in connection.execute(one, key)][:count]


def keep_tags(path: Path) -> CarriedTags:
    """Return the tags in the file of a map as far as they can be read; nothing if it has none. Raises nothing.

    The file may be damaged: what is not a tag is left out, and each text is cleaned again.
    """
    tags: list[StoredTag] = []
    uses: list[tuple[int, int, int]] = []
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(_open(path)) as connection:
        for row in connection.execute("SELECT hour, requests, tokens FROM shadow_use"):
            uses += [row] if all(isinstance(value, int) for value in row) else []
        for oid, name, line, code, text, model in connection.execute(f"SELECT {_COLUMNS} FROM shadow ORDER BY id"):
            texts = (oid, name, code, text, model)
            if isinstance(line, int) and all(isinstance(value, str) for value in texts):
                tags.append(StoredTag(oid, name, line, code, clean_tag(text), model))
    return CarriedTags(tuple(tags), tuple(uses))


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
