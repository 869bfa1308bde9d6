"""How a request ends: given up, too late, taken away, or answered with what is left of its locks (LOCK-2, LOCK-3)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from aegis_tui.domain.command import parse_command
from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor, CommandOutcome, Workspace, due_commands, execute, settled
from aegis_tui.domain.event import Event
from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_grant
from aegis_tui.domain.lock.events import LockReleased, LockWithdrawn
from aegis_tui.domain.lock.model import LockMode, Region, Resource
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.errors import AegisError, LockHeld, UsageError


class Core:
    """Agents at the pure core, and a clock that only moves when it is moved."""

    def __init__(self, *names: str) -> None:
        self.workspace = Workspace()
        self.now = 0.0
        self.ids = itertools.count(1)
        self.answers: dict[tuple[str, str], AnyReply | AegisError] = {}
        for name in names:
            self.do("person", "agent:register", agent_type="CLAUDE", instance_id=name, partition=(f"{name}/**",))

    def do(self, agent: str, kind: str, *, request: str | None = None, **fields: Any) -> CommandOutcome:
        command = parse_command({"type": kind, **fields})
        return self.run(command, THE_PERSON if agent == "person" else Actor(f"CLAUDE-{agent}", "instance"), request)

    def run(self, command: Any, actor: Actor, request: str | None = None) -> CommandOutcome:
        name, at = request or f"q{next(self.ids)}", "2026-01-01T00:00:00Z"
        outcome = execute(self.workspace, command, actor=actor, request_id=name, now=self.now, timestamp=at)
        for event in outcome.events:
            self._settle(event)
        return outcome

    def _settle(self, event: Event) -> None:
        if (found := settled(self.workspace, event, self.now)) is not None:
            self.answers[found[0].removeprefix("CLAUDE-"), found[1]] = found[2]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for command in due_commands(self.workspace, self.now):
            self.run(command, THE_HUB)

    def holders(self) -> list[tuple[str, str]]:
        return [(lock.agent_id.removeprefix("CLAUDE-"), str(lock.resource)) for lock in self.workspace.locks.locks()]


def types(outcome: CommandOutcome) -> list[str]:
    return [event.type for event in outcome.events]


def give_up(core: Core, agent: str, request: str) -> CommandOutcome:
    return core.run(parse_command({"type": "lock:release", "request": request}), Actor(f"CLAUDE-{agent}", "instance"))


def test_a_wait_that_is_given_up_lets_the_next_one_in() -> None:
    core = Core("a", "b", "c")
    core.do("a", "lock:acquire", path="x.py")
    core.do("b", "lock:acquire", path="x.py", wait_s=60, request="mine")
    core.do("c", "lock:acquire", path="x.py", wait_s=60, request="next")
    outcome = give_up(core, "b", "mine")
    assert (types(outcome), outcome.reply) == (["lock:withdrawn"], {"released": []})
    error = core.answers["b", "mine"]
    assert isinstance(error, LockHeld) and error.code == "CANCELLED"
    core.do("a", "lock:release", path="x.py")
    assert core.holders() == [("c", "x.py")]


def test_a_request_that_was_granted_meanwhile_is_given_back_and_no_other() -> None:
    core = Core("a", "b")
    core.do("a", "lock:acquire", path="x.py")
    core.do("b", "lock:acquire", resources=[{"path": "x.py"}, {"path": "y.py"}], wait_s=60, request="mine")
    core.do("b", "lock:acquire", path="z.py", request="other")
    core.do("a", "lock:release", path="x.py")
    outcome = give_up(core, "b", "mine")
    assert types(outcome) == ["lock:released", "lock:released"] and len(outcome.reply["released"]) == 2
    assert core.holders() == [("b", "z.py")]
    assert give_up(core, "b", "mine").reply == give_up(core, "a", "other").reply == {"released": []}
    with pytest.raises(UsageError):
        core.run(parse_command({"type": "lock:release", "request": "mine", "path": "z.py"}), THE_PERSON)


def test_a_wait_that_runs_out_says_who_was_in_its_way_and_for_how_long_yet() -> None:
    core = Core("a", "b", "c")
    core.do("a", "lock:acquire", path="x.py", lock_type="SHARED", ttl_s=100)
    core.do("b", "lock:acquire", path="x.py", wait_s=10, request="mine")
    core.pass_time(11)
    error = core.answers["b", "mine"]
    assert isinstance(error, LockHeld) and error.code == "TIMEOUT"
    assert error.data == {
        "held_by": "CLAUDE-a",
        "mode": "SHARED",
        "path": "x.py",
        "lock_id": "L4",
        "expires_in_s": 89.0,
    }


def test_a_try_behind_a_waiter_names_the_lock_that_both_wait_for() -> None:
    core = Core("a", "b", "c")
    core.do("a", "lock:acquire", path="x.py", lock_type="SHARED", ttl_s=100)
    core.do("b", "lock:acquire", path="x.py", wait_s=60)
    core.pass_time(5)
    with pytest.raises(LockHeld) as refused:
        core.do("c", "lock:acquire", path="x.py", lock_type="SHARED")
    data = refused.value.data
    assert (data["held_by"], data["lock_id"], data["expires_in_s"]) == ("CLAUDE-b", "L4", 95.0)


def test_who_asks_again_is_told_what_is_left_and_not_what_there_was() -> None:
    core = Core("a")
    core.do("a", "lock:acquire", path="x.py", ttl_s=10)
    core.pass_time(4)
    (again,) = core.do("a", "lock:acquire", path="x.py", ttl_s=300).reply["locks"]
    assert (again["ttl_s"], again["expires_in_s"]) == (10.0, 6.0)
    (renewed,) = core.do("a", "lock:renew", path="x.py", token=again["token"]).reply["locks"]
    assert renewed["expires_in_s"] == 10.0


def test_a_path_that_became_anothers_while_it_was_waited_for_is_not_granted() -> None:
    core = Core("a", "b")
    core.do("person", "lock:acquire", path="a/x.py")
    core.do("a", "lock:acquire", path="a/x.py", wait_s=60, request="mine")
    core.do("person", "partition:set", agent_id="CLAUDE-a", globs=[])
    core.do("person", "partition:set", agent_id="CLAUDE-b", globs=["a/**"])
    core.do("person", "lock:release", path="a/x.py")
    error = core.answers["a", "mine"]
    assert isinstance(error, LockHeld) and error.code == "PARTITION"
    assert core.holders() == []


def test_two_regions_of_one_request_end_a_stale_lock_once() -> None:
    table = LockTable()
    log: list[Any] = []

    def ask(*lines: tuple[int, int]) -> list[Any]:
        wanted = [Resource(path="a.py", region=Region(lines=item)) for item in lines]
        drafts = lock_grant.acquire(
            table, "w", request_id=f"r{len(log)}", resources=wanted, mode=LockMode.EXCLUSIVE, ttl_s=9, seq=len(log)
        )
        for draft in drafts:
            log.append(draft)
            table.evolve(*draft)
        return drafts

    ask((1, 2))
    (lock,) = table.locks()
    table._index_lock(lock.model_copy(update={"stale": True}))
    drafts = ask((10, 11), (20, 21))
    assert [type(data) is LockReleased for _, data in drafts] == [True, False, False]
    assert [lock.token for lock in table.locks()] == [3, 4]


def test_only_a_time_out_names_who_was_in_the_way() -> None:
    core = Core("a", "b")
    core.do("a", "lock:acquire", path="x.py")
    core.do("b", "lock:acquire", path="x.py", wait_s=60, request="mine")
    ((_, gone),) = lock_end.withdraw(core.workspace.locks, "CLAUDE-b", "mine", "GONE")
    assert isinstance(gone, LockWithdrawn) and gone.held_by is None


def test_where_case_is_ignored_two_spellings_are_one_file() -> None:
    core = Core("a", "b")
    core.workspace.partitions = core.workspace.partitions.with_case(ignore_case=True)
    grant = core.do("a", "lock:acquire", path="src/routes.py").reply["locks"][0]
    for path in ("src/Routes.py", "SRC/routes.py", "SRC", "Src/ROUTES.py"):
        with pytest.raises(LockHeld):
            core.do("b", "lock:acquire", path=path)
    assert core.do("b", "lock:acquire", path="SRC/other.py").reply["locks"][0]["path"] == "src/other.py"
    core.do("a", "lock:renew", path="SRC/Routes.py", token=grant["token"])
    core.do("a", "lock:release", path="Src/routes.PY")
    assert core.holders() == [("b", "src/other.py")]


def test_a_spelling_is_forgotten_with_its_last_lock() -> None:
    core = Core("a")
    core.workspace.partitions = core.workspace.partitions.with_case(ignore_case=True)
    core.do("a", "lock:acquire", path="src/x.py")
    core.do("a", "lock:acquire", path="src/y.py")
    core.do("a", "lock:release", path="src/x.py")
    assert core.workspace.locks.spelling("SRC/X.py") == "src/X.py"
    core.do("a", "lock:release", path="src/y.py")
    assert core.workspace.locks.spelling("SRC/X.py") == "SRC/X.py"
