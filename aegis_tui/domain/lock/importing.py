"""Read the locks that older tools wrote into `_locks.json` files, in any of their forms (LOCK-5).

A file is a table from path to lock, or a list of locks that name their path; either may be under the key `locks`.
Every field has several spellings, see the tables here. An entry that is not understood is reported, not guessed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from aegis_tui.domain.lock.model import DEFAULT_TTL_S, MAX_TTL_S, LockMode, Region, Resource
from aegis_tui.errors import UsageError

_PATH: Final = ("path", "file", "file_path", "filename", "resource")
_HOLDER: Final = ("agent", "agent_id", "holder", "owner", "instance", "locked_by", "held_by")
_MODE: Final = ("lock_type", "mode", "type")
_TTL: Final = ("ttl_s", "ttl", "ttl_seconds")
_END: Final = ("expires_at", "expires")
_START: Final = ("acquired_at", "locked_at", "acquired", "created_at", "timestamp")
_MODES: Final[Mapping[str, LockMode]] = {
    **dict.fromkeys(("", "exclusive", "write", "edit", "x"), LockMode.EXCLUSIVE),
    **dict.fromkeys(("shared", "read", "s"), LockMode.SHARED),
    "review": LockMode.REVIEW,
}
_FORM: Final = "it must be an object with a lock for each path, or a list of locks"
_MILLISECONDS: Final = 1e11
"""Numbers above count milliseconds since 1970; as seconds this would be the year 5138."""


@dataclass(frozen=True, slots=True)
class OldLock:
    """One lock of an old file that still has time left."""

    holder: str
    """The holder as the file names it; empty when it names none."""
    resource: Resource
    mode: LockMode
    ttl_s: float
    """The time that is left, at most `MAX_TTL_S`."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is not imported, and why."""

    path: str
    reason: str


def read_old_file(content: bytes) -> object:
    """Return the JSON value of a file, with or without a byte order mark.

    Raises:
        UsageError: Not JSON, not UTF-8, or nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise UsageError("the file is nested too deeply for a file of locks", _FORM) from error
    except ValueError as error:
        raise UsageError(f"the file is not JSON: {error}", _FORM) from error


def parse_old_locks(data: object, *, now: datetime) -> tuple[list[OldLock], list[Skipped]]:
    """Return the locks in a file that still have time left, and the entries that are skipped, each with the reason.

    Expired locks are among the skipped ones. Both lists are in the order of the file.

    Args:
        data: The JSON value of the file, from `read_old_file`.
        now: The current time, with its time zone.

    Raises:
        UsageError: It is neither a table nor a list.
    """
    locks: list[OldLock] = []
    skipped: list[Skipped] = []
    for path, entry in _entries(data):
        try:
            locks.append(_lock(path, _fields(entry), now))
        except ValidationError:
            skipped.append(Skipped(path, "it is not a path of this repository, or its region is not valid"))
        except ValueError as error:
            skipped.append(Skipped(path, str(error)))
    return locks, skipped


def _entries(data: object) -> Iterator[tuple[str, object]]:
    if isinstance(data, Mapping) and isinstance(data.get("locks"), Mapping | list):
        data = data["locks"]
    if isinstance(data, Mapping) and _named_path(data):
        data = [data]
    if isinstance(data, Mapping):
        yield from ((str(path), entry) for path, entry in data.items())
    elif isinstance(data, list):
        yield from ((_named_path(entry), entry) for entry in data)
    else:
        raise UsageError("the file holds no locks", _FORM)


def _named_path(entry: object) -> str:
    path = _first(entry, _PATH) if isinstance(entry, Mapping) else None
    return path if isinstance(path, str) else ""


def _fields(entry: object) -> Mapping[str, Any]:
    """Return the fields of an entry; a plain text is the name of its holder.

    Raises:
        ValueError: It is neither a table nor a text.
    """
    if isinstance(entry, str):
        return {"agent": entry}
    if not isinstance(entry, Mapping):
        raise ValueError(f"{_quoted(entry)} is neither a lock nor the name of its holder")
    return entry


def _quoted(value: object) -> str:
    """Return a value for a message: a text or number, cut to 60 characters, or else its type, such as `a list`."""
    return str(value)[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _lock(path: str, fields: Mapping[str, Any], now: datetime) -> OldLock:
    mode, holder = _first(fields, _MODE) or "", _first(fields, _HOLDER) or ""
    known = _MODES.get(mode.lower()) if isinstance(mode, str) else None
    if known is None:
        raise ValueError(f"its mode {_quoted(mode)} is not known")
    if not isinstance(holder, str):
        raise ValueError(f"its holder {_quoted(holder)} is not a name")
    left_s = _left_s(fields, now)
    if left_s <= 0:
        raise ValueError("it has expired")
    resource = Resource(path=path.removeprefix("./"), region=_region(fields))
    return OldLock(holder, resource, known, min(left_s, MAX_TTL_S))


def _region(fields: Mapping[str, Any]) -> Region | None:
    lines, symbol = fields.get("lines"), fields.get("symbol")
    if isinstance(lines, str) and (match := re.fullmatch(r"(\d+)(?:-(\d+))?", lines)):
        lines = (int(match[1]), int(match[2] or match[1]))
    return Region(lines=lines, symbol=symbol) if lines or symbol else None


def _left_s(fields: Mapping[str, Any], now: datetime) -> float:
    end = _first(fields, _END)
    if end is not None:
        return (_instant(end) - now).total_seconds()
    ttl = _first(fields, _TTL)
    ttl_s = DEFAULT_TTL_S if ttl is None else _number(ttl)
    start = _first(fields, _START)
    return ttl_s if start is None else ttl_s - (now - _instant(start)).total_seconds()


def _instant(value: object) -> datetime:
    """Return the time that a value names: RFC 3339 text, or seconds or milliseconds since 1970.

    UTC where no zone is given.

    A text of digits counts as a number. Numbers above 1e11 count milliseconds.

    Raises:
        ValueError: It is none of these.
    """
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d+(\.\d+)?", value):
            timestamp = datetime.fromisoformat(value)
            return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
        seconds = _number(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"its timestamp {_quoted(value)} is not valid") from error


def _number(value: object) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool) and not math.isnan(float(value)):
            return float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"its timestamp or duration {_quoted(value)} is not valid") from error
    raise ValueError(f"its timestamp or duration {_quoted(value)} is not valid")
