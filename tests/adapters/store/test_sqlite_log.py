import asyncio
import contextlib
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from aegis_tui.adapters.store.inspection import find_damage
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.errors import StoreError
from aegis_tui.ports.event_log import LoggedReply
from tests.adapters.store.logs import MakeEvents, change, fill, with_log


def test_events_and_answers_come_back_as_they_were_written(tmp_path: Path, make_events: MakeEvents) -> None:
    path = tmp_path / "log.db"
    events = make_events(1, 10)
    fill(path, events)

    async def use(log: SqliteEventLog) -> None:
        assert log.last_seq == 10
        assert await log.read(0, 100) == events
        assert await log.read(3, 2) == events[3:5]
        assert await log.read(10, 5) == []
        assert await log.read(0, 0) == []
        found = await log.find_replies([("NATIVE-w01", "r1"), ("NATIVE-w02", "r1")])
        assert found == {("NATIVE-w01", "r1"): {"token": 7}}

    with_log(path, use)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_gap_is_never_written(tmp_path: Path, make_events: MakeEvents) -> None:
    async def use(log: SqliteEventLog) -> None:
        with pytest.raises(StoreError, match="does not follow"):
            await log.append(make_events(2, 3), [])
        assert await log.read(0, 10) == []

    with_log(tmp_path / "log.db", use)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE event SET body = replace(body, 'w02', 'w03') WHERE seq = 5", "event 5 .*checksum"),
        ("UPDATE event SET agent_id = 'NATIVE-w03' WHERE seq = 5", "event 5 .*checksum"),
        ("UPDATE event SET body = CAST(body AS BLOB) WHERE seq = 5", "event 5 "),
        ("DELETE FROM event WHERE seq = 5", "event 5 .*missing"),
    ],
)
def test_a_changed_or_missing_event_is_named_and_never_served(
    tmp_path: Path, make_events: MakeEvents, sql: str, told: str
) -> None:
    path = tmp_path / "log.db"
    fill(path, make_events(1, 10))
    change(path, sql)

    async def use(log: SqliteEventLog) -> None:
        with pytest.raises(StoreError, match=told) as caught:
            await log.read(0, 100)
        assert "backup" in caught.value.hint
        assert len(await log.read(5, 100)) == 5

    with_log(path, use)


@pytest.mark.parametrize("bit", [1, 128])
def test_one_flipped_bit_in_the_file_is_noticed(tmp_path: Path, make_events: MakeEvents, bit: int) -> None:
    path = tmp_path / "log.db"
    fill(path, make_events(1, 10))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b'"seq":5,') + 40] ^= bit
    path.write_bytes(raw)

    async def use(log: SqliteEventLog) -> None:
        assert len(await log.read(0, 4)) == 4
        with pytest.raises(StoreError, match=r"event 5 .*checksum"):
            await log.read(0, 100)

    with_log(path, use)


def test_acknowledged_events_that_are_gone_are_noticed_at_the_next_start(
    tmp_path: Path, make_events: MakeEvents
) -> None:
    path = tmp_path / "log.db"
    fill(path, make_events(1, 10))
    change(path, "DELETE FROM event WHERE seq > 8")

    async def main() -> None:
        log = SqliteEventLog(path)
        with pytest.raises(StoreError, match="ends at event 8, but event 10 was acknowledged") as caught:
            await log.open()
        assert "hub repair" in caught.value.hint and "log.mark" not in caught.value.hint
        await log.close()

    asyncio.run(main())


def test_a_damaged_write_ahead_log_does_not_pass_for_a_torn_one(tmp_path: Path, make_events: MakeEvents) -> None:
    path, copy = tmp_path / "log.db", tmp_path.with_name(f"{tmp_path.name}-copy")

    async def use(log: SqliteEventLog) -> None:
        for seq in range(1, 6):
            await log.append(make_events(seq, seq), [])
        await asyncio.to_thread(shutil.copytree, tmp_path, copy)

    with_log(path, use)
    ahead = copy / "log.db-wal"
    raw = bytearray(ahead.read_bytes())
    raw[-2000] ^= 1
    ahead.write_bytes(raw)
    before = (copy / "log.db").read_bytes()

    async def main() -> None:
        log = SqliteEventLog(copy / "log.db")
        with pytest.raises(StoreError, match="was acknowledged"):
            await log.open()
        await log.close()

    asyncio.run(main())
    assert ahead.read_bytes() == raw and (copy / "log.db").read_bytes() == before, "a refused start must change nothing"


@pytest.mark.parametrize("is_damaged", [False, True])
def test_without_its_mark_a_log_that_was_not_closed_is_not_trusted(
    tmp_path: Path, make_events: MakeEvents, is_damaged: bool
) -> None:
    path, copy = tmp_path / "log.db", tmp_path.with_name(f"{tmp_path.name}-copy")

    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 3), [])
        await asyncio.to_thread(shutil.copytree, tmp_path, copy)

    with_log(path, use)
    if is_damaged:
        (copy / "log.mark").write_bytes(bytes(12))
    else:
        (copy / "log.mark").unlink()
    with pytest.raises(StoreError, match=r"log.mark is missing or damaged"):
        with_log(copy / "log.db", use)
    path.with_suffix(".mark").unlink()
    with_log(path, lambda log: _assert_last(log, 3))


