"""The system clock, as the implementation of the port `Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

_CLOCK_ID: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """CLOCK_BOOTTIME where there is one, else CLOCK_MONOTONIC (macOS); wall time in UTC."""

    def now(self) -> float:
        """Return seconds since an arbitrary fixed point; the value never decreases."""
        return time.clock_gettime(_CLOCK_ID)

    def timestamp(self) -> str:
        """Return the current time, RFC 3339 in UTC with milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
