"""One word for the state of an instance, the same in the report and on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.domain.instance.model import AgentStateName, Instance, Phase
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.recorded import load_events
from aegis_tui.tui.views.instance import state_of

LOG = Path(__file__).parents[2] / "tui" / "data" / "default.jsonl"


def instance(state: AgentStateName, phase: Phase, reason: str | None, *, lost: bool = False) -> Instance:
    return Instance(
        agent_id="NATIVE-r01",
        instance_id="r01",
        role="reviewer",
        kind="native",
        planned_at="2026-01-01T00:00:00Z",
        state=state,
        phase=phase,
        stop_reason=reason,
        lost=lost,
    )


@pytest.mark.parametrize(
    ("state", "phase", "reason", "word"),
    [
        ("reviewing", Phase.JOINED, None, "reviewing"),
        ("reviewing", Phase.RECLAIMED, "verdict given", "done"),
        ("reviewing", Phase.RECLAIMED, "stopped by the person", "ended"),
        ("planning", Phase.GONE, "design proposed", "done"),
        ("implementing", Phase.RECLAIMED, "the run has ended", "ended"),
        ("failed", Phase.RECLAIMED, "the run has ended", "failed"),
        ("done", Phase.RECLAIMED, "the run has ended", "done"),
    ],
)
def test_an_ended_instance_is_named_by_how_its_task_ended(
    state: AgentStateName, phase: Phase, reason: str | None, word: str
) -> None:
    assert instance(state, phase, reason).word == word
    assert instance(state, phase, reason, lost=True).word == "lost"


def test_report_and_screen_use_the_same_words_at_the_end() -> None:
    events = load_events(LOG)
    workspace = Workspace()
    for event in events:
        workspace.evolve(event)
    told = {item["agent_id"]: item["state"] for item in fold_report(events, "run1")["instances"]}
    shown = {name: state_of(workspace, workspace.instances.by_id[name]).word for name in told}
    assert told == shown
    assert {state for name, state in told.items() if "-r" in name} == {"done"}