async def _assert_last(log: SqliteEventLog, seq: int) -> None:
    assert log.last_seq == seq


@pytest.mark.parametrize("name", ["event", "request", "request_by_seq", "snapshot"])
def test_a_damaged_page_of_any_table_or_index_is_found(tmp_path: Path, make_events: MakeEvents, name: str) -> None:
    path = tmp_path / "log.db"

    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 50), [LoggedReply(("a", f"r{number}"), {}) for number in range(50)])
        await log.save_snapshot(50, {"a": 1})

    with_log(path, use)
    assert find_damage(path) is None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    raw = bytearray(path.read_bytes())
    raw[(page - 1) * 4096 : (page - 1) * 4096 + 200] = b"\xff" * 200
    path.write_bytes(raw)
    assert find_damage(path)


def test_damage_to_the_file_itself_is_a_store_error(tmp_path: Path, make_events: MakeEvents) -> None:
    path = tmp_path / "log.db"
    fill(path, make_events(1, 500))
    raw = bytearray(path.read_bytes())
    raw[4096:] = bytes(len(raw) - 4096)
    path.write_bytes(raw)

    async def main() -> None:
        log = SqliteEventLog(path)
        try:
            with pytest.raises(StoreError):
                await log.open()
                await log.read(0, 1000)
        finally:
            await log.close()

    asyncio.run(main())


def test_a_log_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    change(path, "PRAGMA user_version = 99")

    async def main() -> None:
        log = SqliteEventLog(path)
        with pytest.raises(StoreError, match="newer"):
            await log.open()
        await log.close()

    asyncio.run(main())


@pytest.mark.parametrize("wrong", ["body || x'00'", "(SELECT body FROM snapshot WHERE seq = 6)"])
def test_snapshots_replace_each_other_and_a_damaged_one_is_passed_over(
    tmp_path: Path, make_events: MakeEvents, wrong: str
) -> None:
    path = tmp_path / "log.db"

    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 9), [])
        for seq in (3, 6, 9):
            await log.save_snapshot(seq, {"seq": seq, "이름": "값"})
        assert [seq for seq, _ in await log.load_snapshots()] == [9, 6]

    with_log(path, use)
    change(path, f"UPDATE snapshot SET body = {wrong} WHERE seq = 9")

    async def again(log: SqliteEventLog) -> None:
        assert await log.load_snapshots() == [(6, {"seq": 6, "이름": "값"})]

    with_log(path, again)


def test_compaction_keeps_what_the_oldest_snapshot_needs(tmp_path: Path, make_events: MakeEvents) -> None:
    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 100), [])
        await log.save_snapshot(40, {})
        await log.save_snapshot(80, {})
        assert log.first_seq == 41
        assert [event.seq for event in await log.read(0, 3)] == [41, 42, 43]
        await log.save_snapshot(100, {})
        assert log.first_seq == 81

    with_log(tmp_path / "log.db", use, kept_events=10)

    async def again(log: SqliteEventLog) -> None:
        assert (log.first_seq, log.last_seq) == (81, 100)

    with_log(tmp_path / "log.db", again, kept_events=10)


def test_an_append_that_fails_leaves_nothing_behind(tmp_path: Path, make_events: MakeEvents) -> None:
    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 2), [])
        bad = make_events(3, 4)
        with pytest.raises(StoreError):
            await log.append([*bad, bad[0]], [])
        assert log.last_seq == 2
        assert len(await log.read(0, 10)) == 2

    async def again(log: SqliteEventLog) -> None:
        await log.append(make_events(3, 4), [])
        assert log.last_seq == 4

    with_log(tmp_path / "log.db", use)
    with_log(tmp_path / "log.db", again)


def test_every_commit_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    async def main() -> None:
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        assert log._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: https://sqlite.org/pragma.html"
        assert log._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        await log.close()

    asyncio.run(main())


def test_text_that_utf8_cannot_carry_comes_back_quoted(tmp_path: Path) -> None:
    message = MessageSent(to="NATIVE-w02", text="한국어 \u2028")
    odd = [
        Event(1, "NATIVE-w01", "t", message),
        Event(2, "NATIVE-w01", "t", message.model_copy(update={"text": "\udcff"})),
    ]

    async def use(log: SqliteEventLog) -> None:
        await log.append(odd, [LoggedReply(("NATIVE-w01", "r"), {"path": "\udcff"})])
        assert await log.find_replies([("NATIVE-w01", "r")]) == {("NATIVE-w01", "r"): {"path": r'"\377"'}}
        assert await log.read(0, 1) == odd[:1]
        assert (await log.read(1, 1))[0].data.model_dump()["text"] == r'"\377"'

    with_log(tmp_path / "log.db", use)
