"""The store of the code map: its three stores agree, also after kill -9; a damaged file is begun anew."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.adapters.code_map.python import python_facts
from aegis_tui.adapters.code_map.rows import remove
from aegis_tui.adapters.code_map.store import MapDamaged, SqliteMapStore
from aegis_tui.domain.code_map.entry import make_entry
from aegis_tui.errors import StoreError
from aegis_tui.ports.code_map import BlobKey

A = python_facts(b"import b\n\ndef parse_config(path):\n    'Read the settings.'\n    return b.load(path)\n")
B = python_facts(b"class Loader:\n    def load(self): pass\n\ndef load(x):\n    return Loader().load()\n")
ENTRY_A, ENTRY_B = make_entry(A), make_entry(B)
KEY_A, KEY_B = BlobKey("a" * 40, "python"), BlobKey("b" * 40, "python")

WRITER = """
import sys
from pathlib import Path
from aegis_tui.adapters.code_map.python import python_facts
from aegis_tui.adapters.code_map.rows import remove
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.domain.code_map.entry import make_entry
from aegis_tui.ports.code_map import BlobKey
store = SqliteMapStore(Path(sys.argv[1]))
print("open", flush=True)
number = int(sys.argv[2])
while True:
    entries = []
    for _ in range(5):
        number += 1
        text = "".join(f"def f{number}_{at}(a, b):\\n    'Does {at}.'\\n    return g{at}(a)\\n" for at in range(40))
        entries.append((BlobKey(f"{number:040}", "python"), make_entry(python_facts(text.encode()))))
    store.put(entries)
    if number % 60 == 0:
        store.set_view({})
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteMapStore]:
    opened = SqliteMapStore(tmp_path / "new" / "map.db")
    opened.put([(KEY_A, ENTRY_A), (KEY_B, ENTRY_B)])
    opened.set_view({"src/a.py": KEY_A, "src/b.py": KEY_B, "copy/b.py": KEY_B, "gone.py": BlobKey("c" * 40, "python")})
    yield opened
    opened.close()


def test_a_symbol_is_looked_up_by_its_last_or_its_whole_name(store: SqliteMapStore) -> None:
    names = [(item.path, item.symbol.name, item.symbol.line) for item in store.named("load")]
    assert names == [
        ("copy/b.py", "Loader.load", 2),
        ("copy/b.py", "load", 4),
        ("src/b.py", "Loader.load", 2),
        ("src/b.py", "load", 4),
    ]
    assert [item.path for item in store.named("Loader.load")] == ["copy/b.py", "src/b.py"]
    assert store.named("oader.load") == store.named("Load") == store.named("%") == []


def test_the_facts_of_a_file_come_back_whole(store: SqliteMapStore) -> None:
    assert (store.facts("src/a.py"), store.facts("copy/b.py"), store.facts("gone.py")) == (A, B, None)
    assert store.paths() == ["copy/b.py", "src/a.py", "src/b.py"]


def test_relations_and_meaning_are_asked_for_the_view_only(store: SqliteMapStore) -> None:
    assert store.mentioning("load") == ["copy/b.py", "src/a.py", "src/b.py"]
    assert [item.symbol.name for item in store.matching(["settings"], count=5)] == ["parse_config"]
    assert [item.symbol.name for item in store.alike(["parsing", "configs"], count=1)] == ["parse_config"]
    store.set_view({"src/b.py": KEY_B})
    assert store.mentioning("load") == ["src/b.py"]
    assert store.matching(["settings"], count=5) == store.alike(["parsing", "configs"], count=1) == []


def test_text_of_a_query_is_not_read_as_syntax(store: SqliteMapStore) -> None:
    for text in ('"', "a OR b", "name:x", "*", "NEAR(", "-", "'"):
        assert store.matching([text], count=5) == [] or text == "a OR b"
        assert store.mentioning(text) == []


def test_a_content_is_stored_once_for_all_worktrees(store: SqliteMapStore) -> None:
    before = store.status()
    store.put([(KEY_A, ENTRY_A), (KEY_B, ENTRY_B)])
    assert store.status() == before
    assert (before.seq, before.blobs) == (1, 2)
    assert store.missing([KEY_A, KEY_B, BlobKey("a" * 40, "text")]) == [BlobKey("a" * 40, "text")]


