"""Regions with the lines they lie in: what meets, what moves, what is stale (LOCK-1, LOCK-3)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_grant
from aegis_tui.domain.lock import moves as lock_moves
from aegis_tui.domain.lock.events import LockAcquired, LockMoved
from aegis_tui.domain.lock.model import Draft, GrantedLock, LockMode, LockRefused, Region, Resource
from aegis_tui.domain.lock.region import MAX_VIEWS, Hunk, Rewrite, Span, View, line_hunks, move_all, rewrite_of
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StaleToken

PATH = "a.py"


def lines(first: int, last: int, *oids: str, to: Span | None = None) -> Resource:
    """Lines of `a.py`, known in these contents."""
    views = tuple(View(base_oid=oid, spans=(to or (first, last),)) for oid in oids)
    return Resource(path=PATH, region=Region(lines=(first, last)), views=views)


def symbol(name: str, *spans: Span, oid: str = "A") -> Resource:
    views = (View(base_oid=oid, spans=spans),) if spans else ()
    return Resource(path=PATH, region=Region(symbol=name), views=views)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (lines(1, 3, "A"), lines(4, 6, "A"), False),
        (lines(1, 4, "A"), lines(4, 6, "A"), True),
        (lines(1, 3, "A"), lines(8, 9, "B"), True),
        (lines(1, 3, "A"), lines(8, 9), True),
        (lines(1, 3, "A", "B"), lines(4, 6, "B"), False),
        (symbol("f", (1, 3)), lines(4, 6, "A"), False),
        (symbol("f", (1, 3)), lines(3, 6, "A"), True),
        (symbol("f", (1, 3)), lines(4, 6, "B"), True),
        (symbol("f"), lines(4, 6), True),
        (symbol("f", (1, 3)), symbol("g", (4, 6)), False),
        (symbol("f", (1, 3)), symbol("g", (4, 6), oid="B"), False),
        (symbol("f", (1, 3)), symbol("g", (3, 6)), True),
        (symbol("f", (1, 3)), symbol("f", (9, 9), oid="B"), True),
        (symbol("A", (1, 9)), symbol("A.m", (12, 13), oid="B"), True),
        (symbol("<module>", (1, 1), (5, 5)), symbol("f", (2, 4)), False),
        (symbol("<module>", (1, 1), (5, 5)), lines(2, 4, "A"), False),
        (symbol("f", (1, 3)), Resource(path=PATH), True),
    ],
)
def test_regions_are_compared_in_a_content_that_both_are_known_in(one: Resource, other: Resource, meet: bool) -> None:
    assert one.overlaps(other) is meet
    assert other.overlaps(one) is meet


@pytest.mark.parametrize(
    ("outer", "inner", "is_inside"),
    [
        (lines(1, 9, "A"), lines(2, 3, "A"), True),
        (lines(1, 9, "A"), lines(2, 3, "B"), False),
        (lines(1, 9, "A"), lines(2, 3), False),
        (lines(1, 9, "A"), symbol("f", (2, 3)), True),
        (symbol("f", (2, 9)), lines(2, 3, "A"), True),
        (symbol("A", (2, 9)), symbol("A.m", (3, 4), oid="B"), True),
        (lines(1, 9, "A"), Resource(path=PATH), False),
        (Resource(path=PATH), lines(1, 9, "A"), True),
    ],
)
def test_a_region_covers_what_is_certain_to_lie_inside(outer: Resource, inner: Resource, is_inside: bool) -> None:
    assert outer.covers(inner) is is_inside


class Desk:
    """A workspace whose locks are asked for and written under, without a hub."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.log: list[Draft] = []

    @property
    def table(self) -> LockTable:
        return self.workspace.locks

    def apply(self, drafts: list[Draft]) -> list[Draft]:
        for draft in drafts:
            self.log.append(draft)
            self.table.evolve(*draft)
        return drafts

    def acquire(self, agent: str, resource: Resource, *, mode: LockMode = LockMode.EXCLUSIVE) -> GrantedLock:
        seq = len(self.log)
        wanted: dict[str, Any] = {"request_id": f"r{seq}.{agent}", "mode": mode, "ttl_s": 60.0, "seq": seq}
        self.apply(lock_grant.acquire(self.table, agent, resources=[resource], **wanted))
        lock = self.table.held_by(agent, resource)
        assert lock is not None
        return lock

    def write(self, lock: GrantedLock, base: str, new: str, *hunks: Hunk) -> list[LockMoved]:
        current = self.table.find(lock.lock_id)
        assert current is not None
        rewrite = Rewrite(base_oid=base, new_oid=new, hunks=hunks)
        drafts = self.apply(lock_moves.after_write(self.workspace, current, PATH, rewrite))
        return [data for _, data in drafts if isinstance(data, LockMoved)]


