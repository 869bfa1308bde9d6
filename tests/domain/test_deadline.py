"""Deadlines: derived from durations, extended on stalls, skipped when outdated."""

from __future__ import annotations

import heapq
import random

from aegis_tui.domain.deadline import MIN_COMPACT, Deadlines, Due
from aegis_tui.domain.lock.events import (
    LockAcquired,
    LockBroken,
    LockDenied,
    LockExpired,
    LockQueued,
    LockReleased,
    LockRenewed,
    LockWithdrawn,
)
from aegis_tui.domain.lock.model import LockMode, Rank, Resource
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.model import EventData


def acquired(token: int = 1, *, ttl_s: float = 10, request_id: str = "r") -> LockAcquired:
    return LockAcquired(
        lock_id=f"L{token}",
        path="a.py",
        region=None,
        lock_type=LockMode.EXCLUSIVE,
        token=token,
        ttl_s=ttl_s,
        request_id=request_id,
        waited=False,
    )


def queued(request_id: str = "q", *, wait_s: float = 5) -> LockQueued:
    return LockQueued(
        request_id=request_id,
        resources=(Resource(path="a.py"),),
        ranks=(Rank.PLAIN,),
        lock_type=LockMode.EXCLUSIVE,
        ttl_s=10,
        wait_s=wait_s,
        position=1,
        holder="w1",
    )


def test_a_lock_is_due_when_its_ttl_is_over_and_told_once() -> None:
    deadlines = Deadlines()
    deadlines.arm("w1", acquired(), 100)
    assert deadlines.due(109.9) == []
    assert deadlines.remaining_s("lock", "L1", 104) == 6
    assert deadlines.next_at() == 110
    assert deadlines.due(110) == [Due("lock", "w1", "L1", 1)]
    assert deadlines.due(1000) == []
    assert deadlines.next_at() is None
    assert deadlines.remaining_s("lock", "L1", 104) == 0


def test_a_renewal_starts_the_time_again() -> None:
    deadlines = Deadlines()
    deadlines.arm("w1", acquired(), 100)
    deadlines.arm("w1", LockRenewed(lock_id="L1", token=1, ttl_s=20), 105)
    assert deadlines.next_at() == 125
    assert deadlines.due(124) == []
    assert [due.id for due in deadlines.due(125)] == ["L1"]


def test_a_lock_that_ended_is_not_due() -> None:
    ends: list[EventData] = [
        LockReleased(lock_id="L1", path="a.py", region=None, token=1, reason="release"),
        LockExpired(lock_id="L1", path="a.py", region=None, token=1),
        LockBroken(lock_id="L1", path="a.py", region=None, token=1, reason="stuck", by="person"),
    ]
    for end in ends:
        deadlines = Deadlines()
        deadlines.arm("w1", acquired(), 100)
        deadlines.arm("w1", end, 101)
        assert deadlines.due(1000) == []


def test_a_wait_ends_with_its_grant_its_withdrawal_or_its_time() -> None:
    for end in (acquired(request_id="q", ttl_s=9999), LockWithdrawn(request_id="q", code="GONE")):
        deadlines = Deadlines()
        deadlines.arm("w1", queued(), 100)
        deadlines.arm("w2", queued(), 100)
        deadlines.arm("w1", end, 101)
        assert deadlines.remaining_s("wait", "q", 102, agent_id="w1") == 0
        assert deadlines.remaining_s("wait", "q", 102, agent_id="w2") == 3
        assert deadlines.due(200) == [Due("wait", "w2", "q", None)]


def test_a_session_lasts_while_it_is_heard_of() -> None:
    deadlines = Deadlines()
    for now in range(0, 100, 5):
        deadlines.touch_session("w1", now, 30)
        assert deadlines.due(now) == []
    assert deadlines.due(125) == [Due("session", "w1", "w1", None)]
    deadlines.touch_session("w1", 200, 30)
    deadlines.end_session("w1")
    assert deadlines.due(999) == []


def test_a_stall_of_the_host_moves_what_is_running_and_not_what_comes_later() -> None:
    deadlines = Deadlines()
    deadlines.arm("w1", acquired(), 100)
    deadlines.extend(7)
    deadlines.arm("w2", acquired(2), 107)
    assert deadlines.remaining_s("lock", "L1", 107) == 10
    assert deadlines.due(116) == []
    assert [due.id for due in deadlines.due(117)] == ["L1", "L2"]


def test_after_a_restart_everything_has_its_full_time_again() -> None:
    table, deadlines = LockTable(), Deadlines()
    table.evolve("w1", acquired(ttl_s=10))
    table.evolve("w2", queued(wait_s=5))
    deadlines.arm("w9", acquired(9), 0)
    deadlines.touch_session("w1", 0, 30)
    deadlines.rearm_all(table, 3)
    assert deadlines.due(100) == [
        Due("wait", "w2", "q", None),
        Due("lock", "w1", "L1", 1),
        Due("session", "w1", "w1", None),
    ]


def test_events_of_other_kinds_set_no_deadline() -> None:
    deadlines = Deadlines()
    deadlines.arm("w1", LockDenied(path="a.py", lock_type=LockMode.SHARED, code="HELD", held_by="w2"), 0)
    assert deadlines.next_at() is None


def test_beats_of_a_long_life_do_not_pile_up() -> None:
    deadlines = Deadlines()
    for now in range(10_000):
        deadlines.touch_session(f"w{now % 10}", now, 30)
    assert len(deadlines._heap) <= 64 + 2 * 10 + 1


def test_due_agrees_with_a_plain_list_over_random_lives() -> None:
    pick = random.Random(7)
    deadlines = Deadlines()
    plain: dict[str, float] = {}
    now = 0.0
    for step in range(3000):
        now += pick.random()
        agent = f"w{pick.randint(0, 20)}"
        match pick.randint(0, 4):
            case 0:
                deadlines.end_session(agent)
                plain.pop(agent, None)
            case 1 if step % 50 == 0:
                deadlines.extend(2)
                plain = {name: at_s + 2 for name, at_s in plain.items()}
            case 2:
                expected = sorted(name for name, at_s in plain.items() if at_s <= now - 1e-6)
                assert sorted(due.id for due in deadlines.due(now - 1e-6)) == expected
                plain = {name: at_s for name, at_s in plain.items() if name not in expected}
            case _:
                ttl_s = pick.random() * 20
                deadlines.touch_session(agent, now, ttl_s)
                plain[agent] = now + ttl_s
        first = heapq.nsmallest(1, plain.values())
        found = deadlines.next_at()
        assert (found is None) == (not first)
        assert found is None or abs(found - first[0]) < 1e-6


def test_deadlines_stay_in_order_when_what_was_replaced_is_cleared_away() -> None:
    deadlines, ends = Deadlines(), {1: 999}
    for token in range(1, 21):  # the first to be taken is the last to end
        deadlines.arm("w1", acquired(token, ttl_s=1_000 - token), 0)
    for turn in range(MIN_COMPACT + 2 * 20 - 20 + 1):  # the last one clears away
        token = turn % 19 + 2
        ends[token] = 900 - turn
        deadlines.arm("w1", LockRenewed(lock_id=f"L{token}", token=token, ttl_s=ends[token]), 0)
    seen = [(at, due.token) for at in range(1_000) for due in deadlines.due(at)]
    assert seen == sorted((end, token) for token, end in ends.items())
