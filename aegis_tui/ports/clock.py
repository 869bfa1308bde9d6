"""The clock of the hub and its services; tests replace it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two readings that must never be mixed: `now` is compared with deadlines, `timestamp` is shown to people."""

    def now(self) -> float:
        """Return seconds that never decrease and also count while the machine sleeps; the zero point is arbitrary."""
        ...

    def timestamp(self) -> str:
        """Return the current wall-clock time, RFC 3339 in UTC with milliseconds."""
        ...
