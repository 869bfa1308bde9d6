"""A log that is opened, used and closed, and one that is changed behind its back."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.event import Event
from aegis_tui.ports.event_log import LoggedReply

MakeEvents = Callable[[int, int], list[Event]]


def with_log(path: Path, use: Callable[[SqliteEventLog], Coroutine[Any, Any, None]], **options: int) -> None:
    """Open the log, use it, close it."""

    async def main() -> None:
        log = SqliteEventLog(path, **options)
        try:
            await log.open()
            await use(log)
        finally:
            await log.close()

    asyncio.run(main())


def fill(path: Path, events: list[Event]) -> None:
    async def use(log: SqliteEventLog) -> None:
        await log.append(events, [LoggedReply(("NATIVE-w01", "r1"), {"token": 7})])

    with_log(path, use)


def change(path: Path, sql: str) -> None:
    """Edit the file behind the log's back."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(sql)
        connection.commit()
    finally:
        connection.close()
