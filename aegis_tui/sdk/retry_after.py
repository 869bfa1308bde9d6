"""Reads the pause that a server asks for: the header Retry-After (RFC 9110, 10.2.3)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the pause that the server asks for, in seconds, from a number or a date (RFC 9110, 10.2.3).

    None if it asks for none, or not in a valid form; never negative.

    Args:
        headers: Header values by lower-case name.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        import email.utils  # hardly any answer has a date

        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return None if math.isnan(seconds) else max(seconds, 0.0)
