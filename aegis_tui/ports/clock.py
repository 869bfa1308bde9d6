"""The clock of the hub and its services; tests replace it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two readings that must never be mixed: `now` is compared with deadlines, `timestamp` is shown to people."""

    def now(self) -> float:
        """Return a time in seconds that never decreases and goes on while the machine sleeps.

        Its zero point is arbitrary.
        """
        ...

    def timestamp(self) -> str:
        """Return the current wall-clock time as text, RFC 3339 in UTC with milliseconds."""
        ...
