"""The memory of failures: kept, found by words and by spelling, forgotten for good (MEM-1 to MEM-4)."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aegis_tui.adapters.memory.sqlite import SqliteFailureMemory
from aegis_tui.domain.memory.model import Failure
from aegis_tui.errors import StoreError

CART = Failure(
    id="run1-7",
    at="2024-01-01T00:00:07Z",
    run="run1",
    piece="cart",
    spec="Add a cart",
    agent_id="NATIVE-w01",
    kind="native",
    model="m",
    code="sent-back",
    error="the total ignores discounts",
    trace="tests/test_cart.py::test_discount failed",
    tried="Sum up the prices",
    files=("src/shop/cart.py",),
)
LOGIN = replace(
    CART,
    id="run1-9",
    at="2024-01-01T00:00:09Z",
    piece="login",
    spec="Check passwords",
    error="the session never expires",
    trace="",
    tried="",
    kind="claude",
    files=("src/auth.py",),
    resolution="Expire after a day",
    resolved_by="NATIVE-w03",
)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SqliteFailureMemory]:
    opened = SqliteFailureMemory(tmp_path / "state" / "memory.db")
    opened.keep([CART, LOGIN])
    yield opened
    opened.close()


def test_failures_come_back_as_they_were_stored_the_newest_first(memory: SqliteFailureMemory) -> None:
    assert memory.last(10) == [LOGIN, CART]
    assert memory.last(1) == [LOGIN]
    assert memory.path.stat().st_mode & 0o777 == 0o600


def test_similar_failures_are_found_by_words_and_by_spelling(memory: SqliteFailureMemory) -> None:
    assert next(item.failure.id for item in memory.similar("discounts of the cart", 5)) == "run1-7"
    assert next(item.failure.id for item in memory.similar("expiring sessions", 5)) == "run1-9"
    assert memory.similar("", 5) == [] and memory.similar("zzz", 5) == []
    assert all(0 < item.score <= 1 for item in memory.similar("cart login session", 5))


def test_a_failure_that_was_resolved_later_is_replaced(memory: SqliteFailureMemory) -> None:
    resolved = replace(CART, resolution="Subtract them", resolved_by="NATIVE-w02")
    memory.keep([resolved])
    assert memory.last(10) == [LOGIN, resolved]
    assert [item.failure for item in memory.similar("discounts", 5)] == [resolved]


def test_failures_are_counted_by_kind_and_model(memory: SqliteFailureMemory) -> None:
    memory.keep([replace(CART, id="run2-1")])
    assert [tuple(item) for item in memory.by_agent()] == [("native", "m", 2, 0), ("claude", "m", 1, 1)]


def test_what_is_forgotten_is_gone_from_the_file_and_does_not_come_back(memory: SqliteFailureMemory) -> None:
    assert memory.forget("run1-7") and not memory.forget("run1-7")
    memory.keep([CART])
    assert memory.last(10) == [LOGIN]
    memory.close()
    assert b"discount" not in memory.path.read_bytes()


def test_vectors_have_their_make_beside_them_and_are_made_again_when_it_is_another(memory: SqliteFailureMemory) -> None:
    memory.close()
    with sqlite3.connect(memory.path) as connection:
        assert connection.execute("SELECT DISTINCT vector_model, vector_dimension FROM failure").fetchall() == [
            ("letters-512", 512)
        ]
        connection.execute("UPDATE failure SET vector_model='old', vector=x'00'")
    connection.close()
    opened = SqliteFailureMemory(memory.path)
    assert [item.failure.id for item in opened.similar("expiring sessions", 1)] == ["run1-9"]
    opened.close()


def test_a_memory_of_a_newer_version_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * 100)
    for path in (newer, damaged):
        with pytest.raises(StoreError, match="memory"):
            SqliteFailureMemory(path)


def test_an_error_says_what_helps(memory: SqliteFailureMemory) -> None:
    """A damaged file is moved away; one that is busy, or on a full disk, is not."""
    memory._connection.execute("PRAGMA busy_timeout=1")  # type: ignore[union-attr]
    with contextlib.closing(sqlite3.connect(memory.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked") as locked:
            memory.last(1)
        other.execute("ROLLBACK")
    pages = memory._connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[union-attr]
    memory._connection.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[union-attr]
    with pytest.raises(StoreError, match="full") as full:
        memory.keep([replace(CART, id=f"run3-{number}", trace="word " * 4000) for number in range(50)])
    assert memory.last(10) == [LOGIN, CART]
    memory._connection.execute("UPDATE failure SET files='no JSON'")  # type: ignore[union-attr]
    with pytest.raises(StoreError) as unreadable:
        memory.last(1)
    hints = [item.value.hint for item in (locked, full, unreadable)]
    assert ["try again" in hint for hint in hints] == [True, False, False]
    assert ["free space" in hint for hint in hints] == [False, True, False]
    assert ["away" in hint for hint in hints] == [False, False, True]


def _write(path: Path, number: int) -> None:
    memory = SqliteFailureMemory(path)
    for turn in range(5):
        memory.keep([replace(CART, id=f"run{number}-{turn}")])
    memory.close()


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Ten processes that begin with no file."""
    path = tmp_path / "memory.db"
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=_write, args=(path, number)) for number in range(10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 10
    memory = SqliteFailureMemory(path)
    assert len(memory.last(1000)) == 50
    memory.close()
