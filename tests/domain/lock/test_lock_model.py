"""The lock rules against a naive oracle: flat lists, every pair looked at, written without the product's indexes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_grant
from aegis_tui.domain.lock.events import LockAcquired, LockQueued, LockWithdrawn
from aegis_tui.domain.lock.model import Draft, LockMode, LockRefused, Region, Resource
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.errors import Refused, StaleToken

AGENTS = ["w1", "w2", "w3", "w4"]
PATHS = ["a.py", "d", "d/b.py"]
MODES = [LockMode.EXCLUSIVE, LockMode.SHARED, LockMode.REVIEW]
REGIONS = [
    None,
    *(Region(lines=(first, last)) for first in range(1, 5) for last in range(first, 5)),
    *(Region(symbol=symbol) for symbol in ("A", "A.b", "A.b.c", "C")),
]
RESOURCES = [Resource(path=path, region=region) for path in PATHS for region in REGIONS]
HOT = [Resource(path=path, region=None) for path in ("a.py", "d/b.py", "c.py")]

PLAIN, UPGRADE, HELD = 0, 1, 2


# The oracle


def lines_of(region: Region) -> set[int]:
    assert region.lines is not None
    return set(range(region.lines[0], region.lines[1] + 1))


def parts_of(region: Region) -> list[str]:
    assert region.symbol is not None
    return region.symbol.split(".")


def is_prefix(short: list[str], long: list[str]) -> bool:
    return long[: len(short)] == short


def meets(one: Resource, other: Resource) -> bool:
    a, b = one.path.split("/"), other.path.split("/")
    if a != b:
        return is_prefix(a, b) or is_prefix(b, a)
    if one.region is None or other.region is None:
        return True
    if one.region.lines and other.region.lines:
        return bool(lines_of(one.region) & lines_of(other.region))
    if one.region.symbol and other.region.symbol:
        x, y = parts_of(one.region), parts_of(other.region)
        return is_prefix(x, y) or is_prefix(y, x)
    return True


def contains(outer: Resource, inner: Resource) -> bool:
    if outer.path != inner.path:
        return outer.region is None and is_prefix(outer.path.split("/"), inner.path.split("/"))
    if outer.region is None:
        return True
    if inner.region is None:
        return False
    if outer.region.lines and inner.region.lines:
        return lines_of(inner.region) <= lines_of(outer.region)
    if outer.region.symbol and inner.region.symbol:
        return is_prefix(parts_of(outer.region), parts_of(inner.region))
    return False


def clash(one: LockMode, other: LockMode) -> bool:
    return LockMode.EXCLUSIVE in (one, other)


@dataclass(frozen=True)
class Held:
    agent: str
    request: str
    resource: Resource
    mode: LockMode


@dataclass
class Asked:
    agent: str
    request: str
    mode: LockMode
    ranks: dict[Resource, int]


@dataclass
class Oracle:
    held: list[Held] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def rank(self, agent: str, resource: Resource, mode: LockMode) -> int:
        own = [lock.mode for lock in self.held if lock.agent == agent and contains(lock.resource, resource)]
        if mode in own or LockMode.EXCLUSIVE in own:
            return HELD
        return UPGRADE if own and mode is LockMode.EXCLUSIVE else PLAIN

    def goes_before(self, first: Asked, second: Asked, queue: list[Asked]) -> bool:
        if first.agent == second.agent or not clash(first.mode, second.mode):
            return False
        earlier = queue.index(first) < queue.index(second)
        return any(
            rank > other_rank or (rank == other_rank and earlier)
            for resource, rank in first.ranks.items()
            for other, other_rank in second.ranks.items()
            if meets(resource, other)
        )

    def blockers(self, wait: Asked, queue: list[Asked]) -> set[str]:
        holders = {
            lock.agent
            for lock in self.held
            for resource in wait.ranks
            if lock.agent != wait.agent and clash(lock.mode, wait.mode) and meets(lock.resource, resource)
        }
        return holders | {other.agent for other in queue if self.goes_before(other, wait, queue)}

    def circular(self, queue: list[Asked]) -> set[str]:
        """Agents that, directly or not, wait for themselves: the closure of the whole graph."""
        reach: dict[str, set[str]] = {}
        for wait in queue:
            reach.setdefault(wait.agent, set()).update(self.blockers(wait, queue))
        while True:
            more = {agent: to | {far for near in to for far in reach.get(near, ())} for agent, to in reach.items()}
            if more == reach:
                return {agent for agent, to in reach.items() if agent in to}
            reach = more

    def acquire(self, agent: str, request: str, resources: set[Resource], mode: LockMode, *, waits: bool) -> str:
        known = {(lock.agent, lock.request) for lock in self.held} | {(wait.agent, wait.request) for wait in self.asked}
        if (agent, request) in known:
            return "nothing"
        new = Asked(agent, request, mode, {resource: self.rank(agent, resource, mode) for resource in resources})
        if set(new.ranks.values()) == {HELD}:
            return "nothing"
        upgrades = [resource for resource, rank in new.ranks.items() if rank == UPGRADE]
        for other in self.asked:
            if other.agent != agent and any(
                rank == UPGRADE and meets(theirs, mine) for theirs, rank in other.ranks.items() for mine in upgrades
            ):
                return "UPGRADE"
        queue = [*self.asked, new]
        blocked = bool(self.blockers(new, queue))
        if blocked and not waits:
            return "HELD"
        if self.circular(queue):
            return "DEADLOCK"
        if blocked:
            self.asked.append(new)
            return "queued"
        self.grant(new, [resource for resource, rank in new.ranks.items() if rank != HELD])
        return "granted"

    def grant(self, wait: Asked, resources: list[Resource]) -> None:
        if wait.mode is LockMode.EXCLUSIVE:
            self.held = [
                lock
                for lock in self.held
                if lock.agent != wait.agent or lock.resource not in resources or lock.mode is LockMode.EXCLUSIVE
            ]
        self.held += [Held(wait.agent, wait.request, resource, wait.mode) for resource in resources]

    def settle(self, dead: set[str], lapsed: set[tuple[str, str]]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Grant or withdraw, one at a time, first in line first, until nobody can move."""
        granted, withdrawn = set(), set()
        while free := [wait for wait in self.asked if not self.blockers(wait, self.asked)]:
            hopeless = [wait for wait in free if wait.agent in dead or (wait.agent, wait.request) in lapsed]
            wait = (hopeless or free)[0]
            self.asked.remove(wait)
            name = (wait.agent, wait.request)
            if hopeless:
                withdrawn.add(name)
            else:
                granted.add(name)
                self.grant(wait, list(wait.ranks))
        return granted, withdrawn


