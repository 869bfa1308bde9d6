"""Locks as older tools wrote them into `_locks.json` files, read liberally (LOCK-5).

A file is a table from path to lock, or a list of locks that name their path; either may stand below `locks`. Every
field has several spellings, see the tables here. What is not understood is said, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from aegis_tui.domain.lock import DEFAULT_TTL_S, MAX_TTL_S, LockMode, Region, Resource
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
_MILLISECONDS: Final = 1e11
"""Numbers above count milliseconds since 1970; as seconds this would be the year 5138."""


@dataclass(frozen=True, slots=True)
class OldLock:
    """One lock of an old file that still has time left."""

    holder: str
    """As the file names it; empty when it does not."""
    resource: Resource
    mode: LockMode
    ttl_s: float
    """What is left of its time, at most `MAX_TTL_S`."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is not taken over, and why."""

    path: str
    reason: str


def parse_old_locks(data: object, *, now: datetime) -> tuple[list[OldLock], list[Skipped]]:
    """The locks in a file, and what is left out of it.

    Args:
        data: The file as JSON gave it.
        now: The wall clock, with its zone.

    Raises:
        UsageError: It is neither a table nor a list.
    """
    locks: list[OldLock] = []
    skipped: list[Skipped] = []
    for path, entry in _entries(data):
        try:
            locks.append(_lock(path, entry, now))
        except ValidationError:
            skipped.append(Skipped(path, "it is not a path of this repository, or its region is none"))
        except ValueError as error:
            skipped.append(Skipped(path, str(error)))
    return locks, skipped


def _entries(data: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(data, Mapping) and isinstance(data.get("locks"), Mapping | list):
        data = data["locks"]
    if isinstance(data, Mapping) and _first(data, _PATH) is not None:
        data = [data]
    if isinstance(data, Mapping):
        yield from ((str(path), _fields(entry)) for path, entry in data.items())
    elif isinstance(data, list):
        yield from ((str(_first(_fields(entry), _PATH) or ""), _fields(entry)) for entry in data)
    else:
        raise UsageError("the file holds no locks", "a table of path to lock, or a list of locks")


def _fields(entry: object) -> Mapping[str, Any]:
    """The fields of an entry; a text alone is its holder."""
    return entry if isinstance(entry, Mapping) else {"agent": str(entry)}


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _lock(path: str, fields: Mapping[str, Any], now: datetime) -> OldLock:
    mode = _MODES.get(str(_first(fields, _MODE) or "").lower())
    if mode is None:
        raise ValueError(f"its mode {_first(fields, _MODE)} is not known")
    left_s = _left_s(fields, now)
    if left_s <= 0:
        raise ValueError("its time is over")
    resource = Resource(path=path.removeprefix("./"), region=_region(fields))
    return OldLock(str(_first(fields, _HOLDER) or ""), resource, mode, min(left_s, MAX_TTL_S))


def _region(fields: Mapping[str, Any]) -> Region | None:
    lines, symbol = fields.get("lines"), fields.get("symbol")
    if isinstance(lines, str) and (found := re.fullmatch(r"(\d+)(?:-(\d+))?", lines)):
        lines = (int(found[1]), int(found[2] or found[1]))
    return Region(lines=lines, symbol=symbol) if lines or symbol else None


def _left_s(fields: Mapping[str, Any], now: datetime) -> float:
    end = _first(fields, _END)
    if end is not None:
        return (_instant(end) - now).total_seconds()
    ttl = _first(fields, _TTL)
    ttl_s = DEFAULT_TTL_S if ttl is None else float(ttl)
    start = _first(fields, _START)
    return ttl_s if start is None else ttl_s - (now - _instant(start)).total_seconds()


def _instant(value: object) -> datetime:
    """A point in time from RFC 3339 text, or from seconds or milliseconds since 1970; UTC where no zone is given."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d+(\.\d+)?", value):
            instant = datetime.fromisoformat(value)
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        seconds = float(str(value))
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"its time {value} cannot be read") from error
