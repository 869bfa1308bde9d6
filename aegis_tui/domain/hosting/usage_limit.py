"""How a program says that its usage limit is reached, and until when: rules of its kind file (AGENT-1, M19).

The rules are applied to what the program prints, to its screen, and to a refusal by the model server.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from pydantic import Field, field_validator

from aegis_tui.domain.inert import inert
from aegis_tui.domain.model import FrozenModel

ZoneOf = Callable[[str], tzinfo | None]
"""Returns a time zone by its name in the IANA data base; None if there is no such zone."""

GROUPS = frozenset({"epoch", "date", "clock", "zone", "days", "hours", "minutes", "seconds"})
"""The groups of a pattern that hold the time; docs/agents.md explains each."""

_LENGTHS = ("days", "hours", "minutes", "seconds")
_MOST_CHARS = 64 * 1024
_WORDS_CHARS = 200
_JUST_NOW = timedelta(hours=1)
"""A time of day that is past by less than this means today; one that is past for longer means tomorrow."""
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(?:([ap])\.?m\.?)?\s*\Z", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_DAY = re.compile(r"([a-z]{3})[a-z]*\.?\s+(\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(\d{4}))?\s*\Z", re.IGNORECASE)
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})\s*\Z")


class LimitRule(FrozenModel):
    """One way in which a program says that its usage limit is reached."""

    pattern: str = Field(min_length=1)
    """A regular expression that is searched in the text; upper and lower case are the same. Its named groups, of those
    in `GROUPS`, hold when the limit ends."""

    @field_validator("pattern")
    @classmethod
    def _has_known_groups(cls, pattern: str) -> str:
        try:
            named = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        if unknown := sorted(named.keys() - GROUPS):
            raise ValueError(f"there is no group {unknown[0]}; there are: {', '.join(sorted(GROUPS))}")
        return pattern


class UsageLimit(FrozenModel):
    """What is known of the usage limit of a kind."""

    rules: tuple[LimitRule, ...] = ()
    """What the program or the model server says; the first rule that fits counts."""
    shortest_wait_s: float = Field(60.0, ge=0.0)
    """The least time to wait, in seconds. A refusal that asks for less is left to the program, which tries again."""
    usual_wait_s: float = Field(900.0, gt=0.0)
    """How long to wait where nothing says when the limit ends, in seconds."""


class Reset(NamedTuple):
    """The end of a usage limit, as a text names it."""

    at: datetime | None
    """When it ends, with a time zone; None if the text does not say."""
    words: str
    """The line that says so, with hidden characters made visible; at most 200 characters."""


def find_reset(text: str, limit: UsageLimit, *, now: datetime, zone_of: ZoneOf) -> Reset | None:
    """Return what a text says about a usage limit and its end; None if no rule fits. Reads its last 65,536 characters.

    The first rule that fits counts; where it fits several times, its last place counts.

    Args:
        text: What was printed, shown or answered.
        limit: The rules.
        now: The present time, in the time zone that times without one are in.
        zone_of: Finds time zones by name.

    Returns:
        With a time that is None if the text names none, or one that cannot exist.
    """
    text = text[-_MOST_CHARS:]
    for rule in limit.rules:
        for match in deque(re.finditer(rule.pattern, text, re.IGNORECASE), maxlen=1):
            parts = {name: part for name, part in match.groupdict().items() if part}
            return Reset(_end(parts, now, zone_of), _line_of(text, match))
    return None


def _line_of(text: str, match: re.Match[str]) -> str:
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    line = " ".join(inert(text[start : end if end >= 0 else len(text)].replace("\n", " ")).split())
    return line if len(line) <= _WORDS_CHARS else " ".join(inert(match[0]).split())[:_WORDS_CHARS]


def _end(parts: Mapping[str, str], now: datetime, zone_of: ZoneOf) -> datetime | None:
    """Return the time that the groups of a pattern name; None if they name none, or one that cannot exist.

    Never raises.

    An `epoch` counts before lengths of time from now, and these before a date or time of day. An unknown zone counts as
    the machine's own.
    """
    try:
        if "epoch" in parts:
            return datetime.fromtimestamp(float(parts["epoch"]), UTC)
        if lengths := {name: float(parts[name]) for name in _LENGTHS if name in parts}:
            return now + timedelta(**lengths)
        zone = zone_of(parts["zone"]) if "zone" in parts else now.tzinfo
        return _on_the_clock(parts, now.astimezone(zone)) if "clock" in parts or "date" in parts else None
    except (ValueError, OverflowError, OSError):
        return None


def _on_the_clock(parts: Mapping[str, str], now: datetime) -> datetime:
    """Return the time that a date and a time of day name, in the time zone of `now`; midnight without a time of day.

    Without a date it is today, or tomorrow if it has been past for an hour. A date without a year is in this year, or
    in the next one if that is more than 180 days ago.

    Args:
        parts: With `date`, `clock` or both, as `_date` and `_time_of_day` read them.
        now: The present time.

    Raises:
        ValueError: There is no such date or time of day, or it has another form.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hour, minute = _time_of_day(parts.get("clock", "0"))
    if "date" not in parts:
        today = midnight.replace(hour=hour, minute=minute)
        return today if today > now - _JUST_NOW else today + timedelta(days=1)
    year, month, day = _date(parts["date"])
    named = midnight.replace(year=year or now.year, month=month, day=day, hour=hour, minute=minute)
    is_next_year = year is None and named < now - timedelta(days=180)
    return named.replace(year=now.year + 1) if is_next_year else named


def _time_of_day(text: str) -> tuple[int, int]:
    """Return hour and minute of a text such as `3pm`, `3:45 PM` or `15:45`; the hour may be out of range, as in `30`.

    Raises:
        ValueError: It has another form.
    """
    if (match := _CLOCK.match(text)) is None:
        raise ValueError(text)
    hour = int(match[1])
    if match[3]:
        hour = hour % 12 + (12 if match[3].lower() == "p" else 0)
    return hour, int(match[2] or 0)


def _date(text: str) -> tuple[int | None, int, int]:
    """Return year, month and day of `Oct 6`, `Sep 5th, 2025` or `2025-09-05`; the year is None if it is not named.

    The date need not exist: `Feb 31` is returned too.

    Raises:
        ValueError: It has another form.
    """
    if match := _ISO_DATE.match(text):
        return int(match[1]), int(match[2]), int(match[3])
    if (match := _MONTH_DAY.match(text)) is None or match[1].lower() not in _MONTHS:
        raise ValueError(text)
    return int(match[3]) if match[3] else None, _MONTHS.index(match[1].lower()) + 1, int(match[2])
