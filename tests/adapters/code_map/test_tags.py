"""Shadow tags in the file of the map: by blob and symbol, bounded, and carried over when the file is begun anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aegis_tui.adapters.code_map import tags
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.code_map.tags import SqliteTags
from aegis_tui.domain.code_map.shadow import ShadowTag
from aegis_tui.ports.code_map import StoredTag, TagUse

OID, OTHER = "a" * 40, "b" * 40
PAY = StoredTag(OID, "pay", 4, "c1", "Pays a sum.", "tiny")
NONE = StoredTag(OID, "Cart", 10, "c2", "", "tiny")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteMapStore]:
    opened = SqliteMapStore(tmp_path / "map.db")
    SqliteTags(opened).put_tags([PAY, NONE], TagUse(1, 70), hour=100)
    yield opened
    opened.close()


def test_tags_are_kept_by_content_and_found_by_code(store: SqliteMapStore) -> None:
    assert store.tags(OID) == {("pay", 4): ShadowTag("Pays a sum.", "tiny"), ("Cart", 10): ShadowTag("", "tiny")}
    assert store.tags(OTHER) == {}
    assert SqliteTags(store).by_code(["c1", "c9"]) == {"c1": ShadowTag("Pays a sum.", "tiny")}
    assert store.status().tags == 1
    assert store.disagreements() == []


def test_a_long_text_is_searched_for(store: SqliteMapStore) -> None:
    assert store.tagged([f"word{number}" for number in range(2_000)], count=9) == []


def test_the_oldest_tags_go_when_there_are_too_many(store: SqliteMapStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "_MOST_TAGS", 2)
    SqliteTags(store).put_tags([PAY._replace(oid=OTHER)], TagUse(1, 1), hour=100)
    assert list(store.tags(OID)) == [("Cart", 10)] and list(store.tags(OTHER)) == [("pay", 4)]


def test_what_was_used_is_added_up_by_the_hour(store: SqliteMapStore) -> None:
    kept = SqliteTags(store)
    kept.put_tags([], TagUse(2, 30), hour=100)
    kept.put_tags([], TagUse(1, 5), hour=120)
    assert (kept.used(100), kept.used(101), kept.used(121)) == (TagUse(4, 105), TagUse(1, 5), TagUse(0, 0))
    kept.put_tags([], TagUse(1, 1), hour=160)
    assert kept.used(0) == TagUse(2, 6)


def test_tags_are_carried_over_unless_the_person_wants_a_new_map(store: SqliteMapStore) -> None:
    store.begin_anew("it was damaged")
    assert store.tags(OID)["pay", 4].text == "Pays a sum." and SqliteTags(store).used(0) == TagUse(1, 70)
    store.begin_anew("you asked for it", keeps_tags=False)
    assert store.tags(OID) == {} and SqliteTags(store).used(0) == TagUse(0, 0)


@contextmanager
def reopened(store: SqliteMapStore, *statements: str) -> Iterator[SqliteMapStore]:
    """The store after another program has changed its file."""
    store.close()
    with closing(sqlite3.connect(store.path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    with closing(SqliteMapStore(store.path)) as opened:
        yield opened


def test_tags_survive_another_version_and_what_is_no_tag_does_not(store: SqliteMapStore) -> None:
    statements = (
        "UPDATE about SET value = 'old' WHERE name = 'format'",
        "UPDATE shadow SET text = 'Now <b>bold\x1b words here' WHERE name = 'pay'",
        f"INSERT INTO shadow VALUES(9, '{OTHER}', 'x', 'no line', 'c', 'Some words here.', 'm')",
    )
    with reopened(store, *statements) as opened:
        assert opened.rebuilt == "it was written by another version of this program"
        assert opened.tags(OID)["pay", 4].text == "Now b bold words here"
        assert opened.tags(OTHER) == {}


def test_a_map_from_before_there_were_tags_gets_the_tables(store: SqliteMapStore) -> None:
    with reopened(store, "DROP TABLE shadow", "DROP TABLE shadow_use") as opened:
        assert (opened.rebuilt, opened.tags(OID)) == (None, {})


def test_a_file_that_is_no_database_gives_no_tags(tmp_path: Path) -> None:
    (tmp_path / "map.db").write_bytes(b"no database" * 500)
    opened = SqliteMapStore(tmp_path / "map.db")
    assert opened.rebuilt is not None and opened.tags(OID) == {}
    opened.close()