def test_a_grant_says_on_what_content_its_lines_are_meant() -> None:
    desk = Desk()
    lock = desk.acquire("w1", symbol("f", (3, 5)))
    granted = desk.log[0][1]
    assert isinstance(granted, LockAcquired)
    assert (granted.base_oid, granted.views[0].spans) == ("A", ((3, 5),))
    assert lock.resource.views == granted.views


def test_a_write_grows_its_own_region_and_moves_the_others() -> None:
    desk = Desk()
    mine, theirs = desk.acquire("w1", lines(3, 5, "A")), desk.acquire("w2", lines(8, 9, "A"))
    above = desk.acquire("w3", symbol("f", (1, 1)))
    moved = desk.write(mine, "A", "B", Hunk(4, 1, 3))
    assert {item.lock_id: (item.spans, str(item.region)) for item in moved} == {
        mine.lock_id: (((3, 7),), "3-7"),
        theirs.lock_id: (((10, 11),), "10-11"),
        above.lock_id: (((1, 1),), "f"),
    }
    assert desk.acquire("w4", lines(2, 2, "B")).resource.views[0].base_oid == "B"
    with pytest.raises(LockRefused):
        desk.acquire("w4", lines(11, 12, "B"))
    with pytest.raises(LockRefused):
        desk.acquire("w4", lines(9, 12, "A"))
    assert desk.acquire("w4", lines(10, 12, "A"))


def test_a_write_that_leaves_its_region_is_refused_as_stale_and_moves_nothing() -> None:
    desk = Desk()
    mine = desk.acquire("w1", lines(3, 5, "A"))
    desk.acquire("w2", lines(8, 9, "A"))
    before = desk.table.dump()
    with pytest.raises(StaleToken) as refused:
        desk.write(mine, "A", "B", Hunk(4, 1, 3), Hunk(8, 1, 1))
    assert "line 8 of a.py lies outside 3-5" in refused.value.message
    assert desk.table.dump() == before


def test_a_write_may_go_over_all_that_its_holder_has_locked() -> None:
    desk = Desk()
    mine = desk.acquire("w1", symbol("f", (3, 5)))
    desk.acquire("w1", symbol("g", (6, 9)))
    moved = desk.write(mine, "A", "B", Hunk(5, 2, 2))
    assert [item.stale for item in moved] == [True, True], "their common end is gone"
    with pytest.raises(StaleToken):
        lock_end.check_token(desk.table, "w1", path=PATH, token=mine.token)
    again = desk.acquire("w1", symbol("f", (3, 5), oid="B"))
    assert again.token > mine.token and desk.table.locks() == [again]


def test_a_region_that_is_cut_is_stale_until_it_is_acquired_again() -> None:
    desk = Desk()
    theirs = desk.acquire("w2", lines(3, 5, "A"))
    mine = desk.acquire("w1", lines(8, 9, "A"))
    desk.apply([("w1", LockMoved(**moved_fields(mine, "C", (4, 4))))])
    desk.apply([("w2", LockMoved(**moved_fields(theirs, "C", (3, 5))))])
    current = desk.table.find(mine.lock_id)
    assert current is not None
    rewrite = Rewrite(base_oid="C", new_oid="D", hunks=(Hunk(4, 1, 1),))
    drafts = desk.apply(lock_moves.after_write(desk.workspace, current, PATH, rewrite))
    assert {agent: data.stale for agent, data in drafts if isinstance(data, LockMoved)} == {"w1": False, "w2": True}
    with pytest.raises(StaleToken):
        lock_end.check_token(desk.table, "w2", path=PATH, token=theirs.token)
    assert desk.acquire("w3", lines(40, 41, "A", "D")), "nobody can write under a stale lock, so it keeps nobody out"
    with pytest.raises(StaleToken):
        lock_end.renew(desk.table, "w2", lock_id=theirs.lock_id)
    again = desk.acquire("w2", lines(30, 31, "D"))
    assert again.token > theirs.token and not again.stale
    assert desk.table.find(theirs.lock_id) is None, "the new grant ends the stale lock"


def moved_fields(lock: GrantedLock, oid: str, span: Span) -> dict[str, Any]:
    place = {"path": PATH, "region": lock.resource.region, "token": lock.token, "lock_id": lock.lock_id}
    return {**place, "base_oid": oid, "spans": (span,)}


