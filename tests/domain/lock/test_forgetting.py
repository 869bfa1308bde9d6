"""What has ended leaves the state, and the log keeps it: the state stays small however long a workspace lives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aegis_tui.domain import command as commands
from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor, CommandOutcome, evolve, execute, state_hash
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import hash_token
from aegis_tui.domain.instance.commands import (
    AgentLeave,
    AgentRegister,
    InstanceMarkExited,
    InstanceMarkLaunched,
    InstanceMarkPrepared,
    InstanceMarkReclaimed,
)
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.instance.table import KEPT_ENDED, KEPT_FORMER
from aegis_tui.domain.lock.commands import LockAcquire, LockRelease
from aegis_tui.domain.message.commands import BroadcastSend, MessageSend
from aegis_tui.domain.run.commands import RunCancel, RunMarkFinished, RunMarkPrepared, RunStart
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.run.report import ReportFold, fold_report
from aegis_tui.domain.run.table import KEPT_RUNS
from aegis_tui.domain.scope.commands import ScopeRequest
from aegis_tui.domain.spec.commands import SpecCreate
from aegis_tui.domain.spec.table import KEPT_ENDED as KEPT_ENDED_SPECS
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

BASE = "0" * 40
DESIGN: dict[str, Any] = {
    "goal": "g",
    "features": [{"id": "alpha", "title": "A", "brief": "a", "partition": ["src/a/**"]}],
    "qa": {"commands": ["pytest"]},
}


class Hub:
    """The core and the log it writes."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.log: list[Event] = []

    def send(self, command: commands.AnyCommand, actor: Actor = THE_PERSON) -> CommandOutcome:
        seq = self.workspace.seq
        at = f"2026-01-01T{seq // 3600 % 24:02d}:{seq // 60 % 60:02d}:{seq % 60:02d}.{seq % 1000:03d}Z"
        done = execute(self.workspace, command, actor=actor, request_id=f"t{seq}", now=0.0, timestamp=at)
        self.log += done.events
        return done

    def join(self, name: str, kind: str = "CLAUDE", **more: Any) -> Actor:
        reply = self.send(AgentRegister(agent_type=kind, instance_id=name, **more)).reply
        return Actor(str(reply["agent_id"]), "instance")

    def leave(self, actor: Actor) -> None:
        self.send(AgentLeave(reason="done"), actor)

    def pass_by(self, count: int) -> None:
        for number in range(count):
            self.leave(self.join(f"passing{number}"))

    def run(self, name: str) -> str:
        """A run that is cancelled when its worker has joined; the worker's agent id."""
        facts = RunFacts(workspace="k", base_oid=BASE, base_branch="main", qa_commands=("pytest",))
        self.send(RunStart(goal=f"goal of {name}", design=DESIGN, run=name, facts=facts))
        self.send(RunMarkPrepared(run=name), THE_HUB)
        (worker,) = (item.agent_id for item in self.workspace.instances.alive() if item.run == name)
        prepared = InstanceMarkPrepared(agent_id=worker, worktree=f"/w/{worker}", token_hash=hash_token(worker))
        self.send(prepared, THE_HUB)
        self.send(InstanceMarkLaunched(agent_id=worker, pane="%1", pid=1), THE_HUB)
        self.send(AgentRegister(), Actor(worker, "instance"))
        self.send(RunCancel(run=name, reason="enough"))
        self.send(InstanceMarkExited(agent_id=worker, status=0), THE_HUB)
        self.send(InstanceMarkReclaimed(agent_id=worker, rescue_ref=f"refs/{worker}"), THE_HUB)
        self.send(RunMarkFinished(run=name, report={}), THE_HUB)
        return worker


def replayed(hub: Hub) -> Workspace:
    workspace = Workspace()
    for event in hub.log:
        evolve(workspace, event)
    return workspace


