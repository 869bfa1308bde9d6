"""The frozen logs: rows as a hub wrote them, and what they fold to."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from aegis_tui.adapters.store.reader import LogReader
from aegis_tui.adapters.store.row import decode
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.event import Event
from aegis_tui.domain.run.history import RUN_EVENTS, logged_report, past_runs
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.workspace import Workspace
from aegis_tui.hub.recovery import recover
from aegis_tui.ports.event_log import LoggedReply

DATA = Path(__file__).with_name("data")
_WIDE = 3
"""From this depth on a value is written on one line."""


def logs() -> list[Path]:
    """Every frozen log."""
    return sorted((DATA / "logs").glob("*.sql"))


def restore(sql: Path, path: Path) -> None:
    """Make the log file again that the rows were read from, without a mark, as after a copy."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sql.read_text("utf-8"))


def rows_of(path: Path) -> str:
    """The log file as SQL text: every row with its checksum, and the version of its form."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = decode
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return "\n".join([*connection.iterdump(), f"PRAGMA user_version={version};\n"])


def write_log(path: Path, events: list[Event], *, snapshots: Iterable[int] = ()) -> None:
    """A log of these events as a hub writes it; at each of `snapshots` it keeps the state and lets older events go."""

    async def write() -> None:
        log, workspace, done = SqliteEventLog(path, kept_events=1), Workspace(), 0
        await log.open()
        for seq in [*snapshots, events[-1].seq]:
            some = events[done:seq]
            await log.append(some, [LoggedReply((some[-1].agent_id, f"r{seq}"), {"ok": True, "seq": seq})])
            for event in some:
                workspace.evolve(event)
            if seq != events[-1].seq:
                await log.save_snapshot(seq, workspace.dump())
            done = seq
        await log.close()

    asyncio.run(write())


def recovered(path: Path) -> Workspace:
    """The state that a hub starts with on this log."""

    async def load() -> Workspace:
        log = SqliteEventLog(path)
        await log.open()
        try:
            return await recover(log, now=0.0)
        finally:
            await log.close()

    return asyncio.run(load())


def told(path: Path) -> dict[str, Any]:
    """What the command line tells of a log: its runs, and the report of each."""
    reader = LogReader(path)
    marks, events = reader.events(RUN_EVENTS), reader.events()
    runs = past_runs(marks)
    reports = {
        item["run"]: fold_report(events, item["run"]) if item["started_at"] else logged_report(marks, item["run"])
        for item in runs
    }
    return {"runs": runs, "reports": reports}


def text_of(value: Any, *, depth: int = 0) -> str:
    """JSON with a line for each thing in it, in the order of the value."""
    end = "\n" if depth == 0 else ""
    if depth >= _WIDE or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) + end
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, list):
        return "[" + ",".join(inner + text_of(item, depth=depth + 1) for item in value) + f"{outer}]{end}"
    named = (f"{inner}{json.dumps(name)}: {text_of(item, depth=depth + 1)}" for name, item in value.items())
    return "{" + ",".join(named) + f"{outer}}}{end}"


def folded(sql: Path, folder: Path) -> dict[str, str]:
    """The texts of the files that lie beside a frozen log, by suffix."""
    path = folder / f"{sql.stem}.db"
    restore(sql, path)
    report = told(path)
    return {".state.json": text_of(recovered(path).dump()), ".report.json": text_of(report)}