def test_a_write_that_nobody_can_place_is_refused_under_a_region_and_moves_nothing_under_a_file() -> None:
    desk = Desk()
    mine = desk.acquire("w1", lines(3, 5, "A"))
    with pytest.raises(StaleToken, match="the hub cannot determine"):
        lock_moves.after_write(desk.workspace, mine, PATH, None)
    with pytest.raises(StaleToken, match="the hub cannot determine"):
        desk.write(mine, "Q", "R", Hunk(3, 1, 1))
    whole = desk.acquire("w1", Resource(path=PATH))
    assert lock_moves.after_write(desk.workspace, whole, PATH, None) == []
    assert desk.write(whole, "Q", "R", Hunk(90, 1, 1)) == []


def test_a_region_is_locked_anew_where_it_is_not_known() -> None:
    desk = Desk()
    mine = desk.acquire("w1", symbol("f", (3, 5)))
    again = desk.acquire("w1", symbol("f", (13, 15), oid="Q"))
    assert again.token > mine.token and desk.table.locks() == [again]
    assert desk.write(again, "Q", "R", Hunk(14, 1, 1))


def test_what_is_waited_for_moves_with_its_lines() -> None:
    desk = Desk()
    mine = desk.acquire("w1", lines(3, 5, "A"))
    wanted: dict[str, Any] = {"mode": LockMode.EXCLUSIVE, "ttl_s": 60.0, "wait_s": 9.0, "seq": 1}
    places = [lines(4, 9, "A"), lines(12, 13, "A")]
    desk.apply(lock_grant.acquire(desk.table, "w2", request_id="q", resources=places, **wanted))
    drafts = lock_moves.after_write(
        desk.workspace, mine, PATH, Rewrite(base_oid="A", new_oid="B", hunks=(Hunk(5, 1, 3),))
    )
    desk.apply(drafts)
    (wait,) = desk.table.waits()
    assert [(str(item.region), item.views[0]) for item in wait.resources] == [
        ("4-11", View(base_oid="B", spans=((4, 11),))),
        ("14-15", View(base_oid="B", spans=((14, 15),))),
    ]
    assert desk.table.copy().dump() == desk.table.dump()
    desk.apply(lock_end.release(desk.table, "w1", lock_id=mine.lock_id))
    desk.apply(lock_grant.promote(desk.table, seq=len(desk.log), alive=lambda _: True, lapsed=lambda *_: False))
    assert [str(lock.resource.region) for lock in desk.table.locks_of("w2")] == ["4-11", "14-15"]


def test_writes_of_others_never_push_a_holders_own_content_out() -> None:
    desk = Desk()
    whole = lines(1, 2, "A")
    mine, theirs = desk.acquire("w1", whole), desk.acquire("w2", lines(8, 9, "A"))
    desk.apply([("w2", LockMoved(**moved_fields(theirs, "own", (8, 9)), own=True))])
    for number in range(2 * MAX_VIEWS):
        desk.apply([("w2", LockMoved(**moved_fields(theirs, f"X{number}", (8, 9))))])
    held = desk.table.find(theirs.lock_id)
    assert held is not None and len(held.resource.views) == MAX_VIEWS
    assert {view.base_oid for view in held.resource.views} >= {"A", "own", f"X{2 * MAX_VIEWS - 1}"}
    assert mine


def test_a_move_of_an_old_grant_changes_nothing() -> None:
    desk = Desk()
    mine = desk.acquire("w1", lines(3, 5, "A"))
    before = desk.table.dump()
    for fields in ({"token": 99}, {"lock_id": "L99"}):
        desk.apply([("w1", LockMoved(**{**moved_fields(mine, "B", (1, 1)), **fields}))])
    assert desk.table.dump() == before


def test_moves_and_views_survive_a_snapshot() -> None:
    desk = Desk()
    mine = desk.acquire("w1", symbol("f", (3, 5)))
    for number in range(MAX_VIEWS + 2):
        desk.write(mine, "A" if number == 0 else f"B{number - 1}", f"B{number}", Hunk(4, 1, 2))
    copied = desk.table.copy()
    assert copied.dump() == desk.table.dump()
    held = copied.find(mine.lock_id)
    assert held is not None and held.resource.views[-1].spans == ((3, 5 + MAX_VIEWS + 2),)
    assert len(held.resource.views) == MAX_VIEWS


