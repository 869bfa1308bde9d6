"""What happens when a part of the screen fails: it says so in its place, the log has the details, the session goes on.

Textual ends the whole program at the first exception in a handler, a worker or a rendering, and passes over one in a
listener without a word. Both are wrong for a session that watches agents all night.
"""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from collections import deque
from typing import Protocol, runtime_checkable

from textual.message import Message
from textual.message_pump import MessagePump

MOST_IN_A_ROW = 40
"""So many failures within `ROW_S` mean that the screen cannot be drawn at all: then the session ends after all."""

ROW_S = 10.0
REPEAT_S = 30.0
"""A failure that is like one before is shown again only after this long."""

_log = logging.getLogger(__name__)


@runtime_checkable
class HasRoom(Protocol):
    """A widget that can show a failure in its own place."""

    def fail(self, error: Exception) -> None:
        """Show it there."""
        ...


@runtime_checkable
class Survivor(Protocol):
    """The app, as its parts see it."""

    def survive(self, error: Exception, place: object) -> None:
        """Note a failure of a part, and show it."""
        ...


class Mishaps:
    """Every failure of a session: logged each time, worth showing when it is new, and when there are too many."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: deque[float] = deque(maxlen=MOST_IN_A_ROW)
        self._shown_at: dict[str, float] = {}

    def note(self, error: Exception, place: object) -> bool:
        """Log a failure; returns whether a person has to be told of it now."""
        self.count += 1
        name, now = type(place).__name__, time.monotonic()
        self._recent.append(now)
        _log.error("a part of the screen failed", exc_info=error, extra={"aegis_widget": name})
        like = f"{name} {type(error).__name__}"
        is_new = now - self._shown_at.get(like, -REPEAT_S) >= REPEAT_S
        if is_new:
            self._shown_at[like] = now
        return is_new

    @property
    def are_too_many(self) -> bool:
        """Whether nothing works any more."""
        return len(self._recent) == MOST_IN_A_ROW and self._recent[-1] - self._recent[0] < ROW_S


class Guarded(MessagePump):
    """A screen or widget whose handlers may fail without ending the session; mixed in before Textual's class."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except CancelledError:
            raise
        except Exception as error:
            app: object = self.app
            if not isinstance(app, Survivor):
                raise
            app.survive(error, self)


def words_of(error: BaseException) -> str:
    """A failure in a few words: its kind and what it says."""
    inner = getattr(error, "error", None)
    known = inner if isinstance(inner, BaseException) else error
    return f"{type(known).__name__}: {known}".rstrip(": ")
