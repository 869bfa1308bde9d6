import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from aegis_tui.adapters.store.answered import SMALLEST, AnsweredIndex
from aegis_tui.adapters.store.inspection import find_damage
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.errors import StoreError
from aegis_tui.ports.event_log import LoggedReply
from tests.adapters.store.logs import MakeEvents, change, fill, with_log


def test_a_flipped_bit_in_the_key_of_an_answer_is_said_and_its_request_not_carried_out_again(
    tmp_path: Path, make_events: MakeEvents
) -> None:
    path, key = tmp_path / "log.db", ("NATIVE-w01", "keep-this-id-0001")

    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 1), [LoggedReply(key, {"token": 7})])

    with_log(path, use)
    raw = bytearray(path.read_bytes())
    assert raw.count(key[1].encode()) == 1
    raw[raw.index(key[1].encode()) + 16] ^= 2
    path.write_bytes(raw)
    assert find_damage(path) is not None

    async def main() -> None:
        log = SqliteEventLog(path)
        with pytest.raises(StoreError, match="answer to request") as caught:
            await log.open()
            await log.find_replies([key])
        assert "hub repair" in caught.value.hint
        await log.close()

    asyncio.run(main())


_BY_ASKER = """
CREATE TABLE request(
  agent_id TEXT NOT NULL, request_id TEXT NOT NULL, seq INTEGER NOT NULL, reply TEXT NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY(agent_id, request_id)) WITHOUT ROWID;
CREATE INDEX request_by_seq ON request(seq);
"""


def test_a_log_whose_answers_lie_in_the_order_of_their_askers_goes_on(tmp_path: Path, make_events: MakeEvents) -> None:
    path, first, second = tmp_path / "log.db", ("NATIVE-w01", "r1"), ("CLAUDE-w02", "r1")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_BY_ASKER)

    async def begin(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 1), [LoggedReply(first, {"token": 1})])
        await log.append(make_events(2, 2), [LoggedReply(second, {"token": 2})])

    async def go_on(log: SqliteEventLog) -> None:
        known = {first: {"token": 1}, second: {"token": 2}}
        assert await log.find_replies([first, second, ("CLAUDE-w02", "r2")]) == known
        await log.append(make_events(3, 3), [LoggedReply(("CLAUDE-w02", "r2"), {"token": 3})])
        await log.save_snapshot(3, {"a": 1})
        assert await log.find_replies([("CLAUDE-w02", "r2"), first]) == {
            ("CLAUDE-w02", "r2"): {"token": 3},
            first: {"token": 1},
        }

    with_log(path, begin)
    assert find_damage(path) is None
    with_log(path, go_on)
    assert find_damage(path) is None


def test_a_commit_writes_few_pages_however_many_ask(tmp_path: Path, make_events: MakeEvents) -> None:
    path = tmp_path / "log.db"
    askers, rounds = 50, 40

    async def use(log: SqliteEventLog) -> None:
        for turn in range(rounds):
            first = turn * askers + 1
            replies = [
                LoggedReply((f"CLAUDE-w{number:02}", f"r{turn}"), {"text": "x" * 200}) for number in range(askers)
            ]
            await log.append(make_events(first, first + askers - 1), replies)
        written = path.with_name("log.db-wal").stat().st_size
        assert written < rounds * askers * 1_500

    with_log(path, use)


async def _assert_known(log: SqliteEventLog, key: tuple[str, str]) -> None:
    assert await log.find_replies([key]) == {key: {"token": 7}}


def test_an_answer_that_is_lost_while_the_log_is_open_is_missed(tmp_path: Path, make_events: MakeEvents) -> None:
    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 1), [LoggedReply(("NATIVE-w01", "r1"), {"token": 7})])
        log._db.execute("UPDATE request SET request_id = 'r9'")
        with pytest.raises(StoreError, match="answer to request r1"):
            await log.find_replies([("NATIVE-w01", "r1")])

    with_log(tmp_path / "log.db", use)


def test_a_changed_answer_is_not_given(tmp_path: Path, make_events: MakeEvents) -> None:
    path = tmp_path / "log.db"
    fill(path, make_events(1, 1))
    change(path, "UPDATE request SET reply = '{\"token\":8}'")
    with pytest.raises(StoreError, match="answer to request r1"):
        with_log(path, lambda log: _assert_known(log, ("NATIVE-w01", "r1")))


def test_only_the_newest_answers_are_remembered(
    tmp_path: Path, make_events: MakeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.adapters.store.sqlite_log.REPLIES_KEPT_EVENTS", 5)

    async def main() -> None:
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        for number in range(1, 11):
            await log.append(make_events(number, number), [LoggedReply(("a", f"r{number}"), {"n": number})])
        await log.save_snapshot(10, {})
        keys = [("a", f"r{number}") for number in range(1, 11)]
        kept = await log.find_replies(keys)
        assert [reply["n"] for reply in kept.values()] == list(range(5, 11))
        assert len(log._answered) == 6
        await log.close()
        again = SqliteEventLog(tmp_path / "log.db")
        await again.open()
        assert await again.find_replies(keys) == kept
        await again.close()

    asyncio.run(main())


def test_an_answer_that_is_forgotten_while_it_is_looked_up_is_not_there(
    tmp_path: Path, make_events: MakeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.adapters.store.sqlite_log.REPLIES_KEPT_EVENTS", 2)
    key, go_on = ("NATIVE-w01", "r1"), threading.Event()

    async def use(log: SqliteEventLog) -> None:
        await log.append(make_events(1, 1), [LoggedReply(key, {"token": 1})])
        await log.append(make_events(2, 9), [])
        log._thread.submit(go_on.wait)
        snapshot = asyncio.create_task(log.save_snapshot(9, {"a": 1}))
        lookup = asyncio.create_task(log.find_replies([key]))
        await asyncio.sleep(0)
        go_on.set()
        await snapshot
        assert await lookup == {}

    with_log(tmp_path / "log.db", use)


def test_of_two_answers_to_one_request_the_later_event_counts_in_whatever_order_they_are_read() -> None:
    index = AnsweredIndex()
    index.extend([("a", 9), ("b", 2), ("a", 3)])
    index.extend([("b", 7)])
    assert (index.find("a"), index.find("b"), index.find("c"), len(index)) == (9, 7, None, 2)


def test_more_answers_at_once_than_there_is_room_for_are_all_found() -> None:
    index = AnsweredIndex([("first", 1)])
    index.extend([(f"r{number}", number) for number in range(1, SMALLEST)])
    assert len(index) == SMALLEST
    assert all(index.find(f"r{number}") == number for number in range(1, SMALLEST))
    assert index.find("first") == 1
