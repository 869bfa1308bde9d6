"""Instances start a few at a time, and what is left behind by others waits for them (PERF-18)."""

from __future__ import annotations

from aegis_tui.domain.effect import (
    ComposePiece,
    Effect,
    InspectPiece,
    LaunchInstance,
    PrepareInstance,
    ReclaimInstance,
    RunQa,
    StopInstance,
)
from aegis_tui.orchestrator.turns import PATIENCE_S, RECLAIM_S, START_S, Turns

A, B, C = (PrepareInstance(name) for name in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def turns(most: int = 2) -> tuple[Turns, Clock]:
    clock = Clock()
    return Turns(most, now=clock), clock


def test_no_more_instances_start_at_once_than_there_are_cores() -> None:
    plan, _ = turns()
    assert plan.choose([A, B, C], [], {"a", "b", "c"}) == [A, B]
    assert plan.choose([A, B, C], [A, B], {"a", "b", "c"}) == []
    launched: list[Effect] = [LaunchInstance("a"), LaunchInstance("b"), C]
    assert plan.choose(launched, [], {"a", "b", "c"}) == launched[:2]


def test_the_next_one_starts_when_one_has_joined_or_ended() -> None:
    plan, _ = turns()
    plan.choose([A, B, C], [], {"a", "b", "c"})
    assert plan.is_busy
    assert plan.choose([C], [], {"b", "c"}) == [C]
    assert plan.choose([], [], set()) == []
    assert not plan.is_busy


def test_a_program_that_does_not_join_keeps_others_waiting_for_a_while_only() -> None:
    plan, clock = turns(1)
    assert plan.choose([A, B], [], {"a", "b"}) == [A]
    clock.now += START_S
    assert plan.choose([B], [], {"a", "b"}) == [B]


def test_clean_up_waits_for_what_is_urgent_but_not_long() -> None:
    plan, clock = turns()
    merge, stop, reclaim = ComposePiece("run1", "a", "1"), StopInstance("x"), ReclaimInstance("y")
    assert plan.choose([stop, merge, reclaim], [], set()) == [merge]
    clock.now += PATIENCE_S / 2
    assert plan.choose([stop, merge, reclaim], [merge], set()) == []
    clock.now += PATIENCE_S / 2
    assert plan.choose([stop, merge, reclaim], [merge], set()) == [stop]
    clock.now += RECLAIM_S - PATIENCE_S
    assert plan.choose([merge, reclaim], [merge], set()) == [reclaim]


def test_the_end_of_an_instance_waits_while_a_piece_is_judged_but_not_long() -> None:
    plan, clock = turns()
    stop = StopInstance("x")
    assert plan.choose([stop], [], set(), is_judged=True) == []
    assert plan.choose([stop], [], set(), is_judged=False) == [stop]
    clock.now += PATIENCE_S
    assert plan.choose([stop], [], set(), is_judged=True) == [stop]


def test_an_instance_is_removed_after_qa_but_does_not_wait_long_for_it() -> None:
    plan, clock = turns()
    qa, reclaim = RunQa("run1", 0, "1"), ReclaimInstance("y")
    assert plan.choose([qa, reclaim], [], set()) == [qa]
    assert plan.choose([reclaim], [], set()) == [reclaim]
    assert plan.choose([qa, ReclaimInstance("z")], [qa], set()) == []
    clock.now += RECLAIM_S
    assert plan.choose([qa, ReclaimInstance("z")], [qa], set()) == [ReclaimInstance("z")]


def test_clean_up_does_not_wait_for_nothing_and_other_work_does_not_wait_at_all() -> None:
    plan, _ = turns()
    stop, check = StopInstance("x"), RunQa("run1", 0, "1")
    assert plan.choose([stop, check], [], set()) == [check, stop]
    assert plan.choose([A, B, C, check], [], {"a", "b", "c"}) == [A, B, check]


def test_checks_take_the_turns_of_starts_which_wait_for_them_but_not_long() -> None:
    plan, clock = turns()
    one, other = InspectPiece("run1", "x", "1"), ComposePiece("run1", "y", "1")
    assert plan.choose([A, B, one], [], {"a", "b"}) == [A, one]
    assert plan.is_busy
    assert plan.choose([B, other], [one], {"a", "b"}) == [other]
    assert plan.choose([B], [one], {"b"}) == [B]
    assert plan.choose([C, one, other], [one, other], {"b", "c"}) == []
    clock.now += PATIENCE_S
    assert plan.choose([C, one, other], [one, other], {"b", "c"}) == [C]
