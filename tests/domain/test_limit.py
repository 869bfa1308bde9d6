"""What one token may make the hub keep has an end, and says so when it is reached (HUB-9, SEC-2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain import command as commands
from aegis_tui.domain import limit
from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor, Workspace, execute, state_hash
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import AgentLeave, AgentRegister
from aegis_tui.domain.limit import LIMITS, Limit
from aegis_tui.domain.limit_rules import check_design_size
from aegis_tui.domain.lock.commands import LockAcquire, LockRelease, WantedResource
from aegis_tui.domain.message.commands import Ack, BroadcastSend, MessageSend
from aegis_tui.domain.message.events import CodeWritten, MessageSent
from aegis_tui.domain.piece.commands import DiffSubmit
from aegis_tui.domain.run.commands import DesignPropose
from aegis_tui.domain.scope.commands import PartitionSet, ScopeRefuse, ScopeRequest
from aegis_tui.domain.spec.commands import SpecCreate, TaskUpdate
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.errors import AegisError, LimitReached
from aegis_tui.sdk.wire import error_from_wire, error_to_wire

ONE, TWO, LEAD = (Actor(f"CLAUDE-{name}", "instance") for name in ("one", "two", "lead"))


class Place:
    """A workspace with two workers and a Commander that a person let join."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.ids = itertools.count()
        for name, role in (("one", "worker"), ("two", "worker"), ("lead", "commander")):
            self.say(THE_PERSON, AgentRegister(agent_type="CLAUDE", instance_id=name, role=role))

    def say(self, actor: Actor, command: commands.AnyCommand) -> AnyReply:
        request = f"r{next(self.ids)}"
        return execute(self.workspace, command, actor=actor, request_id=request, now=0.0, timestamp="t").reply

    def refused(self, actor: Actor, command: commands.AnyCommand, over: Limit) -> LimitReached:
        before = state_hash(self.workspace)
        with pytest.raises(LimitReached) as caught:
            self.say(actor, command)
        assert (caught.value.code, caught.value.exit_code) == ("limit", 3)
        assert caught.value.data["limit"] == over.name and caught.value.data["most"] == over.most
        assert caught.value.hint == over.frees
        assert state_hash(self.workspace) == before
        return caught.value


