"""No event may exist that cannot be sent (contract 3)."""

from __future__ import annotations

from aegis_tui.domain.command import loggable
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.message.commands import FileObserved
from aegis_tui.domain.model import is_encodable
from aegis_tui.domain.run.commands import RunFail


def test_what_the_hub_says_itself_is_put_into_a_form_that_can_be_sent() -> None:
    said = RunFail(run="run1", code="effect.failed", message="no file latin\udce9.txt")
    kept = loggable(said, THE_HUB)
    assert isinstance(kept, RunFail)
    assert kept.message == r'"no file latin\351.txt"'
    assert is_encodable(kept)
    assert not is_encodable(said)


def test_a_command_that_can_be_sent_is_left_alone() -> None:
    seen = FileObserved(agent_id="person", path="한글.txt", change_type="created", worktree="/r", since_seq=0)
    assert loggable(seen, THE_HUB) is seen
    assert loggable(seen, Actor("NATIVE-w01", "instance")) is seen
