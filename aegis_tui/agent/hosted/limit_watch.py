"""Notices that a program has met its usage limit, in its model server's answers, its output or its screen (M19)."""

from __future__ import annotations

import asyncio
import json
import zoneinfo
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from aegis_tui.agent.hosted.message_tap import HttpMessage
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.domain.hosting.usage_limit import UsageLimit, find_reset
from aegis_tui.domain.inert import inert
from aegis_tui.sdk.retry_after import parse_retry_after

_TOO_MANY_REQUESTS = 429
_OF_THE_GATEWAY = b"x-aegis-refused"
"""Header of a refusal by the gateway itself, for too many calls at once, which says nothing about a usage limit."""
_WORDS_CHARS = 200


class Limited(NamedTuple):
    """A usage limit because of which a program stopped, or which its model server has named."""

    until: datetime
    """When to go on, with a time zone."""
    words: str
    """What was said about it, as one line without hidden characters."""


class LimitWatch:
    """Knows whether one program is at its usage limit.

    Args:
        limit: The rules of its kind.
        now: The present time, with the local time zone.
    """

    def __init__(self, limit: UsageLimit, *, now: Callable[[], datetime] = lambda: datetime.now().astimezone()) -> None:
        self._limit, self._now = limit, now
        self._refused: Limited | None = None
        self._refused_bytes = 0
        self.current: Limited | None = None
        """Set while the last answer of the model server refused for longer than programs wait by themselves."""
        self.changed = asyncio.Event()
        """Set whenever `current` has changed; whoever waits for it clears it."""

    @property
    def now(self) -> datetime:
        """The present time, with the local time zone."""
        return self._now()

    async def take(self, answer: HttpMessage, request_bytes: int) -> None:
        """Note one answer of the model server, for `verdict`, and set or clear `current` if the answer decides that.

        A refusal is remembered for `verdict`: a 429, or another error (400 and above) whose text names the usage limit
        of this kind of program. It sets `current` only if its text names that limit, or asks for a pause of at least
        the kind's `shortest_wait_s`: a usual 429 with a short pause leaves `current` as it is. A refusal by the gateway
        itself has no effect. An answer without error clears `current` if its call was not shorter than the last one
        that was refused.

        Args:
            answer: The answer.
            request_bytes: The length of the call. Programs make small calls too, to another model perhaps, for titles
                and the like: one that is answered says nothing about a longer one that was refused.
        """
        if answer.status < 400 and request_bytes >= self._refused_bytes:
            self._set(None)
        elif answer.status >= 400 and _OF_THE_GATEWAY not in answer.fields:
            self._take_refusal(answer, request_bytes)

    def _take_refusal(self, answer: HttpMessage, request_bytes: int) -> None:
        text = answer.body.decode("utf-8", "replace")
        now, reset = self.now, find_reset(text, self._limit, now=self.now, zone_of=zone_of)
        if answer.status != _TOO_MANY_REQUESTS and reset is None:
            return
        pause_s = parse_retry_after({"retry-after": answer.fields.get(b"retry-after", b"").decode("latin-1")})
        at = _later(now, pause_s) if pause_s is not None else reset.at if reset else None
        self._refused_bytes = request_bytes
        self._refused = self._limited(at, f"HTTP {answer.status}: {_message(text)}", now)
        if reset is not None or (at is not None and at >= self._soonest(now)):
            self._set(self._refused)

    def verdict(self, ran: Ran) -> Limited | None:
        """Return the usage limit that has ended a run of the program or a turn of its conversation; None if none has.

        Args:
            ran: How it ended.
        """
        now = self.now
        refused = self._refused if self._refused is not None and self._refused.until > now else None
        said = self._said(ran.last_lines, now, is_shown=ran.is_alive)
        if ran.is_alive:
            return self.current or said
        if ran.is_ok:  # some programs end well after a refusal, but a task that is done is not done again
            return refused if said else None
        return refused or said

    def _said(self, text: str, now: datetime, *, is_shown: bool) -> Limited | None:
        """Return the usage limit that a text names; None if it names none.

        Args:
            text: What the program wrote.
            now: The current time.
            is_shown: Whether the text is the screen, where old messages still stand: a limit that has passed gives
                None.
        """
        reset = find_reset(text, self._limit, now=now, zone_of=zone_of)
        if reset is None or (is_shown and reset.at is not None and reset.at <= now):
            return None
        return self._limited(reset.at, reset.words, now)

    def _limited(self, at: datetime | None, words: str, now: datetime) -> Limited:
        usual = now + timedelta(seconds=self._limit.usual_wait_s)
        return Limited(max(at or usual, self._soonest(now)), words)

    def _soonest(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._limit.shortest_wait_s)

    def _set(self, limited: Limited | None) -> None:
        if limited != self.current:
            self.current = limited
            self.changed.set()


def zone_of(name: str) -> tzinfo | None:
    """Return the time zone of a name such as `Europe/Berlin`; None if this machine knows none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        return None


def _later(now: datetime, pause_s: float) -> datetime:
    try:
        return now + timedelta(seconds=pause_s)
    except OverflowError:
        return datetime.max.replace(tzinfo=now.tzinfo) - timedelta(days=2)


def _message(text: str) -> str:
    """Return the message in the body of a refusal, as one line of at most 200 characters without hidden ones.

    The body itself if it has another form than `error` or `message`; "too many requests" if it is empty.
    """
    try:
        value = json.loads(text)
        problem = value.get("error", value)
        said = problem.get("message") if isinstance(problem, dict) else problem
    except (ValueError, AttributeError, RecursionError):
        said = text
    line = " ".join(inert(said if isinstance(said, str) and said else text).split())
    return line[:_WORDS_CHARS] or "too many requests"
