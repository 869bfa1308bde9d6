"""The order of plan, code, review and fix events (ROLE-12), against a table that is written down a second time here."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain import command as commands
from aegis_tui.domain.core import THE_PERSON, Actor, Workspace, evolve, execute, snapshot_view, state_hash
from aegis_tui.domain.event import Event, event_from_wire, event_to_wire
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.lock.commands import LockAcquire
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.errors import Refused, UsageError

FILES = ("a.py", "b.py")
ONE = Actor("CLAUDE-one", "instance")

PLAN_TABLE = {
    ("proposed", "acknowledged"),
    ("proposed", "approved"),
    ("proposed", "amendment"),
    ("acknowledged", "acknowledged"),
    ("acknowledged", "approved"),
    ("acknowledged", "amendment"),
    ("approved", "amendment"),
    ("amendment", "proposed"),
    ("amendment", "acknowledged"),
    ("amendment", "approved"),
    ("amendment", "amendment"),
}
CODE_TABLE = {
    ("planned", "code:writing"): "code:writing",
    ("code:writing", "code:writing"): "code:writing",
    ("code:writing", "code:written"): "code:written",
    ("code:written", "code:writing"): "code:writing",
    ("code:written", "review:requested"): "review:requested",
    ("review:requested", "code:writing"): "code:writing",
    ("review:requested", "review:in_progress"): "review:in_progress",
    ("review:in_progress", "review:requested"): "review:requested",
    ("review:in_progress", "review:completed"): "rejected",
    ("rejected", "fix:suggested"): "fix:suggested",
    ("approved", "code:writing"): "code:writing",
    ("fix:suggested", "fix:suggested"): "fix:suggested",
    ("fix:suggested", "fix:in_progress"): "fix:in_progress",
    ("fix:in_progress", "code:writing"): "fix:in_progress",
    ("fix:in_progress", "code:written"): "fix:in_progress",
    ("fix:in_progress", "fix:applied"): "fix:applied",
    ("fix:applied", "code:writing"): "code:writing",
    ("fix:applied", "review:requested"): "review:requested",
    ("fix:applied", "fix:suggested"): "fix:suggested",
    ("fix:applied", "fix:in_progress"): "fix:in_progress",
}
EVENTS = sorted({event for _, event in CODE_TABLE} | {f"plan:{name}" for pair in PLAN_TABLE for name in pair})


class Bench:
    """One joined instance that holds a lock on each file, and the log of all that happens."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.log: list[Event] = []
        self.number = 0
        self.send(AgentRegister(agent_type="CLAUDE", instance_id="one", role="commander"), THE_PERSON)
        self.tokens: dict[str, int] = {}
        for path in FILES:
            self.send(LockAcquire(path=path))
            self.tokens[path] = next(lock.token for lock in self.workspace.locks.locks_on(path))

    def send(self, command: commands.AnyCommand, actor: Actor = ONE) -> None:
        self.number += 1
        outcome = execute(
            self.workspace, command, actor=actor, request_id=str(self.number), now=0.0, timestamp="2026-01-01T00:00:00Z"
        )
        self.log += outcome.events

    def tell(self, event: str, *, actor: Actor = ONE, **data: Any) -> None:
        if event.startswith("code:"):
            data |= {"token": self.tokens[data["file"]], "new_oid": "0" * 40}
        self.send(BroadcastSend(event=event, data=data), actor)

    def tries(self, event: str, **data: Any) -> bool:
        try:
            self.tell(event, **data)
        except Refused as refusal:
            assert refusal.code == "exchange.order" and refusal.data["expected"]
            assert event not in refusal.data["expected"]
            return False
        return True


class Oracle:
    """The same rules for one feature, the slow way: None before it begins and after it ended."""

    def __init__(self) -> None:
        self.plan: str | None = None
        self.files: dict[str, str] = {}

    def allows(self, event: str, path: str, verdict: str) -> bool:
        family, _, name = event.partition(":")
        if self.plan is None:
            if event == "plan:proposed":
                self.plan, self.files = "proposed", dict.fromkeys(FILES, "planned")
            return True
        if family == "plan":
            legal = (self.plan, name) in PLAN_TABLE
            self.plan = name if legal else self.plan
            return legal
        following = CODE_TABLE.get((self.files[path], event))
        if following is None or (event == "code:writing" and self.plan == "proposed"):
            return False
        self.files[path] = "approved" if following == "rejected" and verdict == "APPROVED" else following
        if set(self.files.values()) == {"approved"}:
            self.plan = None
        return True

    def choose(self, number: int, path: str) -> str:
        """Mostly an event that may come, so that a course goes deep; one in four is any event."""
        state = self.files.get(path, "planned")
        steps = [event for at, event in sorted(CODE_TABLE) if at == state]
        plans = [f"plan:{event}" for at, event in sorted(PLAN_TABLE) if at == self.plan]
        likely = EVENTS if number % 4 == 0 else steps * 2 + plans
        return likely[number // 4 % len(likely)]


steps = st.tuples(
    st.integers(0, 999), st.sampled_from(FILES), st.sampled_from(["APPROVED", "CHANGES_REQUESTED"]), st.booleans()
)


@pytest.mark.thorough
@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=60), st.integers(0, 59))
def test_exactly_the_events_of_the_table_are_taken(wanted: list[tuple[int, str, str, bool]], cut: int) -> None:
    bench, oracle = Bench(), Oracle()
    bench.tell("plan:proposed", feature="cart", files=list(FILES))
    oracle.allows("plan:proposed", "", "")
    for number, (choice, path, verdict, by_name) in enumerate(wanted):
        event = oracle.choose(choice, path)
        data: dict[str, Any] = {"feature": "cart"} if by_name or event.startswith("plan:") else {}
        data |= {"files": list(FILES)} if event == "plan:proposed" else {"file": path}
        if event == "review:completed":
            data["status"] = verdict
        assert bench.tries(event, **data) == oracle.allows(event, path, verdict), (number, event, path)
        if number == cut:
            bench.workspace = Workspace.load(bench.workspace.dump())
    replayed = Workspace()
    for item in bench.log:
        evolve(replayed, event_from_wire(event_to_wire(item)))
    assert state_hash(replayed) == state_hash(bench.workspace)


