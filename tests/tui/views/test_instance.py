from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from aegis_tui.domain.event import AnyEventData, Event
from aegis_tui.domain.instance.events import AgentState, InstanceLost
from aegis_tui.domain.lock.events import LockQueued
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.need import needs
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.text import Row, line_width
from aegis_tui.tui.views.instance import instance_rows, listed, state_of

Record = Callable[..., Any]


def _text(row: Row) -> str:
    return "".join(span.text for span in row.line)


def _say(workspace: Workspace, agent_id: str, state: str, note: str | None = None) -> None:
    data = AgentState.model_validate({"state": state, "progress": 0.5, "source": "hub", "note": note})
    _apply(workspace, agent_id, data)


def _apply(workspace: Workspace, agent_id: str, data: AnyEventData) -> None:
    workspace.evolve(Event(workspace.seq + 1, agent_id, "2026-01-01T00:00:00Z", data))


@pytest.mark.parametrize("width", [50, 62, 74, 100, 160])
def test_every_row_is_exactly_as_wide_as_the_table(record: Record, width: int) -> None:
    scene = record(until=130)
    workspace = scene.workspace()
    head, rows = instance_rows(workspace, workspace.runs.latest(), now=scene.now, width=width)
    assert {line_width(row.line) for row in rows} <= {width, width - 1}
    assert line_width(head) <= width


def test_a_waiting_worker_names_who_holds_what_it_wants(record: Record) -> None:
    workspace = record(until=125).workspace()
    waiting = workspace.instances.by_id["NATIVE-w02"]
    assert state_of(workspace, waiting) == ("◐", "waits w01:routes.py", "warn")


def test_a_waiting_worker_names_the_file_that_is_held_and_not_the_first_one(record: Record) -> None:
    workspace = record(until=125).workspace()
    (wait,) = workspace.locks.waits_of("NATIVE-w02")
    free = Resource(path="a/free.py")
    queued = LockQueued(
        request_id=wait.request_id,
        resources=(free, *wait.resources),
        ranks=(wait.ranks[0], *wait.ranks),
        lock_type=wait.mode,
        ttl_s=300,
        wait_s=5,
        position=1,
        holder="NATIVE-w01",
    )
    _apply(workspace, "NATIVE-w02", queued)
    assert state_of(workspace, workspace.instances.by_id["NATIVE-w02"]).word == "waits w01:routes.py"

    _apply(workspace, "NATIVE-w02", queued.model_copy(update={"resources": (free,), "ranks": wait.ranks[:1]}))
    assert state_of(workspace, workspace.instances.by_id["NATIVE-w02"]).word == "waits free.py"


def test_who_needs_the_person_comes_first(record: Record) -> None:
    workspace = record(until=125).workspace()
    _say(workspace, "NATIVE-w03", "asking", "may I run npm?\x1b[2J")
    assert listed(workspace, workspace.runs.latest())[0].agent_id == "NATIVE-w03"
    assert state_of(workspace, workspace.instances.by_id["NATIVE-w03"]).word == "asking: may I run npm?�[2J"
    assert [need.key for need in needs(workspace)] == ["NATIVE-w03"]


def test_a_state_is_told_by_sign_and_word_and_not_by_colour_alone(record: Record) -> None:
    workspace = record(until=125).workspace()
    seen = {}
    for state in ("implementing", "waiting", "asking", "done", "failed", "unknown", "idle"):
        _say(workspace, "NATIVE-w03", state)
        found = state_of(workspace, workspace.instances.by_id["NATIVE-w03"])
        seen[state] = (found.glyph, found.word)
    assert len(set(seen.values())) == len(seen)


def test_a_limited_instance_names_the_time_until_which(record: Record) -> None:
    workspace = record(until=125).workspace()
    until = "2026-01-01T12:30:00Z"
    data = AgentState(state="limited", progress=0.5, source="hub", until=until)
    workspace.evolve(Event(workspace.seq + 1, "NATIVE-w03", "2026-01-01T00:00:00Z", data))
    local = datetime.fromisoformat(until).astimezone()
    shown = ("◔", f"limited until {local:%Y-%m-%d %H:%M}", "warn")
    assert state_of(workspace, workspace.instances.by_id["NATIVE-w03"]) == shown
    _say(workspace, "NATIVE-w03", "implementing")
    assert state_of(workspace, workspace.instances.by_id["NATIVE-w03"]).word == "implementing"


def test_a_lost_instance_says_so_whatever_it_said_last(record: Record) -> None:
    workspace = record(until=125).workspace()
    lost = InstanceLost(last_seen=None, requeued=(), reason="silent")
    workspace.evolve(Event(workspace.seq + 1, "NATIVE-w03", "2026-01-01T00:00:00Z", lost))
    assert state_of(workspace, workspace.instances.by_id["NATIVE-w03"]).word == "lost"


def test_times_stand_still_after_the_end(record: Record) -> None:
    scene = record()
    workspace = scene.workspace()
    later = datetime.fromisoformat("2099-01-01T00:00:00+00:00")
    run = workspace.runs.latest()
    first = instance_rows(workspace, run, now=scene.now, width=90)
    assert instance_rows(workspace, run, now=later, width=90) == first


def test_the_gateways_count_of_tokens_goes_before_the_agents_word(record: Record) -> None:
    scene = record(until=125)
    workspace = scene.workspace()
    usage: Any = {"NATIVE-w01": {"prompt_tokens": 1_000_000, "completion_tokens": 234_000}}
    _, rows = instance_rows(workspace, workspace.runs.latest(), now=scene.now, width=90, usage=usage)
    assert _text(rows[0]).endswith(" 1.2M")
