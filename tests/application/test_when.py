"""A state that ends by itself is shown with its time, in the time zone of the person (FLOW-6)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from aegis_tui.application.when import state_words

NOW = datetime(2026, 11, 28, 22, 0, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_time_of_today_is_shown_without_its_date() -> None:
    assert state_words("limited", "2026-11-28T22:04:59.000Z", now=NOW) == "limited until 23:04"
    assert state_words("limited", "2026-11-28T23:04:59Z", now=NOW) == "limited until 2026-11-29 00:04"
    assert state_words("idle", None, now=NOW) == "idle"