# The product, driven beside it


class Both:
    """The product and the oracle, fed the same commands."""

    def __init__(self) -> None:
        self.table = LockTable()
        self.oracle = Oracle()
        self.log: list[Draft] = []
        self.requests: list[tuple[str, str]] = []
        self.dead: set[str] = set()
        self.lapsed: set[tuple[str, str]] = set()
        self.last_token = 0
        self.came: Counter[str] = Counter()

    def apply(self, drafts: list[Draft]) -> None:
        for agent, data in drafts:
            self.log.append((agent, data))
            if isinstance(data, LockAcquired):
                assert data.token == len(self.log) > self.last_token
                self.last_token = data.token
            self.table.evolve(agent, data)

    def acquire(self, agent: str, request: str, resources: set[Resource], mode: LockMode, *, waits: bool) -> str:
        expected = self.oracle.acquire(agent, request, resources, mode, waits=waits)
        try:
            drafts = lock_grant.acquire(
                self.table,
                agent,
                request_id=request,
                resources=resources,
                mode=mode,
                ttl_s=300,
                wait_s=60 if waits else 0,
                seq=len(self.log),
            )
        except LockRefused as error:
            got = error.code
            assert all(owner == agent for owner, _ in error.audit) and error.audit
            self.log.extend(error.audit)
        else:
            self.apply(drafts)
            got = "nothing"
            if drafts:
                got = "queued" if isinstance(drafts[0][1], LockQueued) else "granted"
        assert got == expected
        self.came[got] += 1
        self.requests.append((agent, request))
        return got

    def settle(self) -> None:
        expected = self.oracle.settle(self.dead, self.lapsed)
        granted: set[tuple[str, str]] = set()
        withdrawn: set[tuple[str, str]] = set()
        while drafts := lock_grant.promote(
            self.table,
            seq=len(self.log),
            alive=lambda agent: agent not in self.dead,
            lapsed=lambda agent, request: (agent, request) in self.lapsed,
        ):
            self.apply(drafts)
            granted |= {(agent, data.request_id) for agent, data in drafts if isinstance(data, LockAcquired)}
            withdrawn |= {(agent, data.request_id) for agent, data in drafts if isinstance(data, LockWithdrawn)}
        assert (granted, withdrawn) == expected
        self.came["promoted"] += len(granted)
        self.came["withdrawn"] += len(withdrawn)

    def end_lock(self, drafts: list[Draft]) -> None:
        """Apply the end of locks or waits to both."""
        ended: list[Any] = [data for _, data in drafts]
        for agent, data in zip((agent for agent, _ in drafts), ended, strict=True):
            if isinstance(data, LockWithdrawn):
                self.oracle.asked = [
                    wait for wait in self.oracle.asked if (wait.agent, wait.request) != (agent, data.request_id)
                ]
                continue
            lock = self.table.find(data.lock_id)
            assert lock is not None and lock.agent_id == agent
            self.oracle.held.remove(Held(agent, lock.request_id, lock.resource, lock.mode))
        self.apply(drafts)

    def check(self) -> None:
        locks = self.table.locks()
        for index, one in enumerate(locks):
            for other in locks[:index]:
                assert (
                    one.agent_id == other.agent_id
                    or not clash(one.mode, other.mode)
                    or not meets(one.resource, other.resource)
                )
        held = sorted((lock.agent_id, lock.request_id, str(lock.resource), lock.mode) for lock in locks)
        assert held == sorted((one.agent, one.request, str(one.resource), one.mode) for one in self.oracle.held)
        waiting = [(wait.agent_id, wait.request_id) for wait in self.table.waits()]
        assert waiting == [(wait.agent, wait.request) for wait in self.oracle.asked]
        assert not self.oracle.circular(self.oracle.asked)
        assert self.table.ready() == []

    def check_replay(self) -> None:
        fresh = LockTable()
        for draft in self.log:
            fresh.evolve(*draft)
        assert fresh.dump() == self.table.dump()


