"""Whether a change on disk is told as `unlocked` (HUB-10): decided from what the observation says."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain import command as commands
from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor, execute, state_hash
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.events import InstancePrepared
from aegis_tui.domain.lock.ended import KEPT_ENDS
from aegis_tui.domain.message.commands import FileObserved
from aegis_tui.domain.message.events import FileChanged
from aegis_tui.domain.workspace import Workspace

ONE, TWO = Actor("CLAUDE-one", "instance"), Actor("CLAUDE-two", "instance")
PATH = "src/a.py"
A, B = "a" * 40, "b" * 40


class Place:
    """Two agents in worktrees of their own; `src` is the first one's, `PATH` is granted to the second."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        for agent, globs in ((ONE, ["src/**"]), (TWO, ["lib/**"])):
            name = agent.agent_id.removeprefix("CLAUDE-")
            self.do(THE_PERSON, "agent:register", agent_type="CLAUDE", instance_id=name, partition=globs)
            self.log(agent.agent_id, InstancePrepared(worktree=f"/{name}", token_hash="0" * 64))
        asked = self.do(TWO, "scope:request", path=PATH, reason="r")
        self.do(THE_PERSON, "scope:grant", request=asked["request"])

    def log(self, agent_id: str, data: Any) -> None:
        self.workspace.evolve(Event(self.workspace.seq + 1, agent_id, "2026-01-01T00:00:00Z", data))

    def do(self, actor: Actor, kind: str, **fields: Any) -> Any:
        command = commands.parse_command({"type": kind, **fields})
        request = f"t{self.workspace.seq}"
        outcome = execute(
            self.workspace, command, actor=actor, request_id=request, now=0.0, timestamp="2026-01-01T00:00:00Z"
        )
        return outcome.reply

    def lock(self, actor: Actor, path: str = PATH, **fields: Any) -> dict[str, Any]:
        return dict(self.do(actor, "lock:acquire", path=path, **fields)["locks"][0])

    def release(self, actor: Actor, lock: dict[str, Any]) -> None:
        self.do(actor, "lock:release", lock_id=lock["lock_id"], token=lock["token"])

    def wrote(self, actor: Actor, lock: dict[str, Any], oid: str) -> None:
        data = {"file": PATH, "token": lock["token"], "base_oid": A, "new_oid": oid}
        self.do(actor, "broadcast", event="code:written", data=data)

    def is_unlocked(self, agent_id: str = ONE.agent_id, path: str = PATH, **facts: Any) -> bool:
        facts = {"since_seq": self.workspace.seq, **facts}
        observed = FileObserved(agent_id=agent_id, path=path, change_type="modified", worktree="/one", **facts)
        (event,) = execute(
            self.workspace, observed, actor=THE_HUB, request_id="o", now=0.0, timestamp="2026-01-01T00:00:00Z"
        ).events
        assert isinstance(event.data, FileChanged)
        return event.data.unlocked


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_write_without_a_lock_is_marked_only_where_one_is_needed(place: Place) -> None:
    assert place.is_unlocked()
    assert place.is_unlocked(TWO.agent_id, "src/b.py")
    assert not place.is_unlocked(ONE.agent_id, "src/b.py")


def test_a_lock_held_exclusively_when_the_change_is_told_covers_it(place: Place) -> None:
    place.lock(ONE)
    assert not place.is_unlocked()
    assert place.is_unlocked(TWO.agent_id)


def test_a_shared_lock_covers_no_write(place: Place) -> None:
    place.release(ONE, place.lock(ONE, lock_type="SHARED"))
    assert place.is_unlocked(since_seq=0)
    place.lock(ONE, lock_type="SHARED")
    assert place.is_unlocked()


def test_a_lock_released_after_the_write_covers_it_and_one_released_before_does_not(place: Place) -> None:
    lock = place.lock(ONE)
    written_at = place.workspace.seq
    place.release(ONE, lock)
    assert not place.is_unlocked(since_seq=written_at)
    assert place.is_unlocked(since_seq=place.workspace.seq)
    assert place.is_unlocked(TWO.agent_id, since_seq=written_at)


def test_a_lock_on_the_folder_or_that_ran_out_covers_as_well(place: Place) -> None:
    lock, written_at = place.lock(ONE, "src"), place.workspace.seq
    place.release(ONE, lock)
    assert not place.is_unlocked(since_seq=written_at)
    lock, written_at = place.lock(ONE), place.workspace.seq
    place.do(THE_PERSON, "lock:break", lock_id=lock["lock_id"], reason="r")
    assert not place.is_unlocked(since_seq=written_at)


def test_content_that_was_written_under_a_token_is_known_by_its_blob_id(place: Place) -> None:
    lock = place.lock(ONE)
    place.wrote(ONE, lock, A)
    place.wrote(ONE, lock, B)
    place.release(ONE, lock)
    assert not place.is_unlocked(oid=B)
    assert place.is_unlocked(oid=A)
    assert place.is_unlocked(TWO.agent_id, oid=B)
    assert place.is_unlocked()


def test_what_git_itself_wrote_is_nobodys_unlocked_write(place: Place) -> None:
    assert not place.is_unlocked(by_git=True)


def test_in_the_persons_checkout_the_lock_of_any_agent_that_works_there_covers(place: Place) -> None:
    place.do(THE_PERSON, "agent:register", agent_type="CLAUDE", instance_id="guest", partition=["docs/**"])
    guest = Actor("CLAUDE-guest", "instance")
    assert place.is_unlocked("person", "docs/x.md")
    lock = place.lock(guest, "docs/x.md")
    assert not place.is_unlocked("person", "docs/x.md")
    written_at = place.workspace.seq
    place.release(guest, lock)
    assert not place.is_unlocked("person", "docs/x.md", since_seq=written_at)
    place.lock(ONE)
    assert place.is_unlocked("person")


def test_a_name_that_the_disk_spells_in_another_form_is_the_same_path(place: Place) -> None:
    composed, decomposed = "docs/\uac00.md", "docs/\u1100\u1161.md"
    place.lock(THE_PERSON, composed)
    place.do(THE_PERSON, "agent:register", agent_type="CLAUDE", instance_id="guest", partition=["docs/**"])
    assert not place.is_unlocked("person", decomposed)


def test_the_record_of_ended_locks_is_bounded_and_survives_a_snapshot(place: Place) -> None:
    before = place.workspace.seq
    for number in range(KEPT_ENDS + 5):
        path = f"src/{number}.py"
        place.release(ONE, place.lock(ONE, path))
    saved = place.workspace.dump()
    assert len(saved["ended_locks"]) == KEPT_ENDS
    back = Workspace.load(saved)
    assert state_hash(back) == state_hash(place.workspace)
    assert back.ended_locks.has_ended(f"src/{KEPT_ENDS}.py", before, lambda _: True)
    assert not back.ended_locks.has_ended("src/0.py", before, lambda _: True)
    del saved["ended_locks"]
    assert Workspace.load(saved).seq == place.workspace.seq
