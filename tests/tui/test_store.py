"""When the mirror may pass for the present, and when it says that it does not."""

from __future__ import annotations

from textual.app import App

from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import Broadcast
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.store import CATCHING_UP, NO_HUB, WorkspaceStore

AT = "2026-01-01T00:00:00Z"


def note(seq: int) -> Event:
    return Event(seq, "person", AT, Broadcast(event="note:x", data={}))


def at(seq: int) -> Workspace:
    workspace = Workspace()
    workspace.seq = seq
    return workspace


def store() -> WorkspaceStore:
    return WorkspaceStore(App[int]())


def seen(mirror: WorkspaceStore) -> tuple[bool, bool]:
    return mirror.is_current, mirror.is_catching_up


CURRENT, CATCHING, AWAY = (True, False), (False, True), (False, False)


def test_nothing_is_current_before_the_state_is_here() -> None:
    mirror = store()
    assert seen(mirror) == CATCHING and mirror.absence == CATCHING_UP
    mirror.connection(is_up=True, seq=9)
    assert seen(mirror) == CATCHING
    mirror.load(at(9), [])
    assert seen(mirror) == CURRENT


def test_no_hub_is_said_once_it_is_known() -> None:
    mirror = store()
    mirror.connection(is_up=False)
    assert seen(mirror) == AWAY and mirror.absence == NO_HUB


def test_a_state_that_is_read_anew_is_the_past() -> None:
    mirror = store()
    mirror.connection(is_up=True, seq=9)
    mirror.load(at(9), [])
    mirror.stale()
    assert seen(mirror) == CATCHING
    mirror.load(at(10), [])
    assert seen(mirror) == CURRENT


def test_a_hub_that_comes_back_with_more_than_is_here_is_caught_up_with_first() -> None:
    mirror = store()
    mirror.connection(is_up=True, seq=3)
    mirror.load(at(3), [])
    mirror.connection(is_up=False)
    assert seen(mirror) == AWAY
    mirror.connection(is_up=True, seq=5)
    assert seen(mirror) == CATCHING
    mirror.apply([note(4)])
    assert seen(mirror) == CATCHING
    mirror.apply([note(5)])
    assert seen(mirror) == CURRENT


def test_what_the_hub_had_at_the_answer_before_must_be_here_by_now() -> None:
    mirror = store()
    mirror.connection(is_up=True, seq=3)
    mirror.load(at(3), [])
    mirror.connection(is_up=True, seq=8)
    assert seen(mirror) == CURRENT, "what was logged a moment ago is on its way"
    mirror.connection(is_up=True, seq=9)
    assert seen(mirror) == CATCHING
    mirror.apply([note(seq) for seq in range(4, 9)])
    assert seen(mirror) == CURRENT
