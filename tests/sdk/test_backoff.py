from __future__ import annotations

import pytest

from aegis_tui.sdk.backoff import Backoff, grown_pause_s


def test_pauses_double_up_to_the_limit_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(0.1, 0.5, is_varied=False)
    assert [backoff.next_s() for _ in range(5)] == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.1)


def test_a_varied_pause_is_at_least_half_of_it_and_never_longer() -> None:
    pauses = [grown_pause_s(2, 1.0, 60.0) for _ in range(200)]
    assert 2.0 <= min(pauses) < max(pauses) <= 4.0


def test_a_million_failures_give_the_limit() -> None:
    assert grown_pause_s(1_000_000, 0.05, 2.0, is_varied=False) == 2.0