def less(monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> Limit:
    """The same limit, smaller, so that it is reached in few steps."""
    smaller: Limit = getattr(limit, name)._replace(most=most)
    monkeypatch.setattr(limit, name, smaller)
    return smaller


def test_every_limit_says_what_it_counts_and_what_frees() -> None:
    assert len({item.name for item in LIMITS}) == len(LIMITS) > 20
    for item in LIMITS:
        assert item.most > 0 and all((item.unit, item.of, item.why, item.frees)), item.name


def test_a_refusal_by_a_limit_comes_back_as_one() -> None:
    with pytest.raises(LimitReached) as caught:
        limit.LOCKS.check(limit.LOCKS.most + 1)
    assert isinstance(error_from_wire(error_to_wire(caught.value)), LimitReached)


@pytest.mark.boundary(
    layer="limits",
    tried="endless messages to one receiver and to many, and large ones",
    refused="refused beyond 200 unread messages to one receiver, 1 MiB of unread ones from a token, 64 KiB in one",
)
def test_messages_that_nobody_reads_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    place, unread = Place(), less(monkeypatch, "UNREAD", 3)
    note = MessageSend(to="two", text="n")
    sent = [place.say(ONE, note)["seq"] for _ in range(3)]
    place.refused(ONE, note, unread)
    place.say(ONE, MessageSend(to="lead", text="n"))
    place.say(LEAD, note)
    place.say(TWO, Ack(of=sent[0]))
    place.say(ONE, note)
    place.refused(ONE, note, unread)


def test_their_bytes_have_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    place, size = Place(), less(monkeypatch, "MESSAGE", 100)
    total = less(monkeypatch, "UNREAD_BYTES", 250)
    place.refused(ONE, MessageSend(to="two", text="é" * 51), size)
    for to in ("two", "lead"):
        place.say(ONE, MessageSend(to=to, text="x" * 100))
    place.refused(ONE, MessageSend(to="two", text="x" * 51), total)
    place.say(ONE, MessageSend(to="two", text="x" * 50))
    place.say(TWO, AgentLeave())
    place.say(ONE, MessageSend(to="lead", text="x" * 100))


@pytest.mark.boundary(
    layer="limits",
    tried="broadcasts of a megabyte, plans with thousands of files, endless features",
    refused="refused at 64 KiB, 1,000 files, 50 open features",
)
def test_broadcasts_and_exchanges_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    large = BroadcastSend(event="note:n", data={"x": "y" * limit.BROADCAST.most})
    place.refused(ONE, large, limit.BROADCAST)
    files, features = less(monkeypatch, "EXCHANGE_FILES", 3), less(monkeypatch, "EXCHANGES", 2)
    plan = {"feature": "f0", "files": ["a", "b", "c", "d"]}
    place.refused(ONE, BroadcastSend(event="plan:proposed", data=plan), files)
    place.say(ONE, BroadcastSend(event="plan:proposed", data={**plan, "files": ["a", "b"]}))
    more = {"feature": "f0", "files": ["a", "c", "d"]}
    place.refused(ONE, BroadcastSend(event="plan:amendment", data=more), files)
    place.say(ONE, BroadcastSend(event="plan:proposed", data={"feature": "f1", "files": ["e"]}))
    place.refused(ONE, BroadcastSend(event="plan:proposed", data={"feature": "f2", "files": ["g"]}), features)
    place.say(TWO, BroadcastSend(event="plan:proposed", data={"feature": "f2", "files": ["g"]}))


@pytest.mark.boundary(
    layer="limits",
    tried="locks on thousands of paths, in one request or in many",
    refused="refused beyond 256 in one request, and beyond 1,000 in total",
)
def test_locks_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    many = tuple(WantedResource(path=f"p{number}") for number in range(limit.LOCK_RESOURCES.most + 1))
    place.refused(ONE, LockAcquire(resources=many), limit.LOCK_RESOURCES)
    most = less(monkeypatch, "LOCKS", 3)
    place.say(TWO, LockAcquire(path="theirs"))
    place.say(ONE, LockAcquire(path="a"))
    place.say(ONE, LockAcquire(path="b"))
    place.say(ONE, LockAcquire(path="theirs", wait_s=60))
    place.refused(ONE, LockAcquire(path="c"), most)
    place.say(ONE, LockAcquire(path="a"))
    place.say(ONE, LockRelease(path="b"))
    place.say(ONE, LockAcquire(path="c"))


def test_scope_requests_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    place, most = Place(), less(monkeypatch, "SCOPE_REQUESTS", 2)
    asked = [place.say(ONE, ScopeRequest(path=f"p{n}", reason="r"))["request"] for n in range(2)]
    place.refused(ONE, ScopeRequest(path="p9", reason="r"), most)
    place.say(TWO, ScopeRequest(path="p9", reason="r"))
    place.say(THE_PERSON, ScopeRefuse(request=asked[0], reason="no"))
    place.say(ONE, ScopeRequest(path="p9", reason="r"))


def test_specs_and_their_tasks_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    large = {"id": "s", "title": "t", "x": "y" * limit.SPEC.most}
    place.refused(LEAD, SpecCreate(spec=large), limit.SPEC)
    needs = [f"s{n}" for n in range(limit.SPEC_DEPENDENCIES.most + 1)]
    place.refused(LEAD, SpecCreate(spec={"id": "s", "title": "t", "dependencies": needs}), limit.SPEC_DEPENDENCIES)
    specs, tasks = less(monkeypatch, "SPECS", 2), less(monkeypatch, "SPEC_TASKS", 2)
    for name in ("a", "b"):
        place.say(LEAD, SpecCreate(spec={"id": name, "title": "t"}))
    place.refused(LEAD, SpecCreate(spec={"id": "c", "title": "t"}), specs)
    for task in ("t1", "t2", "t1"):
        place.say(THE_PERSON, TaskUpdate(spec_id="a", task_id=task, status="done"))
    place.refused(THE_PERSON, TaskUpdate(spec_id="a", task_id="t3", status="done"), tasks)


@pytest.mark.parametrize(
    ("design", "over"),
    [
        ({"goal": "x" * limit.DESIGN.most}, limit.DESIGN),
        ({"features": [{}] * (limit.FEATURES.most + 1)}, limit.FEATURES),
        ({"features": [{"partition": ["a"] * (limit.PARTITION.most + 1)}]}, limit.PARTITION),
        ({"shared": ["a"] * (limit.PARTITION.most + 1)}, limit.PARTITION),
        ({"foundation": {"partition": ["a"] * (limit.PARTITION.most + 1)}}, limit.PARTITION),
    ],
)
def test_a_design_has_an_end(design: dict[str, Any], over: Limit) -> None:
    with pytest.raises(LimitReached) as caught:
        check_design_size(design)
    assert caught.value.data["limit"] == over.name
    Place().refused(LEAD, DesignPropose(design=design), over)


def test_partitions_verdicts_and_submissions_have_an_end() -> None:
    place = Place()
    globs = tuple(f"g{n}" for n in range(limit.PARTITION.most + 1))
    join = AgentRegister(agent_type="CLAUDE", instance_id="three", partition=globs)
    place.refused(THE_PERSON, join, limit.PARTITION)
    place.refused(THE_PERSON, PartitionSet(agent_id="one", globs=globs), limit.PARTITION)
    tokens = tuple(range(limit.SUBMITTED_TOKENS.most + 1))
    submit = DiffSubmit(spec_id="s", base_oid="0", head_oid="1", tokens=tokens)
    place.refused(ONE, submit, limit.SUBMITTED_TOKENS)
    verdict = {"type": "review:verdict", "review_id": "v", "decision": "reject"}
    finding = {"msg": "m"}
    for fields, over in (
        ({"findings": [finding] * (limit.FINDINGS.most + 1)}, limit.FINDINGS),
        ({"criteria": [{"id": "c", "pass": True}] * (limit.CRITERIA.most + 1)}, limit.CRITERIA),
        ({"findings": [{"msg": "x" * limit.VERDICT.most}]}, limit.VERDICT),
    ):
        place.refused(THE_PERSON, commands.parse_command({**verdict, **fields}), over)


def test_remembered_writes_have_an_end_and_are_kept_once_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    place, most = Place(), less(monkeypatch, "WRITES", 2)

    def write(path: str) -> BroadcastSend:
        lock = place.say(ONE, LockAcquire(path=path))["locks"][0]
        return BroadcastSend(event="code:written", data={"file": path, "token": lock["token"], "new_oid": "0"})

    for path in ("a", "a", "b"):
        command = write(path)
        place.say(ONE, command)
        place.say(ONE, LockRelease(path=path))
        place.workspace.fences.write(1, "CLAUDE-two", CodeWritten(file=path, token=1, new_oid="0"))
    assert [item.file for item in place.workspace.messages.writes] == ["a", "b"]
    lock = place.say(TWO, LockAcquire(path="c"))["locks"][0]
    data = {"file": "c", "token": lock["token"], "new_oid": "0"}
    place.refused(TWO, BroadcastSend(event="code:written", data=data), most)


def test_the_hub_is_bound_by_no_limit_and_a_log_is_replayed_whole() -> None:
    place = Place()
    for number in range(limit.UNREAD.most + 5):
        data = MessageSent(to="CLAUDE-two", text="x" * (limit.MESSAGE.most + 1))
        place.workspace.evolve(Event(place.workspace.seq + 1, "CLAUDE-one", "t", data))
        if number == 0:
            place.say(THE_HUB, LockAcquire(path="h"))
    assert len(place.workspace.messages.waiting) == limit.UNREAD.most + 5
    again = Workspace.load(place.workspace.dump())
    assert state_hash(again) == state_hash(place.workspace)
    assert len(again.messages.waiting_from("CLAUDE-one")) == limit.UNREAD.most + 5


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["two", "lead"]), st.integers(0, 60)),
        st.tuples(st.just("ack"), st.just(""), st.integers(0, 20)),
        st.tuples(st.just("lock"), st.sampled_from("abcdef"), st.integers(0, 1)),
        st.tuples(st.just("ask"), st.sampled_from("abcdef"), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS)
