"""The rows of the log's tables and their checksums: a row with a wrong checksum is never used."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Any

from aegis_tui.domain.event import Event, event_from_wire, event_to_wire
from aegis_tui.domain.model import compact_json
from aegis_tui.ports.event_log import LoggedReply, RequestKey

EventRow = tuple[int, str, str, str, str, int]
ReplyRow = tuple[str, str, int, str, int]

FORMAT_VERSION = 1
"""The `PRAGMA user_version` of the files that we write."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS event(
  seq INTEGER PRIMARY KEY, ts TEXT NOT NULL, type TEXT NOT NULL, agent_id TEXT NOT NULL,
  body TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS request(
  agent_id TEXT NOT NULL, request_id TEXT NOT NULL, seq INTEGER NOT NULL, reply TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS request_by_seq ON request(seq);
CREATE TABLE IF NOT EXISTS snapshot(seq INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL);
"""
"""Both long tables grow only at their end. With the answers ordered by client, each commit
wrote one page per client of its batch. A file that still has that order keeps it; all statements work with both.
"""


def event_row(event: Event) -> EventRow:
    """Return an event's columns as they are stored: number, timestamp, type, agent id, its JSON, and a checksum."""
    body = compact_json(event_to_wire(event))
    fields = (event.seq, event.timestamp, event.type, event.agent_id, body)
    return (*fields, checksum(*fields))


def reply_row(item: LoggedReply, seq: int) -> ReplyRow:
    """Return the columns of an answer as they are stored: agent id, request id, `seq`, its JSON, and a checksum.

    Args:
        item: The answer, with the request that it belongs to.
        seq: The number of the event with which it is stored.
    """
    text = compact_json(item.reply)
    return *item.key, seq, text, checksum(*item.key, seq, text)


def checked_event(row: tuple[Any, ...] | None) -> Event | None:
    """Return the event in a complete row of the table `event`; None if the row is None or damaged.

    It is damaged if its checksum is wrong, or its text is no JSON.

    Raises:
        StoreError: The row is as it was written, but its event is of a version or type that this program does not know,
            or has a field that is not valid.
    """
    try:
        if row is None or row[5] != checksum(*row[:5]):
            return None
        return event_from_wire(json.loads(row[4]))
    except (TypeError, ValueError):
        return None


def raw_key(key: RequestKey) -> tuple[bytes, bytes]:
    """Return the key of a request, agent id and request id, as UTF-8 bytes, as the file holds it; never raises."""
    return key[0].encode("utf-8", "surrogatepass"), key[1].encode("utf-8", "surrogatepass")


def is_sound_reply(row: tuple[Any, ...]) -> bool:
    """Return whether a complete row of the table `request` has the right checksum; if not, never use it."""
    return bool(row[4] == checksum(*row[:4]))


def find_unsound(rows: Iterable[tuple[Any, ...]]) -> tuple[Any, ...] | None:
    """Return the first damaged row of complete rows of the table `request`, whose texts are given as bytes; else None.

    It is one loop for many rows, because a start checks tens of thousands.
    """
    row: tuple[Any, ...] = ()
    crc32 = zlib.crc32
    try:
        for row in rows:
            agent_id, request_id, seq, reply, crc = row
            if crc32(b"%b\x1f%b\x1f%d\x1f%b" % (agent_id, request_id, seq, reply)) != crc:
                return row
    except TypeError:  # a field has the wrong type
        return row
    return None


def pack_snapshot(seq: int, state: dict[str, Any]) -> tuple[int, bytes, int]:
    """Return the columns of a snapshot as they are stored: its number, its compressed JSON and a checksum."""
    body = zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 1)
    return seq, body, zlib.crc32(body, seq)


def unpack_snapshot(row: tuple[Any, ...]) -> tuple[int, dict[str, Any]] | None:
    """Return `seq` and state of a complete row of the table `snapshot`; None if its checksum is wrong."""
    seq, body, crc = row
    if not isinstance(body, bytes) or crc != zlib.crc32(body, seq):
        return None
    return int(seq), json.loads(zlib.decompress(body))


def decode(raw: bytes) -> str:
    """Return bytes of the file as text; those that are not UTF-8 become surrogates, so that nothing is raised.

    Damaged text then fails its checksum, and not with an error that names no event.
    """
    return raw.decode("utf-8", "surrogateescape")


def checksum(*parts: object) -> int:
    """Return the CRC-32 of the other fields of a row, given in the order of the columns."""
    return zlib.crc32("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"))
