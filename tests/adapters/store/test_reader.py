"""A look into a log that a hub writes, that was killed, or that nobody has open; it changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from aegis_tui.adapters.store.reader import LogReader
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import Broadcast
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StoreError, UsageError

AT = "2026-01-01T00:00:00.000Z"


def notes(first: int, last: int) -> list[Event]:
    return [Event(seq, "person", AT, Broadcast(event="note:x", data={"n": seq})) for seq in range(first, last + 1)]


def test_events_are_read_while_the_log_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        await log.append(notes(1, 3), [])
        reader = LogReader(log.path)
        assert [event.seq for event in reader.events()] == [1, 2, 3]
        await log.append(notes(4, 5), [])
        assert [event.seq for event in reader.events(after=3)] == [4, 5]
        assert reader.events(("run:started",)) == []
        await log.close()
        assert [event.seq for event in reader.events(("broadcast",))] == [1, 2, 3, 4, 5]

    asyncio.run(main())


def test_a_closed_log_is_read_without_leaving_a_file_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def write(events: list[Event]) -> int:
        log = SqliteEventLog(path)
        await log.open()
        await log.append(events, [])
        await log.close()
        return log.last_seq

    asyncio.run(write(notes(1, 2)))
    before = sorted(entry.name for entry in tmp_path.iterdir())
    assert LogReader(path).workspace().seq == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert asyncio.run(write(notes(3, 3))) == 3


def test_the_state_comes_from_the_newest_snapshot_and_what_followed(tmp_path: Path) -> None:
    async def main() -> None:
        log = SqliteEventLog(tmp_path / "log.db", kept_events=2)
        await log.open()
        workspace = Workspace()
        for event in notes(1, 8):
            workspace.evolve(event)
        await log.append(notes(1, 8), [])
        await log.save_snapshot(8, workspace.dump())
        await log.append(notes(9, 10), [])
        await log.close()

    asyncio.run(main())
    reader = LogReader(tmp_path / "log.db")
    assert reader.events()[0].seq > 1
    assert reader.workspace().seq == 10


def test_a_damaged_row_is_named_and_never_returned(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        log = SqliteEventLog(path)
        await log.open()
        await log.append(notes(1, 3), [])
        await log.close()

    asyncio.run(main())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE event SET body = replace(body, '2', '7') WHERE seq = 2")
    connection.close()
    with pytest.raises(StoreError, match=r"event 2 .* fails its checksum"):
        LogReader(path).events()


def test_no_log_is_said_as_that(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was ever logged"):
        LogReader(tmp_path / "log.db")
