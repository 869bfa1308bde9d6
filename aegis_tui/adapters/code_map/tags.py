"""What makes shadow tags keeps them in the file of the code map, with what making them has used (MAP-4)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from aegis_tui.adapters.code_map.shadow_rows import insert_tags
from aegis_tui.adapters.code_map.statement import transaction
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.domain.code_map.shadow import ShadowTag
from aegis_tui.ports.code_map import StoredTag, TagUse

_MOST_TAGS: Final = 100_000
_KEPT_HOURS: Final = 48


class SqliteTags:
    """Implements `TagStore` over the file that a map store has open. Every method raises `StoreError` as that does."""

    def __init__(self, store: SqliteMapStore) -> None:
        self._run = store.run

    def by_code(self, codes: Iterable[str]) -> dict[str, ShadowTag]:
        """Return the tag that was made for each of these codes, whatever content it is in; those without are left out.

        Raises `StoreError` if the store cannot be read.
        """
        statement = "SELECT text, model FROM shadow WHERE code = ? ORDER BY id DESC LIMIT 1"

        def look(connection: sqlite3.Connection) -> dict[str, ShadowTag]:
            rows = ((code, connection.execute(statement, (code,)).fetchone()) for code in codes)
            return {code: ShadowTag(*row) for code, row in rows if row is not None}

        return self._run(look)

    def put_tags(self, rows: Sequence[StoredTag], use: TagUse, *, hour: int) -> None:
        """Store tags and what making them has used, in one transaction; the oldest of over 100,000 are deleted.

        Raises `StoreError` if they cannot be written; nothing was stored then.
        """
        added = "INSERT INTO shadow_use VALUES(?, ?, ?) ON CONFLICT(hour) DO UPDATE SET "
        added += "requests = requests + excluded.requests, tokens = tokens + excluded.tokens"
        oldest = "DELETE FROM shadow WHERE id <= (SELECT id FROM shadow ORDER BY id DESC LIMIT 1 OFFSET ?)"

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                insert_tags(connection, rows)
                connection.execute(added, (hour, *use))
                connection.execute("DELETE FROM shadow_use WHERE hour < ?", (hour - _KEPT_HOURS,))
                connection.execute(oldest, (_MOST_TAGS,))

        self._run(write)

    def used(self, since_hour: int) -> TagUse:
        """Return what making tags has used from an hour on, that one included, for all worktrees together.

        Raises `StoreError` if the store cannot be read.
        """
        statement = "SELECT coalesce(sum(requests), 0), coalesce(sum(tokens), 0) FROM shadow_use WHERE hour >= ?"
        return self._run(lambda connection: TagUse(*connection.execute(statement, (since_hour,)).fetchone()))