def busy_hub() -> Hub:
    """50 live instances with a partition and a lock each, after 3,000 that came and went; 300 of those worked."""
    hub = Hub()
    hub.pass_by(2_700)
    living = [hub.join(f"live{number}", partition=(f"src/live{number}/**",)) for number in range(50)]
    for number in range(300):
        worker = hub.join(f"worker{number}", partition=("src/worker/**",))
        lock = hub.send(LockAcquire(path=f"src/worker/{number}.py"), worker).reply["locks"][0]
        hub.send(LockRelease(lock_id=lock["lock_id"], token=lock["token"]), worker)
        hub.send(MessageSend(to=worker.agent_id, text="read this"), living[number % 50])
        hub.send(ScopeRequest(path="docs/x.md", reason="a link"), worker)
        hub.leave(worker)
    for actor in living:
        hub.send(LockAcquire(path=f"src/{actor.agent_id.removeprefix('CLAUDE-')}/a.py"), actor)
    return hub


def test_state_and_view_stay_small_after_3000_have_come_and_gone() -> None:
    hub = busy_hub()
    assert len(json.dumps(snapshot_view(hub.workspace, key="k", now=0.0))) < 256 * 1024
    assert len(hub.workspace.instances.by_id) == 50 + KEPT_ENDED
    assert len(list(hub.workspace.instances.alive())) == 50
    state = hub.workspace.dump()
    assert len(state["messages"]["waiting"]) == len(state["scope_ended"]) == len(state["scope_counts"]) == KEPT_ENDED
    assert state_hash(replayed(hub)) == state_hash(hub.workspace)
    assert state_hash(Workspace.load(json.loads(json.dumps(state)))) == state_hash(hub.workspace)
    assert len(state["instances"].pop("former")) == 3_000 - KEPT_ENDED
    assert len(json.dumps(state)) < 256 * 1024


def test_a_forgotten_instance_may_come_back_under_its_name_and_nobody_else_may_have_it() -> None:
    hub = Hub()
    hub.leave(hub.join("frontend"))
    hub.pass_by(KEPT_ENDED)
    assert hub.workspace.get_instance("CLAUDE-frontend") is None
    with pytest.raises(Refused, match="frontend belonged to CLAUDE-frontend"):
        hub.join("frontend", "CODEX")
    assert hub.join("frontend").agent_id == "CLAUDE-frontend"
    assert hub.workspace.instances.by_id["CLAUDE-frontend"].phase is Phase.JOINED


def test_the_names_that_are_remembered_are_bounded() -> None:
    hub = Hub()
    hub.pass_by(KEPT_FORMER + KEPT_ENDED + 5)
    former = hub.workspace.instances.former
    assert len(former) == KEPT_FORMER
    assert "passing0" not in former and "passing10" in former


def test_one_that_comes_and_goes_again_counts_from_its_last_end() -> None:
    hub = Hub()
    hub.leave(hub.join("often"))
    hub.pass_by(KEPT_ENDED - 1)
    hub.leave(hub.join("often"))
    hub.pass_by(KEPT_ENDED - 1)
    assert hub.workspace.get_instance("CLAUDE-often") is not None


def test_the_newest_runs_stay_and_earlier_ones_keep_their_name() -> None:
    hub = Hub()
    workers = [hub.run(f"run{number}") for number in range(1, 6)]
    assert workers == [f"NATIVE-w0{number}" for number in range(1, 6)]
    assert list(hub.workspace.runs.by_id) == ["run4", "run5"] and KEPT_RUNS == 2
    assert hub.workspace.runs.names() == [f"run{number}" for number in range(1, 6)]
    assert [item.agent_id for item in hub.workspace.instances.by_id.values()] == workers[-2:]
    assert list(hub.workspace.specs.by_id) == ["run4-alpha", "run5-alpha"]
    with pytest.raises(Refused, match="run run1 has ended"):
        hub.send(RunCancel(run="run1", reason="again"))
    with pytest.raises(UsageError, match="no run run9"):
        hub.send(RunCancel(run="run9", reason="again"))
    assert state_hash(replayed(hub)) == state_hash(hub.workspace)


def test_ids_that_the_hub_gave_are_never_given_to_an_agent_that_joins_by_hand() -> None:
    hub = Hub()
    for number in range(1, 5):
        hub.run(f"run{number}")
    for kind in ("NATIVE", "CLAUDE"):
        with pytest.raises(UsageError, match="form of the ids that the hub gives"):
            hub.join("w01", kind)


