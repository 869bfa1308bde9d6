"""Times of the log in the words of the person who reads them: in their own time zone."""

from __future__ import annotations

from datetime import datetime


def state_words(state: str, until: str | None, *, now: datetime | None = None) -> str:
    """Return a state as it is shown, with the time at which it ends by itself: `limited until 15:04`.

    Args:
        state: The state in one word.
        until: When it ends (RFC 3339); None if that is not known: then the state alone is returned.
        now: The present time, with a time zone; None for that of this machine. A time on another day gets its date.

    Raises:
        ValueError: `until` is not a time.
    """
    if until is None:
        return state
    today = now or datetime.now().astimezone()
    at = datetime.fromisoformat(until).astimezone(today.tzinfo)
    return f"{state} until {at:%H:%M}" if at.date() == today.date() else f"{state} until {at:%Y-%m-%d %H:%M}"
