"""Copies what can still be read of a damaged log to a new one.

It keeps the newest intact snapshot and the unbroken sequence of intact events around it, with their answers. Every
number that was used after that gets a filler event, so that no fencing token is ever given out twice. If nothing can be
read, the new log starts after all used numbers.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.adapters.store.ahead import merge_ahead
from aegis_tui.adapters.store.inspection import open_unchanged
from aegis_tui.adapters.store.mark import AcknowledgedMark
from aegis_tui.adapters.store.row import checked_event, is_sound_reply, unpack_snapshot
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog, store_error
from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import Broadcast
from aegis_tui.ports.log_file import BeginAnew, Salvage

LOST_EVENT = "note:lost"
"""The type of the filler event for an event that could not be read."""

UNMARKED_EVENTS = 100_000
"""How many numbers are skipped if there is no mark: more than are ever written between two snapshots, and each
snapshot moves the write-ahead log into the file."""

_FILES = ("", "-wal", "-shm")
_BATCH = 1_000
_Snapshot = tuple[int, dict[str, Any]] | None
_Reply = tuple[str, str, int, str, int]


@dataclass(frozen=True, slots=True)
class _Source:
    """What was read from one source; if `events` is empty, nothing in it can be used."""

    snapshot: _Snapshot
    events: list[Event]
    replies: list[_Reply]
    are_replies_whole: bool
    first: int
    highest: int

    @property
    def last(self) -> int:
        return self.events[-1].seq if self.events else 0


_NOTHING = _Source(None, [], [], False, 1, 0)


async def salvage(path: Path, timestamp: str, begin_anew: BeginAnew) -> Salvage:
    """Replace a damaged log by what can be read of it; the damaged files are kept beside it under another name.

    Args:
        path: The log; it may be missing. No process has it open.
        timestamp: For the filler events, RFC 3339 UTC.
        begin_anew: Takes the number of the first event of a new log, and returns the state to start from; called only
            if no event can be kept.

    Returns:
        What was kept and what is lost.

    Raises:
        StoreError: A file cannot be read or written, or a newer version of the program wrote an event. The log is
            unchanged then: files that were renamed have their former names again, unless the system refuses that too.
    """
    draft, merged = path.with_name(f"{path.stem}.salvaged.db"), path.with_name(f"{path.stem}.merged.db")
    try:
        _remove(draft, merged)
        marked = AcknowledgedMark(path.with_suffix(".mark")).read()
        source = max(_sources(path, merged), key=lambda source: source.last)
        first_lost, newest = _numbers(source, marked)
        fillers = _fillers(first_lost, newest, timestamp)
        snapshot = source.snapshot if source.events else (newest, begin_anew(newest))
        await _write(draft, [*source.events, *fillers], source.replies, snapshot)
        aside = _exchange(draft, path)
    except (sqlite3.Error, OSError) as error:
        raise store_error(path, "salvage", error) from error
    finally:
        with contextlib.suppress(OSError):
            _remove(draft, merged)
    last_lost = newest if source.events else newest - 1
    lost = (source.last + 1, last_lost) if source.last < last_lost else None
    forgotten = source.events[0].seq - source.first if source.events else 0
    return Salvage(len(source.events), lost, forgotten, aside, source.are_replies_whole, marked is not None)


def _numbers(source: _Source, marked: int | None) -> tuple[int, int]:
    """Return the first and last number to fill; the last is the newest event of the new log.

    If nothing is to be filled, the first is one more than the last.

    Args:
        source: What is kept of the damaged log.
        marked: The number in the file with the mark; None if that is missing or damaged.
    """
    known = max(marked or 0, source.highest, source.last)
    if source.events:
        newest = known if marked is not None else known + UNMARKED_EVENTS
        return source.last + 1, newest
    begin = known + 1 if marked is not None else max(known + UNMARKED_EVENTS, int(time.time()))
    return begin, begin


def _sources(path: Path, merged: Path) -> Iterator[_Source]:
    """Yield what SQLite can read of a log, and what can be read beyond damage in its write-ahead log.

    The first item is empty, so that there is always one.

    Args:
        path: The log; it is not changed.
        merged: A file to create for a copy of the log.

    Raises:
        OSError: A file cannot be read or written.
        StoreError: A newer version of the program wrote an event.
    """
    yield _NOTHING
    with contextlib.suppress(sqlite3.DatabaseError):
        if path.exists():
            yield _read(path)
    with contextlib.suppress(sqlite3.DatabaseError):
        if merge_ahead(path, merged):
            yield _read(merged)


def _read(path: Path) -> _Source:
    """Return the newest usable snapshot of a log, the unbroken events around it, and their answers.

    A snapshot is usable if an intact event is next to it; without one, the events must begin with number 1. If the
    result has no events, nothing in the log can be used.

    Raises:
        sqlite3.DatabaseError: The log cannot be opened.
        StoreError: A newer version of the program wrote an event.
    """
    with open_unchanged(path) as old:
        first, highest = _bounds(old)
        for snapshot in [*_snapshots(old), None]:
            seq = snapshot[0] if snapshot else 0
            before = list(_run(old, range(seq, first - 1, -1))) if snapshot else []
            after = list(_run(old, range(seq + 1, highest + 1)))
            if (before or after) and (snapshot or after[0].seq == 1):
                events = [*reversed(before), *after]
                return _Source(snapshot, events, *_replies(old, events[-1].seq), first, highest)
        return _Source(None, [], [], False, first, highest)


def _bounds(old: sqlite3.Connection) -> tuple[int, int]:
    """Return the numbers of the first and last event according to the file; (1, 0) without events or if unreadable."""
    with contextlib.suppress(sqlite3.DatabaseError):
        first, last = old.execute("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)").fetchone()
        return int(first or 1), int(last or 0)
    return 1, 0


def _snapshots(old: sqlite3.Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    with contextlib.suppress(sqlite3.DatabaseError):
        for row in old.execute("SELECT seq, body, crc FROM snapshot ORDER BY seq DESC").fetchall():
            if (snapshot := unpack_snapshot(row)) is not None:
                yield snapshot


def _replies(old: sqlite3.Connection, last: int) -> tuple[list[_Reply], bool]:
    """Return the intact answers to requests that belong to events up to `last`, and whether no answer was damaged.

    False, with those that were read before, if the table cannot be read to its end. Raises nothing.
    """
    rows: list[_Reply] = []
    is_whole = False
    with contextlib.suppress(sqlite3.DatabaseError):
        rows.extend(old.execute("SELECT agent_id, request_id, seq, reply, crc FROM request"))
        is_whole = True
    sound = [row for row in rows if is_sound_reply(row)]
    return [row for row in sound if row[2] <= last], is_whole and len(sound) == len(rows)


def _run(old: sqlite3.Connection, numbers: range) -> Iterator[Event]:
    """Yield the events with these numbers, in their order, up to the first that is missing or damaged.

    Raises:
        StoreError: A newer version of the program wrote an event.
    """
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


async def _write(draft: Path, events: list[Event], replies: list[_Reply], snapshot: _Snapshot) -> None:
    log = SqliteEventLog(draft)
    await log.open(first_seq=events[0].seq)
    try:
        for at in range(0, len(events), _BATCH):
            await log.append(events[at : at + _BATCH], [])
        await log.restore_replies(replies)
        if snapshot is not None:
            await log.save_snapshot(*snapshot)
    finally:
        await log.close()


def _exchange(draft: Path, path: Path) -> Path | None:
    """Put the new log `draft` and its mark in the place of a log, whose files get another name.

    Returns:
        The new name of the damaged log, beside which are its `-wal` and `-shm`; None if there was no log.

    Raises:
        OSError: A file cannot be linked or renamed. Those that were renamed before it have their former names again,
            as far as the system permits.
    """
    aside, has_log = _unused_name(path), path.exists()
    if has_log:
        os.link(path, aside)  # first: if it fails, the write-ahead log must still be beside the log
    mark, old_mark = path.with_suffix(".mark"), draft.with_suffix(".old")
    beside = [(Path(f"{path}{suffix}"), Path(f"{aside}{suffix}")) for suffix in _FILES[1:]]
    renames = [*beside, (mark, old_mark), (draft.with_suffix(".mark"), mark), (draft, path)]
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in renames:
            if old.exists() or old in (draft, draft.with_suffix(".mark")):
                old.replace(new)
                done.append((old, new))
    except OSError:
        with contextlib.suppress(OSError):
            for old, new in reversed(done):
                new.replace(old)
            if has_log:
                aside.unlink()
        raise
    return aside if has_log else None


def _unused_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}.db")).exists():
        number += 1
    return aside


def _remove(*drafts: Path) -> None:
    for draft in drafts:
        beside = (draft.with_suffix(".mark"), draft.with_suffix(".old"))
        for file in (*(Path(f"{draft}{suffix}") for suffix in _FILES), *beside):
            file.unlink(missing_ok=True)
