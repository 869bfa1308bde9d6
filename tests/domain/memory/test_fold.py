"""Failures are read off the events of a run, and their texts hold no secret (MEM-1, MEM-4)."""

from __future__ import annotations

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceLost, InstancePlanned
from aegis_tui.domain.memory.fold import FailureFold
from aegis_tui.domain.memory.model import Failure
from aegis_tui.domain.run.events import RunFacts, RunOptions, RunStarted

WORKER = "NATIVE-w01"
FACTS = RunFacts(workspace="w", base_oid="0", base_branch=None)
PLANNED = InstancePlanned(
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


def lost(message: str, *, goal: str = "g") -> Failure:
    fold = FailureFold("run1")
    cause = Cause(code="model.unavailable", message=message)
    for seq, (agent, data) in enumerate(
        [
            (HUB, RunStarted(run="run1", goal=goal, options=RunOptions(model="m"), facts=FACTS)),
            (WORKER, PLANNED),
            (WORKER, InstanceLost(last_seen=None, requeued=(), reason="gone", cause=cause)),
        ],
        1,
    ):
        fold.take(Event(seq=seq, agent_id=agent, timestamp=f"2024-01-01T00:00:0{seq}Z", data=data))
    (failure,) = fold.failures.values()
    return failure


def test_a_lost_instance_is_a_failure_with_its_cause() -> None:
    failure = lost("no answer\nat all", goal="Sell")
    assert (failure.id, failure.piece, failure.agent_id, failure.model) == ("run1-3", "cart", WORKER, "m")
    assert (failure.code, failure.error, failure.trace) == (
        "model.unavailable",
        "no answer; at all",
        "no answer\nat all",
    )
    assert failure.spec == "Sell"


def test_a_secret_at_the_place_where_a_text_is_cut_is_taken_out_whole() -> None:
    """Each length moves the secret to another place around the cut, behind which its name is not seen."""
    secret = "correct horse battery staple"
    for length in range(140, 220):
        message = f"{'x' * 600} password = '{secret}' {'y' * length}"
        failure = lost(message, goal=f"{'x' * 6000} password = '{secret}' {'y' * (1800 + length)}")
        for text in (failure.error, failure.trace, failure.spec):
            assert not any(word in text for word in secret.split())
