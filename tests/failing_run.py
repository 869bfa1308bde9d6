"""The events of a run whose only instance, WORKER, is lost."""

from __future__ import annotations

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceLost, InstancePlanned
from aegis_tui.domain.run.events import RunFacts, RunOptions, RunStarted

WORKER = "NATIVE-w01"
_FACTS = RunFacts(workspace="w", base_oid="0", base_branch=None)
_PLANNED = InstancePlanned(
    instance_id="i1",
    role="worker",
    kind="native",
    run="run1",
    task="implement",
    piece="cart",
    base_oid="0",
    branch="b",
    partition=("src/**",),
)


def failing_run(message: str, *, goal: str = "Sell carts") -> list[Event]:
    """Return the events of `run1`; the last, number 3, tells why the instance was lost."""
    cause = Cause(code="model.unavailable", message=message)
    started = RunStarted(run="run1", goal=goal, options=RunOptions(model="m"), facts=_FACTS)
    lost = InstanceLost(last_seen=None, requeued=(), reason="gone", cause=cause)
    return [
        Event(1, HUB, "2024-01-01T00:00:01Z", started),
        Event(2, WORKER, "2024-01-01T00:00:02Z", _PLANNED),
        Event(3, WORKER, "2024-01-01T00:00:03Z", lost),
    ]