def test_a_course_with_a_fix_ends_with_the_approval_of_every_file() -> None:
    bench = Bench()
    bench.tell("plan:proposed", feature="cart", approach="x", files=list(FILES), risks=[])
    bench.tell("plan:acknowledged", feature="cart")
    for path in FILES:
        bench.tell("code:writing", file=path)
        bench.tell("code:written", file=path)
    bench.tell("review:requested", feature="cart", description="all of it")
    bench.tell("review:in_progress", reviewer="CLAUDE-two")
    bench.tell("review:completed", files=["a.py"], status="APPROVED")
    bench.tell("review:completed", status="CHANGES_REQUESTED", findings=[{"file": "b.py", "msg": "no"}])
    bench.tell("fix:suggested", file="b.py", finding="no")
    assert snapshot_view(bench.workspace)["exchanges"] == [
        {
            "feature": "cart",
            "opened_by": "CLAUDE-one",
            "plan": "plan:acknowledged",
            "files": {"a.py": "review:completed APPROVED", "b.py": "fix:suggested"},
        }
    ]
    bench.tell("fix:in_progress", file="b.py")
    bench.tell("code:writing", file="b.py")
    bench.tell("code:written", file="b.py")
    bench.tell("fix:applied", oid="1" * 40)
    for event in ("review:requested", "review:in_progress"):
        bench.tell(event, file="b.py")
    bench.tell("review:completed", file="b.py", status="APPROVED")
    assert snapshot_view(bench.workspace)["exchanges"] == []
    bench.tell("fix:applied", oid="1" * 40)


def test_a_refusal_says_what_was_expected() -> None:
    bench = Bench()
    bench.tell("plan:proposed", feature="cart", files=["a.py"])
    with pytest.raises(Refused, match=r"code:writing does not come next for cart: .*plan:proposed") as caught:
        bench.tell("code:writing", file="a.py")
    assert caught.value.exit_code == 3
    assert "plan:acknowledged, plan:approved, plan:amendment" in caught.value.hint
    bench.tell("plan:approved", feature="cart")
    with pytest.raises(Refused, match=r"fix:applied .* a\.py is at planned") as caught:
        bench.tell("fix:applied", file="a.py")
    assert caught.value.data["expected"] == ["code:writing"]


def test_what_no_exchange_is_about_has_no_order() -> None:
    bench = Bench()
    bench.tell("fix:applied", oid="1" * 40)
    bench.tell("code:written", file="a.py")
    bench.tell("plan:proposed", feature="cart", files=["a.py"])
    bench.tell("code:written", file="b.py")
    bench.tell("review:completed", feature="other", status="APPROVED")
    bench.tell("note:anything", feature="cart")


def test_an_event_that_may_mean_several_features_has_to_name_one() -> None:
    bench = Bench()
    for feature, path in (("cart", "a.py"), ("shop", "b.py")):
        bench.tell("plan:proposed", feature=feature, files=[path])
    with pytest.raises(UsageError, match="cart, shop"):
        bench.tell("plan:approved")
    bench.tell("plan:approved", feature="shop")
    bench.tell("code:writing", file="b.py")


def test_a_person_may_begin_an_exchange_anew_and_an_instance_may_not() -> None:
    bench = Bench()
    bench.tell("plan:proposed", feature="cart", files=["a.py"])
    with pytest.raises(Refused):
        bench.tell("plan:proposed", feature="cart", files=["b.py"])
    bench.tell("plan:proposed", feature="cart", files=["b.py"], actor=THE_PERSON)
    assert snapshot_view(bench.workspace)["exchanges"][0]["files"] == {"b.py": "planned"}


def test_a_file_that_was_not_planned_joins_the_exchange_that_its_event_names() -> None:
    bench = Bench()
    bench.tell("plan:proposed", feature="cart")
    bench.tell("plan:approved", feature="cart")
    with pytest.raises(Refused, match="the plan is at plan:approved"):
        bench.tell("review:requested", feature="cart")
    bench.tell("code:writing", file="a.py", feature="cart")
    bench.tell("code:written", file="a.py", feature="cart")
    bench.tell("review:requested", feature="cart")
    assert bench.workspace.exchanges.by_feature["cart"].files == {"a.py": "review:requested"}


def test_a_plan_that_is_amended_and_proposed_anew_keeps_what_is_written() -> None:
    bench = Bench()
    bench.tell("plan:proposed", feature="cart", files=["a.py"])
    bench.tell("plan:approved", feature="cart")
    bench.tell("code:writing", file="a.py")
    bench.tell("plan:amendment", feature="cart", suggestion="split it", reason="too long")
    bench.tell("plan:proposed", feature="cart", files=["b.py"])
    assert bench.workspace.exchanges.by_feature["cart"].files == {"a.py": "code:writing", "b.py": "planned"}
    bench.tell("code:written", file="a.py")
    assert not bench.tries("code:writing", file="b.py")
    bench.tell("plan:approved", feature="cart")
    bench.tell("code:writing", file="b.py")