def test_whatever_one_token_sends_what_is_kept_stays_within_its_limits(steps: list[tuple[str, str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        unread, size = less(patch, "UNREAD", 4), less(patch, "UNREAD_BYTES", 120)
        locks, asked = less(patch, "LOCKS", 3), less(patch, "SCOPE_REQUESTS", 2)
        place = Place()
        for kind, name, number in steps:
            waiting = [item.seq for item in place.workspace.messages.waiting.values()]
            command: commands.AnyCommand
            match kind:
                case "send":
                    actor, command = ONE, MessageSend(to=name, text="x" * number)
                case "ack":
                    of = waiting[number % len(waiting)] if waiting else 0
                    actor, command = TWO, Ack(of=of)
                case "lock":
                    actor, command = (ONE, TWO)[number], LockAcquire(path=name, wait_s=60)
                case _:
                    actor, command = ONE, ScopeRequest(path=name, reason="r")
            try:
                place.say(actor, command)
            except AegisError:
                continue
            sent = place.workspace.messages.waiting_from("CLAUDE-one")
            assert all(sum(item.to == to for item in sent) <= unread.most for to in ("CLAUDE-two", "CLAUDE-lead"))
            assert sum(len(item.text) for item in sent) <= size.most
            assert list(place.workspace.scope_askers.values()).count("CLAUDE-one") <= asked.most
            table = place.workspace.locks
            assert len(table.locks_of("CLAUDE-one")) + len(table.waits_of("CLAUDE-one")) <= locks.most
