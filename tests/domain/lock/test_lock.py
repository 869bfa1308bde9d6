"""Each rule of the locks as one example."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_grant
from aegis_tui.domain.lock.events import (
    LockAcquired,
    LockBroken,
    LockDeadlock,
    LockDenied,
    LockEvent,
    LockExpired,
    LockQueued,
    LockReleased,
    LockWithdrawn,
)
from aegis_tui.domain.lock.model import COMPATIBLE, Draft, GrantedLock, LockMode, LockRefused, Region, Resource
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.errors import LockHeld, Refused, StaleToken, UsageError

EXCLUSIVE, SHARED, REVIEW = LockMode.EXCLUSIVE, LockMode.SHARED, LockMode.REVIEW


def at(name: str) -> Resource:
    """`a.py`, `a.py:3-7` or `a.py:Parser.parse`."""
    path, _, part = name.partition(":")
    if not part:
        return Resource(path=path)
    if part[0].isdigit():
        first, last = part.split("-")
        return Resource(path=path, region=Region(lines=(int(first), int(last))))
    return Resource(path=path, region=Region(symbol=part))


class Desk:
    """A hub without a hub: logs drafts, applies them, promotes."""

    def __init__(self) -> None:
        self.table = LockTable()
        self.log: list[Draft] = []
        self.dead: set[str] = set()
        self.lapsed: set[tuple[str, str]] = set()

    def apply(self, drafts: list[Draft]) -> list[Draft]:
        for draft in drafts:
            self.log.append(draft)
            self.table.evolve(*draft)
        return drafts

    def ask(
        self,
        agent: str,
        *names: str,
        mode: LockMode = EXCLUSIVE,
        wait_s: float = 0,
        request: str | None = None,
        ttl_s: float = 300,
        **more: Any,
    ) -> list[Draft]:
        return self.apply(
            lock_grant.acquire(
                self.table,
                agent,
                request_id=request or f"r{len(self.log)}",
                resources=[at(name) for name in names],
                mode=mode,
                ttl_s=ttl_s,
                wait_s=wait_s,
                seq=len(self.log),
                **more,
            )
        )

    def promote(self) -> list[Draft]:
        return self.apply(
            lock_grant.promote(
                self.table,
                seq=len(self.log),
                alive=lambda agent: agent not in self.dead,
                lapsed=lambda agent, request: (agent, request) in self.lapsed,
            )
        )

    def free(self, agent: str, path: str) -> list[Draft]:
        """Release by path; returns what that let others do."""
        self.apply(lock_end.release(self.table, agent, path=path))
        return self.promote()

    def holders(self) -> list[tuple[str, str]]:
        return [(lock.agent_id, str(lock.resource)) for lock in self.table.locks()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refused(desk: Desk, *args: Any, **kwargs: Any) -> LockRefused:
    before = desk.table.dump()
    with pytest.raises(LockRefused) as caught:
        desk.ask(*args, **kwargs)
    assert desk.table.dump() == before
    return caught.value


# Values


def test_the_table_of_modes_is_symmetric_and_only_readers_share() -> None:
    pairs = {(one, other) for one, other in product(LockMode, LockMode) if other in COMPATIBLE[one]}
    assert pairs == {(SHARED, SHARED), (SHARED, REVIEW), (REVIEW, SHARED), (REVIEW, REVIEW)}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a.py", "a.py", True),
        ("a.py", "b.py", False),
        ("a.py", "a.py:3-7", True),
        ("a.py:3-7", "a.py:7-9", True),
        ("a.py:3-7", "a.py:8-9", False),
        ("a.py:A", "a.py:A", True),
        ("a.py:A", "a.py:A.b", True),
        ("a.py:A", "a.py:Ab", False),
        ("a.py:A.b", "a.py:A.c", False),
        ("a.py:A", "a.py:1-2", True),
        ("src", "src/a.py", True),
        ("src", "src/x/a.py:1-2", True),
        ("src", "srcs/a.py", False),
    ],
)
def test_resources_meet_where_they_may_share_a_line(one: str, other: str, meet: bool) -> None:
    assert at(one).overlaps(at(other)) is meet
    assert at(other).overlaps(at(one)) is meet


@pytest.mark.parametrize("region", [{}, {"lines": (0, 2)}, {"lines": (3, 2)}, {"symbol": ""}, {"symbol": "A..b"}])
def test_a_region_is_lines_or_a_dotted_name(region: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Region(**region)
    with pytest.raises(ValidationError):
        Region(lines=(1, 2), symbol="A")


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a\nb", "a\0b"])
def test_two_spellings_of_one_path_are_not_two_resources(path: str) -> None:
    with pytest.raises(ValidationError):
        Resource(path=path)


def test_a_path_is_compared_in_nfc() -> None:
    assert Resource(path="re\u0301sume\u0301.py") == Resource(path="r\u00e9sum\u00e9.py")


def test_regions_and_resources_read_as_on_the_command_line() -> None:
    assert [str(at(name)) for name in ("a.py", "a.py:10-20", "a.py:A.b")] == ["a.py", "a.py:10-20", "a.py:A.b"]


# Acquire


def test_the_token_of_a_grant_is_the_seq_of_its_event(desk: Desk) -> None:
    desk.ask("w1", "z.py")
    drafts = desk.ask("w2", "c.py", "a.py:5-9", "a.py:1-2")
    assert [(data.token, data.lock_id, data.path) for _, data in drafts if isinstance(data, LockAcquired)] == [
        (2, "L2", "a.py"),
        (3, "L3", "a.py"),
        (4, "L4", "c.py"),
    ]


def test_different_regions_of_one_file_are_held_at_once(desk: Desk) -> None:
    desk.ask("w1", "a.py:1-5")
    desk.ask("w2", "a.py:6-9")
    assert desk.holders() == [("w1", "a.py:1-5"), ("w2", "a.py:6-9")]


def test_a_try_on_a_held_file_names_the_holder_and_is_audited(desk: Desk) -> None:
    desk.ask("w1", "a.py:1-5")
    error = refused(desk, "w2", "a.py")
    assert isinstance(error, LockHeld)
    assert (error.code, error.exit_code) == ("HELD", 4)
    assert (error.data["held_by"], error.data["mode"], error.data["region"]) == ("w1", "EXCLUSIVE", "1-5")
    assert error.data["lock_id"] == "L1"
    assert error.audit == (("w2", LockDenied(path="a.py", lock_type=EXCLUSIVE, code="HELD", held_by="w1")),)
    json.dumps(error.to_wire())


def test_a_request_is_granted_as_a_whole_or_not_at_all(desk: Desk) -> None:
    desk.ask("w1", "b.py")
    refused(desk, "w2", "a.py", "b.py", "c.py")
    assert desk.holders() == [("w1", "b.py")]


def test_a_retried_request_changes_nothing_and_its_locks_are_found(desk: Desk) -> None:
    desk.ask("w1", "a.py", "b.py", request="one")
    desk.ask("w2", "a.py", request="one", wait_s=5)
    assert desk.ask("w1", "a.py", "b.py", request="one") == []
    assert desk.ask("w2", "a.py", request="one", wait_s=5) == []
    assert [str(lock.resource) for lock in desk.table.granted("w1", "one")] == ["a.py", "b.py"]
    assert desk.table.waiting("w2", "one") is not None


@pytest.mark.parametrize(("held", "asked"), [(EXCLUSIVE, SHARED), (SHARED, SHARED), (EXCLUSIVE, REVIEW)])
def test_what_is_held_strongly_enough_is_not_granted_again(desk: Desk, held: LockMode, asked: LockMode) -> None:
    desk.ask("w1", "a.py", mode=held)
    desk.ask("w2", "a.py", wait_s=9)
    assert desk.ask("w1", "a.py:1-2", mode=asked) == []
    lock = desk.table.held_by("w1", at("a.py:1-2"))
    assert lock is not None and lock.lock_id == "L1"
    assert desk.table.held_by("w2", at("a.py")) is None


@pytest.mark.parametrize("ttl_s", [0, -1, 600.5, float("nan"), float("inf")])
def test_a_ttl_is_over_zero_and_at_most_ten_minutes(desk: Desk, ttl_s: float) -> None:
    with pytest.raises(UsageError):
        desk.ask("w1", "a.py", ttl_s=ttl_s)
    desk.ask("w1", "a.py", ttl_s=600)
    with pytest.raises(UsageError):
        lock_end.renew(desk.table, "w1", path="a.py", ttl_s=ttl_s)


@pytest.mark.parametrize("wait_s", [-1, float("nan"), float("inf")])
def test_a_wait_is_a_duration(desk: Desk, wait_s: float) -> None:
    with pytest.raises(UsageError):
        desk.ask("w1", "a.py", wait_s=wait_s)


def test_a_request_names_something(desk: Desk) -> None:
    with pytest.raises(UsageError):
        desk.ask("w1")


def test_a_review_lock_carries_the_blob_it_reads(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.ask("r1", "a.py", mode=REVIEW, wait_s=5, review_blobs={"a.py": "b10b"})
    desk.free("w1", "a.py")
    assert [lock.review_blob for lock in desk.table.locks()] == ["b10b"]


def test_a_lock_on_a_folder_holds_what_is_below(desk: Desk) -> None:
    desk.ask("w1", "src/x/a.py")
    assert refused(desk, "w2", "src").data["held_by"] == "w1"
    desk.ask("w2", "lib")
    assert refused(desk, "w1", "lib/y/b.py:1-2").data["held_by"] == "w2"


# Queue


def test_waiters_are_granted_in_order_of_arrival(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    for agent in ("w2", "w3", "w4"):
        desk.ask(agent, "a.py", wait_s=60)
    order = []
    for agent in ("w1", "w2", "w3"):
        order += [owner for owner, _ in desk.free(agent, "a.py")]
    assert order == ["w2", "w3", "w4"]


def test_a_queued_request_says_who_is_in_the_way_and_its_position(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.ask("w2", "a.py", wait_s=60)
    (_, data) = desk.ask("w3", "a.py", wait_s=60)[0]
    assert isinstance(data, LockQueued)
    assert (data.holder, data.position) == ("w1", 2)


def test_adjacent_readers_are_granted_together_and_none_overtakes_a_writer(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.ask("r1", "a.py", mode=SHARED, wait_s=60)
    desk.ask("r2", "a.py", mode=REVIEW, wait_s=60)
    desk.ask("w2", "a.py", wait_s=60)
    desk.ask("r3", "a.py", mode=SHARED, wait_s=60)
    assert [agent for agent, _ in desk.free("w1", "a.py")] == ["r1", "r2"]
    assert refused(desk, "r4", "a.py", mode=SHARED).data["held_by"] == "w2"
    assert desk.promote() == []


def test_a_try_that_only_a_waiter_blocks_names_the_waiter(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("w1", "a.py:3-4", wait_s=60)
    error = refused(desk, "r2", "a.py", mode=SHARED)
    assert (error.data["held_by"], error.data["lock_id"], error.data["region"]) == ("w1", "L1", "3-4")


def test_a_waiter_for_other_lines_is_not_in_the_way(desk: Desk) -> None:
    desk.ask("w1", "a.py:1-5")
    desk.ask("w2", "a.py:5-9", wait_s=60)
    assert len(desk.ask("w3", "a.py:10-12")) == 1


def test_a_waiter_that_died_or_came_too_late_is_withdrawn_at_the_moment_of_grant(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    for agent in ("w2", "w3", "w4"):
        desk.ask(agent, "a.py", wait_s=60, request="r")
    desk.dead = {"w2"}
    desk.lapsed = {("w3", "r")}
    assert desk.free("w1", "a.py") == [("w2", LockWithdrawn(request_id="r", code="GONE"))]
    assert desk.promote() == [("w3", LockWithdrawn(request_id="r", code="TIMEOUT"))]
    desk.promote()
    assert desk.promote() == []
    assert desk.holders() == [("w4", "a.py")]


def test_a_withdrawn_waiter_lets_those_behind_it_through(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("w1", "a.py", wait_s=60, request="w")
    desk.ask("r2", "a.py", mode=SHARED, wait_s=60)
    desk.apply(lock_end.withdraw(desk.table, "w1", "w", "TIMEOUT"))
    assert [agent for agent, _ in desk.promote()] == ["r2"]
    assert lock_end.withdraw(desk.table, "w1", "w", "TIMEOUT") == []


# Upgrade


def test_the_only_reader_becomes_the_writer_ahead_of_the_queue(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("w1", "a.py", wait_s=60)
    drafts = desk.ask("r1", "a.py")
    assert [type(data) for _, data in drafts] == [LockReleased, LockAcquired]
    assert [(lock.lock_id, lock.mode) for lock in desk.table.locks()] == [("L4", EXCLUSIVE)]


def test_an_upgrade_waits_for_the_other_readers_only(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("r2", "a.py", mode=SHARED)
    desk.ask("w1", "a.py", wait_s=60)
    (_, data) = desk.ask("r1", "a.py", wait_s=60)[0]
    assert isinstance(data, LockQueued)
    assert data.position == 1
    desk.free("r2", "a.py")
    assert [(lock.agent_id, lock.mode) for lock in desk.table.locks()] == [("r1", EXCLUSIVE)]


@pytest.mark.parametrize("wait_s", [0, 60])
def test_the_second_upgrader_is_refused_at_once(desk: Desk, wait_s: float) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("r2", "a.py", mode=SHARED)
    desk.ask("r1", "a.py", wait_s=60)
    error = refused(desk, "r2", "a.py", wait_s=wait_s)
    assert (error.code, error.data["held_by"]) == ("UPGRADE", "r1")
    assert (
        error.message
        == "r1 waits for a.py (EXCLUSIVE), which you hold too, so that each of you would wait for the other"
    )


def test_an_upgrade_that_does_not_wait_is_held_while_others_read(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("r2", "a.py", mode=SHARED)
    assert refused(desk, "r1", "a.py").code == "HELD"


def test_an_upgrade_keeps_its_place_when_the_weaker_lock_ends_first(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("r2", "a.py", mode=SHARED)
    desk.ask("w1", "a.py", wait_s=60)
    desk.ask("r1", "a.py", wait_s=60)
    desk.apply(lock_end.expire(desk.table, "L1", 1))
    assert [agent for agent, _ in desk.free("r2", "a.py")] == ["r1"]


# Deadlock


def test_a_cycle_of_two_is_refused_and_named(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.ask("w2", "b.py")
    desk.ask("w1", "b.py", wait_s=60)
    error = refused(desk, "w2", "a.py", wait_s=60, request="last")
    assert (error.code, error.data["cycle"]) == ("DEADLOCK", ["w2", "w1"])
    assert error.audit == (("w2", LockDeadlock(request_id="last", cycle=("w2", "w1"))),)


def test_a_cycle_through_a_place_in_the_queue_is_found(desk: Desk) -> None:
    desk.ask("r1", "a.py", mode=SHARED)
    desk.ask("r2", "b.py")
    desk.ask("w1", "a.py", wait_s=60)
    desk.ask("r2", "a.py", mode=SHARED, wait_s=60)
    assert refused(desk, "r1", "b.py", wait_s=60).data["cycle"] == ["r1", "r2", "w1"]


def test_an_upgrade_that_puts_a_waiter_back_may_not_close_a_cycle(desk: Desk) -> None:
    desk.ask("u", "a.py:1-2", mode=SHARED)
    desk.ask("e", "a.py:5-6")
    desk.ask("d", "d.py")
    desk.ask("d", "a.py", mode=SHARED, wait_s=60)
    desk.ask("u", "d.py", wait_s=60)
    error = refused(desk, "u", "a.py:1-2", wait_s=60)
    assert (error.code, error.data["cycle"]) == ("DEADLOCK", ["u", "d"])


def test_asking_again_for_what_is_held_together_with_more_is_no_deadlock(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.ask("w2", "b.py")
    desk.ask("w3", "a.py", wait_s=60)
    desk.ask("w1", "a.py", "b.py", wait_s=60, request="both")
    desk.free("w2", "b.py")
    assert [str(lock.resource) for lock in desk.table.granted("w1", "both")] == ["a.py", "b.py"]


# Release, renew, break, expire


def test_a_stale_token_releases_and_renews_nothing(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.apply(lock_end.expire(desk.table, "L1", 1))
    desk.ask("w1", "a.py")
    for action in (lock_end.release, lock_end.renew):
        with pytest.raises(StaleToken):
            action(desk.table, "w1", path="a.py", token=1)
        with pytest.raises(StaleToken):
            action(desk.table, "w1", lock_id="L1")
        with pytest.raises(StaleToken):
            action(desk.table, "w1", lock_id="L3", token=1)
        assert len(action(desk.table, "w1", path="a.py", token=3)) == 1


def test_nobody_releases_what_another_holds(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    names: list[dict[str, Any]] = [{"lock_id": "L1"}, {"path": "a.py"}]
    for name in names:
        with pytest.raises(Refused):
            lock_end.release(desk.table, "w2", **name)


def test_a_release_by_path_ends_ones_own_locks_on_it_only(desk: Desk) -> None:
    desk.ask("w1", "a.py:1-2")
    desk.ask("w1", "a.py:5-6")
    desk.ask("w2", "a.py:8-9")
    desk.free("w1", "a.py")
    assert desk.holders() == [("w2", "a.py:8-9")]


def test_a_lock_is_named_by_id_or_path(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    names: list[dict[str, Any]] = [{}, {"lock_id": "L1", "path": "a.py"}]
    for name in names:
        with pytest.raises(UsageError):
            lock_end.release(desk.table, "w1", **name)


def test_a_renewal_keeps_the_token(desk: Desk) -> None:
    desk.ask("w1", "a.py", ttl_s=10)
    desk.apply(lock_end.renew(desk.table, "w1", lock_id="L1", ttl_s=20))
    desk.apply(lock_end.renew(desk.table, "w1", lock_id="L1"))
    assert [(lock.token, lock.ttl_s) for lock in desk.table.locks()] == [(1, 20)]


def test_a_broken_lock_is_told_with_who_and_why(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.apply(lock_end.break_lock(desk.table, "person", "L1", "stuck"))
    expected = LockBroken(lock_id="L1", path="a.py", region=None, token=1, reason="stuck", by="person")
    assert desk.log[-1] == ("w1", expected)
    assert desk.table.locks() == []
    with pytest.raises(StaleToken):
        lock_end.break_lock(desk.table, "person", "L1", "stuck")


def test_only_the_lock_of_that_token_expires(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    assert lock_end.expire(desk.table, "L1", 2) == []
    assert lock_end.expire(desk.table, "L9", 9) == []
    assert [type(data) for _, data in lock_end.expire(desk.table, "L1", 1)] == [LockExpired]


@pytest.mark.parametrize(("reason", "ends_as"), [(lock_end.SESSION_LOST, LockExpired), ("left", LockReleased)])
def test_a_session_that_ends_frees_all_it_held_and_waited_for(desk: Desk, reason: str, ends_as: type) -> None:
    desk.ask("w1", "a.py")
    desk.ask("w2", "b.py")
    desk.ask("w1", "b.py", wait_s=60)
    desk.ask("w3", "a.py", wait_s=60)
    drafts = desk.apply(lock_end.drop_holder(desk.table, "w1", reason))
    assert [type(data) for _, data in drafts] == [LockWithdrawn, ends_as]
    desk.promote()
    assert desk.holders() == [("w2", "b.py"), ("w3", "a.py")]


# Fencing


def test_only_the_token_of_ones_own_current_lock_passes(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.ask("w2", "b.py:3-4")
    assert lock_end.check_token(desk.table, "w1", path="a.py", token=1).lock_id == "L1"
    assert lock_end.check_token(desk.table, "w2", path="b.py", token=2).lock_id == "L2"
    for agent, path, token in (("w1", "a.py", 2), ("w1", "a.py", 0), ("w2", "a.py", 1), ("w1", "b.py", 1)):
        with pytest.raises(StaleToken):
            lock_end.check_token(desk.table, agent, path=path, token=token)


def test_an_expired_token_is_refused_even_when_nobody_took_the_lock_since(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.apply(lock_end.expire(desk.table, "L1", 1))
    with pytest.raises(StaleToken):
        lock_end.check_token(desk.table, "w1", path="a.py", token=1)


def test_an_old_token_is_refused_after_the_holder_came_back(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    desk.free("w1", "a.py")
    desk.ask("w1", "a.py")
    with pytest.raises(StaleToken):
        lock_end.check_token(desk.table, "w1", path="a.py", token=1)
    with pytest.raises(StaleToken):
        lock_end.check_token(desk.table, "w1", path="a.py", token=4)


def test_a_lock_on_a_folder_fences_what_is_below(desk: Desk) -> None:
    desk.ask("w1", "src")
    assert lock_end.check_token(desk.table, "w1", path="src/a.py", token=1).lock_id == "L1"
    with pytest.raises(StaleToken):
        lock_end.check_token(desk.table, "w1", path="srcs/a.py", token=1)


# Table


def test_evolve_takes_any_event_in_any_state() -> None:
    desk, other = Desk(), LockTable()
    desk.ask("w1", "a.py")
    desk.ask("w2", "a.py", wait_s=60)
    desk.ask("w1", "b.py", ttl_s=9)
    desk.free("w1", "a.py")
    desk.apply(lock_end.renew(desk.table, "w1", path="b.py"))
    desk.apply(lock_end.drop_holder(desk.table, "w1", "left"))
    for draft in (*reversed(desk.log), *desk.log, *desk.log):
        other.evolve(*draft)
    assert LockTable.load(other.dump()).dump() == other.dump()


def test_an_end_that_names_another_token_ends_nothing(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    stale = LockReleased(lock_id="L1", path="a.py", region=None, token=7, reason="release")
    assert desk.table.evolve("w1", stale) == frozenset()
    assert desk.holders() == [("w1", "a.py")]


def test_evolve_returns_what_changed(desk: Desk) -> None:
    desk.ask("w1", "a.py")
    queued = lock_grant.acquire(
        desk.table, "w2", request_id="q", resources=[at("a.py")], mode=EXCLUSIVE, ttl_s=9, wait_s=9, seq=1
    )
    assert desk.table.evolve(*queued[0]) == {("wait", "w2/q")}
    desk.apply(lock_end.release(desk.table, "w1", path="a.py"))
    granted = lock_grant.promote(desk.table, seq=4, alive=lambda _: True, lapsed=lambda *_: False)
    assert desk.table.evolve(*granted[0]) == {("wait", "w2/q"), ("lock", "L5")}
    assert desk.table.evolve("w2", LockDenied(path="a.py", lock_type=SHARED, code="HELD", held_by="w1")) == frozenset()


def test_a_snapshot_is_json_and_restores_the_same_state(desk: Desk) -> None:
    desk.ask("w1", "a.py:1-2", "b.py:A.b", "src")
    desk.ask("w2", "src/x.py", wait_s=60)
    state = json.loads(json.dumps(desk.table.dump()))
    restored = LockTable.load(state)
    assert restored.dump() == desk.table.dump() == desk.table.copy().dump()
    desk.table = restored
    assert [agent for agent, _ in desk.free("w1", "src")] == ["w2"]


def test_the_events_survive_the_wire(desk: Desk) -> None:
    desk.ask("w1", "a.py:1-2")
    desk.ask("w2", "a.py:A", wait_s=60)
    desk.free("w1", "a.py")
    adapter: TypeAdapter[LockEvent] = TypeAdapter(LockEvent)
    for _, data in desk.log:
        assert adapter.validate_json(data.model_dump_json()) == data


def test_an_index_forgets_what_ended(desk: Desk) -> None:
    empty = vars(LockTable())
    desk.ask("w1", "x/y/a.py", "x/b.py:1-2")
    desk.ask("w2", "x", wait_s=60, request="q")
    desk.apply(lock_end.withdraw(desk.table, "w2", "q", "TIMEOUT"))
    desk.apply(lock_end.drop_holder(desk.table, "w1", "left"))
    for name, value in vars(desk.table).items():
        if isinstance(value, dict) and name != "_appliers":
            assert value == empty[name]
    assert list(desk.table._locks_near._below) == list(desk.table._waits_near._at) == []


def test_locks_are_values() -> None:
    with pytest.raises(ValidationError):
        GrantedLock.model_validate({"lock_id": "L1"})