def test_the_stores_agree_until_one_of_them_is_changed_alone(store: SqliteMapStore) -> None:
    assert store.disagreements() == []
    for statement, words in (
        ("UPDATE symbol SET vector = zeroblob(64) WHERE name = 'load'", "vectors"),
        ("INSERT INTO mention(rowid, names) VALUES(77, 'x')", "mention: 1 superfluous entry"),
        ("INSERT INTO meaning(rowid, name, words) VALUES(1048576, 'x', 'y')", "meaning: 2 superfluous entries"),
        ("DELETE FROM symbol WHERE name = 'parse_config'", "0 symbols instead of 1"),
        ("DELETE FROM blob WHERE oid LIKE 'b%'", "which is not stored"),
    ):
        with sqlite3.connect(store.path) as other:
            other.execute(statement)
        other.close()
        assert any(words in found for found in store.disagreements()), statement


def test_old_contents_are_deleted_from_all_three_stores(store: SqliteMapStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.adapters.code_map.store._SPARE_BLOBS", 10)
    store.put([(BlobKey(f"{number:040}", "python"), ENTRY_B) for number in range(30)])
    store.set_view({"src/b.py": KEY_B})
    assert store.status().blobs == 6
    assert store.missing([KEY_B]) == []
    assert store.disagreements() == []


def test_after_kill_9_at_random_points_the_stores_agree(tmp_path: Path) -> None:
    path, chance = tmp_path / "map.db", random.Random(18)
    written = 0
    for round_number in range(6):
        argv = [sys.executable, "-c", WRITER, str(path), str(round_number * 100_000)]
        writer = subprocess.Popen(argv, stdout=subprocess.PIPE)
        try:
            assert writer.stdout is not None and writer.stdout.readline() == b"open\n"
            time.sleep(chance.uniform(0.0, 0.4))
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.communicate(timeout=20)
        store = SqliteMapStore(path)
        assert (store.disagreements(), store.rebuilt) == ([], None)
        written = store.status().blobs
        store.close()
    assert written > 0


def test_a_damaged_file_is_begun_anew_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "map.db"
    path.write_bytes(b"this is no database" * 400)
    store = SqliteMapStore(path)
    assert store.rebuilt is not None and "damaged" in store.rebuilt
    store.put([(KEY_A, ENTRY_A)])
    assert store.disagreements() == []
    store.close()


def test_a_file_of_another_version_is_begun_anew(tmp_path: Path) -> None:
    store = SqliteMapStore(tmp_path / "map.db")
    store.put([(KEY_A, ENTRY_A)])
    store.close()
    with sqlite3.connect(store.path) as other:
        other.execute("UPDATE about SET value = '0' WHERE name = 'format'")
    other.close()
    again = SqliteMapStore(store.path)
    assert again.rebuilt == "it was written by another version of this program"
    assert again.status().blobs == 0
    again.close()


def test_a_file_from_before_the_machine_s_last_start_is_begun_anew(
    store: SqliteMapStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.adapters.code_map.store.boot_id", lambda: "another start")
    again = SqliteMapStore(store.path)
    assert again.rebuilt == "this machine was restarted after it was written"
    assert again.status().blobs == 0
    again.close()


def test_a_content_that_another_process_has_deleted_is_absent_and_not_damage(store: SqliteMapStore) -> None:
    view = {"src/a.py": KEY_A, "src/b.py": KEY_B}
    other = SqliteMapStore(store.path)
    for blob in (1, 2):
        with sqlite3.connect(store.path) as direct:
            remove(direct, blob)
        direct.close()
    assert (store.facts("src/a.py"), store.named("load"), store.missing([KEY_A])) == (None, [], [KEY_A])
    other.put([(KEY_B, ENTRY_B), (KEY_A, ENTRY_A)])
    store.set_view(view)
    assert (store.facts("src/a.py"), store.facts("src/b.py")) == (A, B)
    other.close()


def test_damage_that_shows_later_is_named_as_damage(store: SqliteMapStore) -> None:
    with sqlite3.connect(store.path) as other:
        other.execute("UPDATE blob SET relations = '[1,' WHERE oid LIKE 'a%'")
    other.close()
    with pytest.raises(MapDamaged, match="damaged"):
        store.facts("src/a.py")
    store.begin_anew("it was damaged")
    assert (store.rebuilt, store.paths(), store.status().blobs) == ("it was damaged", [], 0)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        SqliteMapStore(tmp_path / "file" / "map.db")


def test_the_file_is_the_person_s_alone(store: SqliteMapStore) -> None:
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_the_status_of_a_file_that_was_deleted_is_the_stores_error(store: SqliteMapStore) -> None:
    store.path.unlink()
    with pytest.raises(StoreError, match=r"cannot be used: .*map\.db"):
        store.status()
