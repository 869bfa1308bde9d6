"""What can still be read of a damaged log, put into a new one.

The newest intact snapshot and the unbroken run of intact events around it are kept. Every number that was given out
after that is filled with a note, so that no fencing token is ever given out twice. Answers kept for retries are let go.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.adapters.store.mark import AcknowledgedMark
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog, checked_event
from aegis_tui.domain.event import Event
from aegis_tui.domain.message import Broadcast
from aegis_tui.errors import StoreError

LOST_EVENT = "note:lost"
"""The event that stands in for one that could not be read."""

_FILES = ("", "-wal", "-shm")
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Salvage:
    """What came of it.

    Attributes:
        kept: How many events could be kept.
        lost: First and last number of what was acknowledged after them, or None.
        forgotten: How many older events were let go, whose effect the snapshot holds.
        put_aside: Where the damaged file is now.
    """

    kept: int
    lost: tuple[int, int] | None
    forgotten: int
    put_aside: Path


async def salvage(path: Path, timestamp: str) -> Salvage:
    """Replace a damaged log by what can be read of it; the damaged files stay beside it under another name.

    Args:
        path: The log. No process has it open.
        timestamp: For the notes, RFC 3339 UTC.

    Raises:
        StoreError: Nothing usable is left, or the disk refuses; the log is as it was.
    """
    mark = AcknowledgedMark(path.with_suffix(".mark"))
    marked = mark.open()
    mark.close()
    draft = path.with_name(f"{path.stem}.salvaged.db")
    _remove(draft)
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as old:
            snapshot, events, first, highest = _read(path, old)
        newest = max(marked, highest, events[-1].seq)
        fillers = _fillers(events[-1].seq + 1, newest, timestamp)
        await _write(draft, [*events, *fillers], snapshot)
        aside = _put_aside(path)
        _replace(draft, path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"cannot salvage {path}: {error}", "restore it from a backup") from error
    finally:
        _remove(draft)
    lost = (events[-1].seq + 1, newest) if fillers else None
    return Salvage(len(events), lost, events[0].seq - first, aside)


_Snapshot = tuple[int, dict[str, Any]] | None


def _read(path: Path, old: sqlite3.Connection) -> tuple[_Snapshot, list[Event], int, int]:
    """The snapshot to begin with, the run of events around it, and the numbers of the first and the last event."""
    old.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    first, highest = _bounds(old)
    for snapshot in [*_snapshots(old), None]:
        seq = snapshot[0] if snapshot else 0
        before = list(_run(old, range(seq, first - 1, -1))) if snapshot else []
        after = list(_run(old, range(seq + 1, highest + 1)))
        if (before or after) and (snapshot or after[0].seq == 1):
            return snapshot, [*reversed(before), *after], first, highest
    raise StoreError(f"nothing of {path} can be used", "restore it from a backup, or move it away to start anew")


def _bounds(old: sqlite3.Connection) -> tuple[int, int]:
    """The numbers of the first and the last event that the file admits to have."""
    with contextlib.suppress(sqlite3.DatabaseError):
        first, last = old.execute("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)").fetchone()
        return int(first or 1), int(last or 0)
    return 1, 0


def _snapshots(old: sqlite3.Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    with contextlib.suppress(sqlite3.DatabaseError):
        for seq, body, crc in old.execute("SELECT seq, body, crc FROM snapshot ORDER BY seq DESC").fetchall():
            if isinstance(body, bytes) and crc == zlib.crc32(body, seq):
                yield int(seq), json.loads(zlib.decompress(body))


def _run(old: sqlite3.Connection, numbers: range) -> Iterator[Event]:
    """Events of these numbers, until one is missing or damaged."""
    for seq in numbers:
        try:
            row = old.execute("SELECT seq, ts, type, agent_id, body, crc FROM event WHERE seq = ?", (seq,)).fetchone()
        except sqlite3.DatabaseError:
            return
        event = checked_event(row)
        if event is None:
            return
        yield event


def _fillers(first: int, last: int, timestamp: str) -> list[Event]:
    return [Event(seq, "hub", timestamp, Broadcast(event=LOST_EVENT)) for seq in range(first, last + 1)]


async def _write(draft: Path, events: list[Event], snapshot: _Snapshot) -> None:
    log = SqliteEventLog(draft)
    await log.open(first_seq=events[0].seq)
    try:
        for at in range(0, len(events), _BATCH):
            await log.append(events[at : at + _BATCH], [])
        if snapshot is not None:
            await log.save_snapshot(*snapshot)
    finally:
        await log.close()


def _put_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}.db")).exists():
        number += 1
    for suffix in _FILES:
        if (file := Path(f"{path}{suffix}")).exists():
            file.replace(f"{aside}{suffix}")
    return aside


def _replace(draft: Path, path: Path) -> None:
    draft.with_suffix(".mark").replace(path.with_suffix(".mark"))
    for suffix in _FILES:
        if (file := Path(f"{draft}{suffix}")).exists():
            file.replace(f"{path}{suffix}")


def _remove(draft: Path) -> None:
    for file in (*(Path(f"{draft}{suffix}") for suffix in _FILES), draft.with_suffix(".mark")):
        file.unlink(missing_ok=True)
