"""The state that is believed, by the order in which sources are trusted (PANE-5)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.instance.belief import Belief, SourceReading, believe, of_hub
from aegis_tui.domain.instance.events import AgentJoined, AgentState, InstanceExited, InstanceLost
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.instance.table import InstanceTable

T = "2026-01-01T00:00:0{}Z"
ALIVE = of_hub(answers=True)
RUNS, ENDED = (
    SourceReading("process", "running", "process 1 runs"),
    SourceReading("process", "ended", "its pane is gone"),
)
ASKS = SourceReading("screen", "asking", "Do you want to proceed?")


def instance(**more: Any) -> Instance:
    fields = {
        "phase": Phase.JOINED,
        "state": "implementing",
        "source": "hook",
        "evidence": "called its tool Edit",
        "state_at": "t1",
        **more,
    }
    return Instance(
        agent_id="CLAUDE-CODE-w01", instance_id="w01", role="worker", kind="claude-code", planned_at="t0",
        **fields,
    )  # fmt: skip


def test_without_other_sources_the_report_counts_with_its_own_source_and_evidence() -> None:
    assert believe(instance()) == Belief("implementing", "hook", "called its tool Edit", "t1")
    assert believe(instance(source="hub", evidence=None, note="reading")).because == "reading"


@pytest.mark.parametrize(
    ("readings", "state", "source"),
    [
        ([ALIVE, RUNS], "implementing", "hook"),
        ([ALIVE, RUNS, ASKS], "asking", "screen"),
        ([ALIVE, RUNS, SourceReading("title", "idle", "Ready")], "implementing", "hook"),
        ([ALIVE, ENDED], "unknown", "process"),
        ([ALIVE, ENDED, ASKS], "unknown", "process"),
        ([of_hub(answers=False), RUNS, SourceReading("screen", "running", "esc to interrupt")], "running", "screen"),
        ([of_hub(answers=False), RUNS, SourceReading("screen", None, "nothing")], "unknown", "hub"),
        ([of_hub(answers=False)], "unknown", "hub"),
        ([ALIVE, SourceReading("process", None, "tmux does not answer")], "implementing", "hook"),
    ],
)
def test_sources_are_trusted_in_their_order_and_silence_is_unknown(
    readings: list[SourceReading], state: str, source: str
) -> None:
    believed = believe(instance(), readings)
    assert (believed.state, believed.source) == (state, source)
    assert believed.because


@pytest.mark.parametrize("state", ["asking", "blocked", "limited", "done", "failed"])
def test_a_screen_does_not_change_what_the_agent_waits_for(state: str) -> None:
    assert believe(instance(state=state), [ALIVE, ASKS]).state == state


def test_an_instance_that_ended_is_known_from_its_process_and_a_lost_one_from_the_hub() -> None:
    ended = believe(instance(phase=Phase.GONE, stop_reason="verdict given"), [of_hub(answers=False)])
    assert ended == Belief("done", "process", "verdict given", "t1")
    lost = believe(instance(phase=Phase.STOPPING, lost=True, note="no heartbeat for 30 s"))
    assert (lost.state, lost.source, lost.because) == ("lost", "hub", "no heartbeat for 30 s")


def test_since_when_a_state_lasts_changes_only_with_the_state() -> None:
    table = InstanceTable()
    name = "CLAUDE-w01"
    joined = AgentJoined(agent_type="CLAUDE", role="worker", partition=(), session="s", state="idle")
    table.evolve(name, joined, T.format(1))
    seen = [table.by_id[name].state_at]
    for at, (state, progress) in enumerate([("exploring", 0.1), ("exploring", 0.2), ("implementing", 0.2)], 2):
        table.evolve(name, AgentState(state=state, progress=progress, source="hub"), T.format(at))
        seen.append(table.by_id[name].state_at)
    table.evolve(name, InstanceLost(last_seen=None, requeued=(), reason="gone"), T.format(6))
    table.evolve(name, InstanceExited(status=0, signal=None), T.format(7))
    assert [*seen, table.by_id[name].state_at] == [T.format(at) for at in (1, 2, 2, 4, 6)]
