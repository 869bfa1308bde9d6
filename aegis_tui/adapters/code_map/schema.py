"""The tables of the code map: three stores in one file, and the number that ties their rows together.

A blob's symbols have the ids `blob * SLOTS + index`. The full-text tables hold only their index (`content=''`), whose
rows have the id of the symbol or blob that they belong to; deleting such a row needs the text that was indexed.
"""

from __future__ import annotations

from typing import Final

from aegis_tui.domain.code_map.facts import FACTS_VERSION
from aegis_tui.domain.code_map.vector import VECTOR_MODEL

SLOTS: Final = 1 << 20
"""More than the symbols of any one file."""

FORMAT: Final = f"1.{FACTS_VERSION}.{VECTOR_MODEL}"
"""What the rows depend on; a file with another value is begun anew."""

INDEXES: Final = {
    "mention": """fts5(names, content='', detail=none, tokenize="unicode61 remove_diacritics 0 tokenchars '_$'")""",
    "meaning": "fts5(name, words, content='', tokenize='porter unicode61')",
}
"""The full-text tables: the names that a content mentions, and the words of a symbol."""

SCHEMA: Final = """
CREATE TABLE about(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blob(
  id INTEGER PRIMARY KEY AUTOINCREMENT, oid TEXT NOT NULL, language TEXT NOT NULL,
  lines INTEGER NOT NULL, symbols INTEGER NOT NULL, relations TEXT NOT NULL, UNIQUE(oid, language));
CREATE TABLE symbol(
  id INTEGER PRIMARY KEY, last_name TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, first INTEGER NOT NULL,
  line INTEGER NOT NULL, last INTEGER NOT NULL, signature TEXT NOT NULL, doc TEXT NOT NULL, bases TEXT NOT NULL,
  returns TEXT NOT NULL, vector BLOB NOT NULL);
CREATE INDEX symbol_by_name ON symbol(last_name, name);
"""
"""The other tables."""

VIEW: Final = """
CREATE TEMP TABLE view(path TEXT PRIMARY KEY, blob INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX temp.view_by_blob ON view(blob);
"""
"""The files of one worktree; each connection has its own, in memory."""


def create_index(name: str, *, prefix: str = "") -> str:
    """Return the SQL statement that creates one of the full-text tables.

    Args:
        name: A key of `INDEXES`; KeyError for any other.
        prefix: Put before the table's name, such as `temp.again_`.
    """
    return f"CREATE VIRTUAL TABLE {prefix}{name} USING {INDEXES[name]}"