def test_the_report_of_a_forgotten_run_comes_from_the_log() -> None:
    hub = Hub()
    hub.run("run1")
    before = fold_report(hub.log, "run1")
    for number in range(2, 6):
        hub.run(f"run{number}")
    assert fold_report(hub.log, "run1") == before
    assert before["instances"][0]["rescue_ref"] == "refs/NATIVE-w01"


def test_a_report_needs_the_log_from_the_runs_first_event_only() -> None:
    hub = Hub()
    hub.pass_by(3)
    for number in range(1, 4):
        hub.run(f"run{number}")
    started_seq = hub.workspace.runs.by_id["run3"].started_seq
    assert hub.log[started_seq - 1].type == "run:started"
    fold = ReportFold("run3")
    for event in hub.log[started_seq - 1 :]:
        fold.take(event)
    assert fold.report() == fold_report(hub.log, "run3")


def spec(hub: Hub, name: str, *needs: str) -> None:
    hub.send(SpecCreate(spec={"id": name, "title": name, "dependencies": list(needs)}))


def complete(hub: Hub, name: str, seq: int) -> None:
    from aegis_tui.domain.spec.events import SpecCompleted

    event = Event(seq, "hub", "2026-01-01T00:00:00Z", SpecCompleted(specId=name, path="p"))
    hub.log.append(event)
    evolve(hub.workspace, event)


def test_a_forgotten_spec_still_counts_as_completed_and_keeps_its_id() -> None:
    hub = Hub()
    count = KEPT_ENDED_SPECS + 10
    for number in range(count):
        spec(hub, f"s{number}")
        complete(hub, f"s{number}", hub.workspace.seq + 1)
    assert len(hub.workspace.specs.by_id) == KEPT_ENDED_SPECS
    spec(hub, "after", "s0", f"s{count - 1}")
    spec(hub, "never", "s0", "unknown")
    assert [item.spec_id for item in hub.workspace.specs.ready()] == ["after"]
    with pytest.raises(Refused, match="s0 already exists"):
        spec(hub, "s0")
    assert state_hash(replayed(hub)) == state_hash(hub.workspace)


def test_a_cycle_of_specs_is_refused_with_its_path() -> None:
    hub = Hub()
    spec(hub, "a", "b")
    spec(hub, "b", "c")
    with pytest.raises(Refused, match="c -> a -> b -> c"):
        spec(hub, "c", "a")
    with pytest.raises(Refused, match="d -> d"):
        spec(hub, "d", "d")


def test_a_snapshot_of_an_earlier_version_opens_and_what_had_ended_is_forgotten() -> None:
    hub = Hub()
    hub.pass_by(5)
    hub.run("run1")
    hub.join("live")
    old = json.loads(json.dumps(hub.workspace.dump()))
    del old["past_runs"], old["past_specs"], old["instances"]["former"]
    (ended,) = (item for item in old["instances"]["instances"] if item["instance_id"] == "passing0")
    old["instances"]["instances"] += [
        {**ended, "agent_id": f"CLAUDE-old{n}", "instance_id": f"old{n}", "ended_at": f"2025-01-01T00:00:{n % 60:02d}Z"}
        for n in range(1_600)
    ]
    for number in range(3):
        old["runs"].insert(0, {**old["runs"][-1], "run": f"earlier{number}"})
    for run in old["runs"]:
        del run["started_seq"]
    old["exchanges"] = []
    workspace = Workspace.load(old)
    assert len(workspace.instances.by_id) == KEPT_ENDED + 2
    assert workspace.get_instance("CLAUDE-passing4") is not None, "the newest stay"
    assert workspace.instances.former["old3"] == "CLAUDE-old3"
    assert workspace.runs.names() == ["earlier2", "earlier1", "earlier0", "run1"]
    assert state_hash(Workspace.load(workspace.dump())) == state_hash(workspace)


def test_exchanges_that_nobody_ends_are_bounded() -> None:
    hub = Hub()
    for number in range(200):
        hub.send(BroadcastSend(event="plan:proposed", data={"feature": f"f{number}"}))
    assert [item["feature"] for item in hub.workspace.exchanges.dump()] == [f"f{number}" for number in range(136, 200)]