class LockMachine(RuleBasedStateMachine):
    """Any order of commands, time-outs, crashes, retries and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.both = Both()
        self.tokens: list[tuple[str, str, int]] = []

    @initialize(
        readers=st.lists(st.sampled_from(AGENTS), unique=True),
        resource=st.sampled_from(RESOURCES),
        mode=st.sampled_from(MODES),
    )
    def some_hold_the_same(self, readers: list[str], resource: Resource, mode: LockMode) -> None:
        for agent in readers:
            self.both.acquire(agent, f"r{len(self.both.requests)}", {resource}, mode, waits=False)

    def _ask(self, agent: str, resources: set[Resource], mode: LockMode, *, waits: bool) -> None:
        if agent not in self.both.dead:
            self.both.acquire(agent, f"r{len(self.both.requests)}", resources, mode, waits=waits)
            self.tokens += [(agent, lock.resource.path, lock.token) for lock in self.both.table.locks_of(agent)]

    @rule(
        agent=st.sampled_from(AGENTS),
        resources=st.sets(st.sampled_from(RESOURCES), min_size=1, max_size=3),
        mode=st.sampled_from(MODES),
        waits=st.booleans(),
    )
    def acquire(self, agent: str, resources: set[Resource], mode: LockMode, waits: bool) -> None:
        self._ask(agent, resources, mode, waits=waits)

    @rule(
        agent=st.sampled_from(AGENTS),
        resources=st.sets(st.sampled_from(HOT), min_size=1, max_size=2),
        mode=st.sampled_from(MODES),
    )
    def wait_for_whole_files(self, agent: str, resources: set[Resource], mode: LockMode) -> None:
        self._ask(agent, resources, mode, waits=True)

    @precondition(lambda self: self.both.requests)
    @rule(data=st.data(), resource=st.sampled_from(RESOURCES), mode=st.sampled_from(MODES))
    def retry(self, data: st.DataObject, resource: Resource, mode: LockMode) -> None:
        agent, request = data.draw(st.sampled_from(self.both.requests))
        if agent not in self.both.dead:
            self.both.acquire(agent, request, {resource}, mode, waits=True)
            self.both.lapsed.discard((agent, request))

    @precondition(lambda self: self.both.table.locks())
    @rule(data=st.data(), how=st.sampled_from(["release", "path", "expire", "break", "renew"]))
    def end_a_lock(self, data: st.DataObject, how: str) -> None:
        table = self.both.table
        lock = data.draw(st.sampled_from(table.locks()))
        agent, path = lock.agent_id, lock.resource.path
        if how == "release":
            self.both.end_lock(lock_end.release(table, agent, lock_id=lock.lock_id, token=lock.token))
        elif how == "path":
            self.both.end_lock(lock_end.release(table, agent, path=path))
            assert not [own for own in table.locks_of(agent) if own.resource.path == path]
        elif how == "expire":
            assert lock_end.expire(table, lock.lock_id, lock.token + 1) == []
            self.both.end_lock(lock_end.expire(table, lock.lock_id, lock.token))
        elif how == "break":
            self.both.end_lock(lock_end.break_lock(table, "person", lock.lock_id, "test"))
        else:
            self.both.apply(lock_end.renew(table, agent, lock_id=lock.lock_id, token=lock.token, ttl_s=100))
        self.both.settle()

    @precondition(lambda self: self.both.table.waits())
    @rule(data=st.data())
    def a_wait_times_out(self, data: st.DataObject) -> None:
        wait = data.draw(st.sampled_from(self.both.table.waits()))
        self.both.end_lock(lock_end.withdraw(self.both.table, wait.agent_id, wait.request_id, "TIMEOUT"))
        self.both.settle()

    @precondition(lambda self: self.both.table.waits())
    @rule(data=st.data())
    def a_wait_runs_out_and_nobody_noticed_yet(self, data: st.DataObject) -> None:
        wait = data.draw(st.sampled_from(self.both.table.waits()))
        self.both.lapsed.add((wait.agent_id, wait.request_id))

    @rule(agent=st.sampled_from(AGENTS))
    def crash_unnoticed(self, agent: str) -> None:
        self.both.dead.add(agent)

    @rule(agent=st.sampled_from(AGENTS), reason=st.sampled_from(["lost", "left"]))
    def end_a_session(self, agent: str, reason: str) -> None:
        self.both.end_lock(lock_end.drop_holder(self.both.table, agent, reason))
        assert not self.both.table.locks_of(agent) and not self.both.table.waits_of(agent)
        self.both.dead.discard(agent)
        self.both.settle()

    @rule()
    def restart(self) -> None:
        self.both.table = self.both.table.copy()

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), add=st.integers(-2, 2), agent=st.sampled_from(AGENTS))
    def only_current_tokens_pass(self, data: st.DataObject, add: int, agent: str) -> None:
        owner, path, token = data.draw(st.sampled_from(self.tokens))
        table = self.both.table
        token += add
        for asker in (owner, agent):
            own = [lock for lock in table.locks_of(asker) if lock.token == token]
            if own and contains(own[0].resource, Resource(path=path)):
                assert lock_end.check_token(table, asker, path=path, token=token) == own[0]
            elif not own or own[0].resource.path != path:
                with pytest.raises(StaleToken):
                    lock_end.check_token(table, asker, path=path, token=token)
                with pytest.raises((StaleToken, Refused)):
                    lock_end.release(table, asker, path=path, token=token)

    @invariant()
    def agrees(self) -> None:
        self.both.check()

    def teardown(self) -> None:
        self.both.check_replay()


TestLockMachine = pytest.mark.thorough(LockMachine.TestCase)
TestLockMachine.settings = settings(
    max_examples=250,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("seed", range(8))
def test_every_cycle_is_found_when_the_wait_that_closes_it_is_asked_for(seed: int) -> None:
    pick = random.Random(seed)
    found = 0
    for _ in range(40):
        both = Both()
        agents = [f"w{number}" for number in range(pick.randint(2, 8))]
        files = [Resource(path=f"{number}.py") for number in range(pick.randint(2, 8))]
        for number in range(30):
            agent, count = pick.choice(agents), pick.choice([1, 1, 2])
            mode = pick.choice([LockMode.EXCLUSIVE, LockMode.EXCLUSIVE, LockMode.SHARED])
            wanted = set(pick.sample(files, min(count, len(files))))
            if not both.table.waits_of(agent) or pick.random() < 0.1:
                found += both.acquire(agent, f"r{number}", wanted, mode, waits=True) == "DEADLOCK"
        both.check()
    assert found > 40


def step_of_a_busy_life(both: Both, pick: random.Random, resources: list[Resource]) -> None:
    """One random command, with much contention and few agents."""
    agent, table = pick.choice(AGENTS), both.table
    number = pick.random()
    if number < 0.6:
        wanted = set(pick.sample(resources, pick.choice([1, 1, 1, 2, 3])))
        mode, waits = pick.choice(MODES), pick.random() < 0.7
        if agent not in both.dead:
            both.acquire(agent, f"r{len(both.requests)}", wanted, mode, waits=waits)
    elif number < 0.85 and table.locks():
        lock = pick.choice(table.locks())
        both.end_lock(lock_end.release(table, lock.agent_id, lock_id=lock.lock_id, token=lock.token))
    elif number < 0.92 and table.waits():
        wait = pick.choice(table.waits())
        if pick.random() < 0.5:
            both.lapsed.add((wait.agent_id, wait.request_id))
        else:
            both.end_lock(lock_end.withdraw(table, wait.agent_id, wait.request_id, "TIMEOUT"))
    elif number < 0.93:
        both.dead.add(agent)
    elif number < 0.94 or agent in both.dead:
        both.end_lock(lock_end.drop_holder(table, agent, "lost"))
        both.dead.discard(agent)


@pytest.mark.parametrize("seed", range(12))
def test_long_and_busy_lives_agree_with_the_oracle(seed: int) -> None:
    pick = random.Random(seed)
    came: Counter[str] = Counter()
    for _ in range(6):
        both = Both()
        resources = [*pick.sample(RESOURCES, 3), Resource(path="a.py")]
        for _ in range(250):
            step_of_a_busy_life(both, pick, resources)
            both.settle()
            both.check()
        both.check_replay()
        came += both.came
    assert min(came[name] for name in ("granted", "queued", "HELD", "nothing", "DEADLOCK", "promoted")) > 20
    assert came["UPGRADE"] and came["withdrawn"] > 3
