import time
from datetime import UTC, datetime

from aegis_tui.sdk.clock import SystemClock


def test_deadlines_run_on_a_clock_that_nobody_can_set() -> None:
    clock_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime(clock_id)
    now = SystemClock().now()
    assert before <= now <= time.clock_gettime(clock_id)


def test_a_timestamp_is_utc_with_milliseconds() -> None:
    told = SystemClock().timestamp()
    assert told.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(told)).total_seconds()) < 10
