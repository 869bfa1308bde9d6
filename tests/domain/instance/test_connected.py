"""An agent that a person connects: its state from the first report on, and its end by hand (CLI-4, AGENT-2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from aegis_tui.domain import command as commands
from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor, CommandOutcome, Workspace, execute
from aegis_tui.domain.event import Event, event_from_wire, event_to_wire
from aegis_tui.domain.instance.commands import SessionExpire
from aegis_tui.domain.instance.events import AgentJoined
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.domain.words import sentence
from aegis_tui.errors import AegisError

ME = Actor("CLAUDE-frontend", "instance")


class Place:
    """A workspace without a run."""

    def __init__(self) -> None:
        self.workspace, self._ids = Workspace(), itertools.count()
        self.join()

    def do(self, actor: Actor, kind: str, **fields: Any) -> CommandOutcome:
        return self.send(actor, commands.parse_command({"type": kind, **fields}))

    def send(self, actor: Actor, command: commands.AnyCommand) -> CommandOutcome:
        request_id, timestamp = f"t{next(self._ids)}", "2026-01-01T00:00:00Z"
        return execute(self.workspace, command, actor=actor, request_id=request_id, now=0.0, timestamp=timestamp)

    def join(self) -> AnyReply:
        fields = {"agent_type": "CLAUDE", "instance_id": "frontend", "partition": ["web/**"]}
        return self.do(THE_PERSON, "agent:register", **fields).reply

    @property
    def me(self) -> Instance:
        return self.workspace.instances.by_id[ME.agent_id]


def test_one_that_has_joined_and_reported_nothing_is_idle() -> None:
    place = Place()
    assert (place.me.phase, place.me.state, place.me.word) == (Phase.JOINED, "idle", "idle")


def test_its_reports_move_it_and_a_heartbeat_does_not() -> None:
    place = Place()
    place.do(ME, "agent:report", state="implementing", progress=0.5, note="the form")
    place.do(ME, "heartbeat")
    assert (place.me.word, place.me.progress, place.me.note) == ("implementing", 0.5, "the form")
    place.do(ME, "agent:report", state="done", progress=1.0)
    assert place.me.word == "done"


def test_names_that_were_refused_in_its_sandbox_stay_with_it_and_are_logged_once() -> None:
    place = Place()
    said = {"state": "implementing", "progress": 0.5, "blocked_names": ["github.com"]}
    (event,) = place.do(ME, "agent:report", **said).events
    assert sentence(event) == "implementing 50%; name lookups refused: github.com"
    assert place.do(ME, "agent:report", **said).events == (), "nothing new"
    place.do(ME, "agent:report", state="done", progress=1.0)
    assert place.me.blocked_names == ("github.com",)
    for wrong in ("Github.com", "a b", "", "x" * 254, "\x1b[2J"):
        with pytest.raises(AegisError):
            place.do(ME, "agent:report", state="done", blocked_names=[wrong])


def test_what_checks_its_writes_stays_with_it_and_is_logged_when_it_changes() -> None:
    place = Place()
    said = {"state": "idle", "write_checks": "sandbox; no guard"}
    (event,) = place.do(ME, "agent:report", **said).events
    assert event.data.model_dump()["write_checks"] == "sandbox; no guard"
    assert place.do(ME, "agent:report", **said).events == (), "nothing new"
    (later,) = place.do(ME, "agent:report", **{**said, "state": "implementing"}).events
    assert later.data.model_dump()["write_checks"] is None and place.me.write_checks == "sandbox; no guard"
    place.do(ME, "agent:report", state="implementing", write_checks="sandbox, guard before each edit")
    assert place.me.write_checks == "sandbox, guard before each edit"


def test_one_that_is_stopped_leaves_at_once_with_its_locks_and_partition() -> None:
    place = Place()
    place.do(ME, "lock:acquire", path="web/a.ts")
    stopped = place.do(THE_PERSON, "instance:stop", agent_id="frontend", reason="enough")
    assert [event.type for event in stopped.events] == ["instance:stopping", "lock:released", "agent:left"]
    assert (place.me.phase, place.me.word, place.me.stop_reason) == (Phase.RECLAIMED, "ended", "enough")
    assert not list(place.workspace.locks.locks()) and not place.workspace.partitions.partitions
    with pytest.raises(AegisError):
        place.do(ME, "agent:report", state="done")
    assert place.do(THE_PERSON, "instance:stop", agent_id="frontend").events == ()


def test_one_that_joins_again_begins_anew() -> None:
    place = Place()
    first = place.join()["session"]
    place.do(ME, "agent:report", state="failed", progress=0.9, note="no", cause={"code": "x", "message": "m"})
    place.do(THE_PERSON, "instance:stop", agent_id="frontend")
    assert place.join()["session"] != first
    found = (place.me.phase, place.me.state, place.me.progress, place.me.note, place.me.stop_reason, place.me.cause)
    assert found == (Phase.JOINED, "idle", 0.0, None, None, None)


def test_one_that_an_older_hub_left_half_stopped_can_be_stopped() -> None:
    place = Place()
    place.me.phase = Phase.STOPPING
    place.do(THE_PERSON, "instance:stop", agent_id="frontend")
    assert place.me.phase is Phase.RECLAIMED


def test_an_event_from_before_the_state_was_in_it_changes_no_state() -> None:
    place = Place()
    place.do(ME, "agent:report", state="done")
    old = {"agent_type": "CLAUDE", "role": "worker", "partition": [], "session": "frontend.9"}
    wire: Any = {**event_to_wire(Event(9, ME.agent_id, "2026-01-01T00:00:00Z", AgentJoined(**old))), "data": old}
    assert "state" not in wire["data"]
    place.workspace.evolve(event_from_wire(wire))
    assert (place.me.session, place.me.state) == ("frontend.9", "done")


def test_a_session_that_expires_is_no_stop() -> None:
    place = Place()
    place.send(THE_HUB, SessionExpire(agent_id=ME.agent_id, session=place.me.session or ""))
    assert (place.me.phase, place.me.stop_reason) == (Phase.RECLAIMED, None)
