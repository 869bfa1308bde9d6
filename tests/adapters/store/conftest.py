from collections.abc import Callable

import pytest

from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import MessageSent


@pytest.fixture
def make_events() -> Callable[[int, int], list[Event]]:
    """Events numbered from `first` to `last`."""

    def make(first: int, last: int) -> list[Event]:
        return [
            Event(seq, "NATIVE-w01", "2026-01-02T03:04:05.678Z", MessageSent(to="NATIVE-w02", text=f"안녕 {seq}"))
            for seq in range(first, last + 1)
        ]

    return make
