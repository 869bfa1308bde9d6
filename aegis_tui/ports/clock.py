"""Time, as the hub and its services see it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two readings that are never mixed: one to compare deadlines with, one to show people."""

    def now(self) -> float:
        """Seconds that never go back and that go on while the machine sleeps; the zero point means nothing."""
        ...

    def timestamp(self) -> str:
        """This instant, RFC 3339 in UTC with milliseconds."""
        ...
