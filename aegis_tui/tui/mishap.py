"""Handles failures of parts of the screen: the part shows the error, the log has the details, the session continues.

Textual ends the whole program at the first exception in a handler, a worker or a rendering, and silently ignores one in
a listener of a signal. Both are wrong for a session that watches agents all night.
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
"""So many failures within `ROW_S` mean that the screen cannot be drawn at all: then the session ends."""

ROW_S = 10.0
REPEAT_S = 30.0
"""Seconds before a failure of the same kind in the same widget class is shown again."""

_log = logging.getLogger(__name__)


@runtime_checkable
class HasRoom(Protocol):
    """The protocol of a widget that can show a failure in place of its content."""

    def fail(self, error: Exception) -> None:
        """Show the error in place of the widget's content."""
        ...


@runtime_checkable
class Survivor(Protocol):
    """The protocol of an app that continues after a failure of one of its parts."""

    def survive(self, error: Exception, place: object) -> None:
        """Log and show a failure; `place` is the widget or screen that failed."""
        ...


class Mishaps:
    """Logs and counts the failures of a session, and decides which of them to show and whether there are too many."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: deque[float] = deque(maxlen=MOST_IN_A_ROW)
        self._shown_at: dict[str, float] = {}

    def note(self, error: Exception, place: object) -> bool:
        """Count and log a failure of `place`, a widget or screen; return whether the caller should show it.

        False if True was returned within the last `REPEAT_S` (30 s) for the same classes of widget and error.
        """
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
        """Whether the last `MOST_IN_A_ROW` (40) failures occurred within `ROW_S` (10 s); False with fewer failures."""
        return len(self._recent) == MOST_IN_A_ROW and self._recent[-1] - self._recent[0] < ROW_S


class Guarded(MessagePump):
    """A mixin for screens and widgets: an exception in one of their handlers does not end the session.

    It is passed to `survive` of the app; if the app is no `Survivor`, it is raised. The mixin comes before Textual's
    class among the bases.
    """

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
    """Return `CLASS: MESSAGE` of an error, `CLASS` if it has no message.

    For an error that has another one in its attribute `error`, as Textual's `WorkerFailed` does, those of that one.
    """
    inner = getattr(error, "error", None)
    known = inner if isinstance(inner, BaseException) else error
    return f"{type(known).__name__}: {known}".rstrip(": ")
