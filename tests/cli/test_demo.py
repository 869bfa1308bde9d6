"""What ends a demo from outside lets it clean up; tests/e2e/test_demo.py shows that it then does."""

from __future__ import annotations

import os
import signal

import pytest

from aegis_tui.cli import demo


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_demo_as_ctrl_c_does(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), demo._ended_as_by_interrupt():
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 1)
    assert signal.getsignal(number) is before


def test_a_demo_under_nohup_stays_when_its_terminal_closes() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with demo._ended_as_by_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_stop_the_cleaning_up(number: signal.Signals) -> None:
    with demo._ended_as_by_interrupt(), demo._handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN):
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
