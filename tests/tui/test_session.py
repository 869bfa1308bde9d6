from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from textual.app import App

from aegis_tui.tui import session
from aegis_tui.tui.session import run_session


class _Seen(App[int]):
    """Says whether garbage was collected while it ran, instead of running."""

    def __init__(self, wait_for: threading.Event | None = None) -> None:
        super().__init__()
        self._wait_for = wait_for
        self.was_on = [gc.isenabled()]

    def run(self, *_: object, **__: object) -> int:
        self.was_on.append(gc.isenabled())
        if self._wait_for is not None:
            assert self._wait_for.wait(20)
            self.was_on.append(gc.isenabled())
        return 7


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_collected_while_a_session_starts() -> None:
    app = _Seen()
    assert run_session(app) == 7
    assert app.was_on == [True, False]
    assert gc.isenabled()


def test_what_a_settled_session_is_made_of_is_never_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settled, settle = threading.Event(), session._settle

    def note() -> None:
        settle()
        settled.set()

    monkeypatch.setattr(session, "SETTLED_S", 0.0)
    monkeypatch.setattr(session, "_settle", note)
    app = _Seen(settled)
    run_session(app)
    assert app.was_on[-1]
    assert gc.get_freeze_count() > 0


def test_a_session_that_ends_before_it_has_settled_freezes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = gc.get_freeze_count()
    monkeypatch.setattr(session, "SETTLED_S", 60.0)
    run_session(_Seen())
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert gc.get_freeze_count() <= frozen
