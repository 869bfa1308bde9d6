"""Failures are read off the events of a run, and their texts hold no secret (MEM-1, MEM-4)."""

from __future__ import annotations

from aegis_tui.domain.memory.fold import FailureFold
from aegis_tui.domain.memory.model import Failure
from tests.failing_run import WORKER, failing_run


def lost(message: str, *, goal: str) -> Failure:
    fold = FailureFold("run1")
    for event in failing_run(message, goal=goal):
        fold.take(event)
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