def test_a_wait_is_granted_when_a_move_shows_that_nothing_is_in_its_way() -> None:
    desk = Desk()
    mine = desk.acquire("w1", lines(3, 5, "A"))
    wanted: dict[str, Any] = {"mode": LockMode.EXCLUSIVE, "ttl_s": 60.0, "wait_s": 9.0, "seq": 1}
    desk.apply(lock_grant.acquire(desk.table, "w2", request_id="q", resources=[lines(8, 9, "B")], **wanted))
    assert desk.table.ready() == []
    desk.write(mine, "A", "B", Hunk(4, 1, 2))
    assert [wait.agent_id for wait in desk.table.ready()] == ["w2"]


# Three writers with unique lines: what two of them hold at once never has a line in common.

AGENTS = ("w1", "w2", "w3")
FILE = [f"o{number}\n" for number in range(1, 13)]
step = st.tuples(
    st.sampled_from(AGENTS),
    st.sampled_from(["take", "take", "write", "write", "free"]),
    st.integers(1, 14),
    st.integers(0, 4),
    st.integers(0, 2),
)


class Writers:
    """Agents with a checkout each, or one for all, that take lines, write in them and give them back."""

    def __init__(self, *, shared: bool) -> None:
        self.desk = Desk()
        self.texts = {agent: list(FILE) for agent in AGENTS}
        self.shared = shared
        self.known = {rewrite_of("", "".join(FILE)).new_oid: "".join(FILE)}
        self.held: dict[str, dict[str, set[str]]] = {agent: {} for agent in AGENTS}
        self.written = 0

    def text(self, agent: str) -> str:
        return "".join(self.texts[agent])

    def take(self, agent: str, first: int, length: int) -> None:
        text = self.text(agent)
        last = min(first + length, len(self.texts[agent]))
        if first > last:
            return
        oid = rewrite_of("", text).new_oid
        others = ((name, move_all(((first, last),), line_hunks(text, other))) for name, other in self.known.items())
        views = [View(base_oid=oid, spans=((first, last),))]
        views += [View(base_oid=name, spans=spans) for name, spans in others if spans and name != oid]
        resource = Resource(path=PATH, region=Region(lines=(first, last)), views=tuple(views))
        try:
            lock = self.desk.acquire(agent, resource)
        except LockRefused:
            return
        self.held[agent].setdefault(lock.lock_id, set()).update(self.texts[agent][first - 1 : last])

    def write(self, agent: str, at: int, removed: int, added: int) -> None:
        locks = self.desk.table.locks_of(agent)
        before = self.text(agent)
        oid = rewrite_of("", before).new_oid
        if not locks or not (spans := spans_in(locks[-1], oid)):
            return
        first, last = spans[0]
        start = min(first + at - 1, last)
        gone = min(removed, last - start + 1)
        fresh = [f"n{self.written + number}\n" for number in range(added)]
        self.written += added
        after = list(self.texts[agent])
        after[start - 1 : start - 1 + gone] = fresh
        rewrite = rewrite_of(before, "".join(after))
        self.desk.apply(lock_moves.after_write(self.desk.workspace, locks[-1], PATH, rewrite))
        self.known[rewrite.new_oid] = "".join(after)
        for writer in AGENTS if self.shared else (agent,):
            self.texts[writer] = list(after)
        for lock in locks:
            self.held[agent].setdefault(lock.lock_id, set()).update(fresh)

    def free(self, agent: str) -> None:
        for lock in self.desk.table.locks_of(agent)[-1:]:
            self.desk.apply(lock_end.release(self.desk.table, agent, lock_id=lock.lock_id))

    def check(self) -> None:
        lines_of = {
            lock: {line for first, last in spans for line in self.texts[lock.agent_id][first - 1 : last]}
            for lock in self.desk.table.locks()
            if (spans := spans_in(lock, rewrite_of("", self.text(lock.agent_id)).new_oid))
        }
        for one, other in combinations(lines_of, 2):
            assert one.agent_id == other.agent_id or not lines_of[one] & lines_of[other]
        for lock, found in lines_of.items():
            assert found <= self.held[lock.agent_id][lock.lock_id], "a region never comes to lie on other lines"


def spans_in(lock: GrantedLock, oid: str) -> tuple[Span, ...]:
    return next((view.spans for view in lock.resource.views if view.base_oid == oid), ())


@pytest.mark.thorough
@settings(max_examples=200, deadline=None)
@given(st.lists(step, max_size=25), st.booleans())
def test_no_two_writers_ever_hold_the_same_line(steps: Iterable[tuple[str, str, int, int, int]], shared: bool) -> None:
    writers = Writers(shared=shared)
    for agent, act, at, length, added in steps:
        if act == "take":
            writers.take(agent, at, length)
        elif act == "write":
            writers.write(agent, at, length, added)
        else:
            writers.free(agent)
        writers.check()
