"""Who owns which paths in the course of a run: re-partitioned, replaced, waiting, granted (PART-1, PART-5, PART-6)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.core import THE_PERSON, Actor, Workspace, state_hash
from aegis_tui.domain.instance.commands import AgentRegister, InstanceMarkExited, InstanceStart
from aegis_tui.domain.lock.commands import LockAcquire
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.run.commands import DesignAgree, DesignPropose, RunStart
from aegis_tui.domain.run.events import RunFacts, RunOptions, Stage
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.scope.commands import PartitionSet, ScopeGrant, ScopeRequest
from aegis_tui.domain.scope.partition import find_overlaps
from aegis_tui.domain.scope.text import scope_of
from aegis_tui.errors import AegisError, DesignRefused, PartitionRefused, Refused, UsageError
from tests.domain.test_core import BASE, DESIGN, Hub

TWO: dict[str, Any] = {**DESIGN, "features": [{**item, "depends_on": []} for item in DESIGN["features"]]}


def working(design: dict[str, Any] = TWO) -> tuple[Hub, list[str]]:
    hub = Hub()
    hub.start(design)
    workers = sorted(hub.living("worker"))
    for worker in workers:
        hub.bring_up(worker)
    return hub, workers


def me(agent: str) -> Actor:
    return Actor(agent, "instance")


def end(hub: Hub, agent: str) -> None:
    hub.send(InstanceMarkExited(agent_id=agent, status=1))
    hub.bring_down()


def repartition(hub: Hub, agent: str, *globs: str) -> None:
    hub.send(PartitionSet(agent_id=agent, globs=globs), THE_PERSON)


def ask(hub: Hub, agent: str, path: str) -> str:
    request = hub.send(ScopeRequest(path=path, reason="r"), me(agent)).reply["request"]
    assert isinstance(request, str)
    return request


def told(hub: Hub, request: str) -> list[str]:
    return [item.to for item in hub.workspace.messages.waiting.values() if item.context.get("request") == request]


def test_a_replacement_gets_the_partition_that_its_predecessor_had_last() -> None:
    hub, (alpha, beta) = working()
    repartition(hub, alpha, "src/a/one/**")
    repartition(hub, beta, "src/b/**", "src/a/two/**")
    end(hub, alpha)
    fresh = next(name for name in hub.living("worker") if name != beta)
    assert hub.workspace.partitions.partitions[fresh] == ("src/a/one/**",)
    assert find_overlaps(hub.workspace.partitions.partitions) == []
    hub.bring_up(fresh)
    scope = scope_of(hub.workspace, hub.run, hub.workspace.instances.by_id[fresh])
    assert scope["partition"] == ["src/a/one/**"]
    assert scope["owners"] == {"src/b/**": beta, "src/a/two/**": beta}
    assert scope["moved"] == {"beta": ["src/a/two/**", "src/b/**"]}


def test_globs_of_a_lost_worker_stay_reserved_until_its_replacement_starts() -> None:
    hub, (alpha, beta) = working()
    hub.send(InstanceMarkExited(agent_id=alpha, status=1))
    with pytest.raises(Refused, match="of alpha both match src/a/") as refused:
        repartition(hub, beta, "src/b/**", "src/a/x/**")
    assert refused.value.code == "partition.overlap"


def test_a_waiting_features_globs_are_taken_for_those_who_join_and_those_who_are_repartitioned() -> None:
    hub, (alpha,) = working(DESIGN)
    joining = AgentRegister(agent_type="CLAUDE", instance_id="frontend", partition=("src/b/**",))
    with pytest.raises(Refused, match="src/b/a") as refused:
        hub.send(joining, THE_PERSON)
    assert refused.value.data["overlaps"][0]["owners"] == ["CLAUDE-frontend", "beta"]
    with pytest.raises(Refused, match="both match"):
        repartition(hub, alpha, "src/a/**", "src/b/c.py")
    hub.land(alpha, "a1", ("src/a/x.py",))
    assert find_overlaps(hub.workspace.partitions.partitions) == []


def test_a_design_that_gives_away_what_a_living_instance_owns_is_refused() -> None:
    hub = Hub()
    joining = AgentRegister(agent_type="CLAUDE", instance_id="frontend", partition=("src/b/x/**",))
    hub.send(joining, THE_PERSON)
    with pytest.raises(DesignRefused, match="of beta overlaps 'src/b/x/") as refused:
        hub.start(DESIGN)
    assert refused.value.data["issues"][0]["witness"].startswith("src/b/x/")
    assert hub.workspace.runs.latest() is None


def test_agreement_is_refused_when_somebody_joined_there_after_the_proposal() -> None:
    hub = Hub()
    hub.start()
    hub.send(DesignPropose(design=DESIGN), THE_PERSON)
    joining = AgentRegister(agent_type="CLAUDE", instance_id="frontend", partition=("src/a/y.py",))
    hub.send(joining, THE_PERSON)
    with pytest.raises(DesignRefused, match="CLAUDE-frontend"):
        hub.send(DesignAgree(design_id=hub.run.design_id or ""), THE_PERSON)
    assert hub.at() is Stage.DESIGN


def test_a_worker_that_was_left_nothing_owns_nothing_at_hand_in() -> None:
    hub, (alpha, beta) = working()
    repartition(hub, alpha)
    repartition(hub, beta, "src/b/**", "src/a/**")
    hub.submit(alpha, "a1")
    hub.check("alpha", "a1", ("src/a/x.py", "src/lib/y.py"))
    assert hub.stands("alpha") is PieceStatus.WORKING
    told = hub.run.pieces["alpha"].feedback
    assert "src/a/x.py belongs to beta; undo the change, or make a scope request with a reason (error)\n" in told
    assert "no worker may write it; undo the change (error)\n" in told
    hub.submit(beta, "b1")
    hub.check("beta", "b1", ("src/a/x.py", "src/b/y.py"))
    assert hub.stands("beta") is PieceStatus.REVIEWING


@pytest.mark.parametrize("is_lost", [False, True])
def test_granted_scope_counts_at_hand_in_whether_or_not_the_worker_lives_still(is_lost: bool) -> None:
    hub, (alpha, beta) = working()
    hub.send(ScopeGrant(request=ask(hub, beta, "src/a/x.py")), me(alpha))
    lock = hub.send(LockAcquire(path="src/a/x.py"), me(beta)).reply["locks"][0]
    written = {"file": "src/a/x.py", "token": lock["token"], "new_oid": "1" * 40}
    hub.send(BroadcastSend(event="code:written", data=written), me(beta))
    hub.submit(beta, "b1", (lock["token"],))
    if is_lost:
        end(hub, beta)
    hub.check("beta", "b1", ("src/a/x.py", "src/b/y.py"))
    assert hub.stands("beta") is PieceStatus.REVIEWING


def test_a_request_of_a_lost_instance_is_closed_and_granting_it_is_refused() -> None:
    hub, (alpha, beta) = working()
    request = ask(hub, beta, "src/a/x.py")
    end(hub, beta)
    assert not hub.workspace.scope_requests
    loaded = Workspace.load(hub.workspace.dump())
    assert state_hash(loaded) == state_hash(hub.workspace)
    hub.workspace = loaded
    with pytest.raises(Refused, match=f"{beta}, which asked .* has ended"):
        hub.send(ScopeGrant(request=request), me(alpha))
    assert hub.workspace.partitions.grants == {}
    assert not hub.workspace.partitions.verdict(alpha, "src/a/x.py").needs_lock


def test_an_instance_that_has_ended_gets_no_partition() -> None:
    hub, (alpha, beta) = working()
    end(hub, beta)
    with pytest.raises(Refused, match=f"{beta} has ended"):
        repartition(hub, beta, "docs/**")
    repartition(hub, alpha, "src/a/**", "docs/**")
    assert hub.workspace.partitions.owner_of("docs/x.md") == alpha


@pytest.mark.parametrize("path", ["./docs/y.md", "/docs/y.md", "docs//y.md", "../y.md", "docs\\y.md"])
def test_scope_is_asked_for_paths_of_the_repository_only(path: str) -> None:
    hub, (alpha, _) = working()
    with pytest.raises(UsageError, match="not a path of the repository"):
        ask(hub, alpha, path)


@pytest.mark.parametrize("path", [".git/config", ".agents/specs/active/x.yaml"])
def test_scope_that_no_grant_can_open_is_refused_at_once(path: str) -> None:
    hub, (alpha, _) = working()
    with pytest.raises(PartitionRefused):
        ask(hub, alpha, path)


def test_a_decomposed_path_is_asked_for_and_granted_in_its_composed_form() -> None:
    hub, (alpha, _) = working()
    request = ask(hub, alpha, "docs/e\u0301.md")
    hub.send(ScopeGrant(request=request), THE_PERSON)
    assert hub.workspace.partitions.grants[alpha] == ("docs/\u00e9.md",)
    assert hub.workspace.partitions.verdict(alpha, "docs/\u00e9.md").allowed


def test_the_commander_hears_of_a_request_for_what_nobody_owns_and_cannot_grant_its_own() -> None:
    hub, (alpha, _) = working()
    hub.send(InstanceStart(role="commander"), THE_PERSON)
    (chief,) = hub.living("commander")
    hub.bring_up(chief)
    request = ask(hub, alpha, "docs/x.md")
    assert told(hub, request) == [chief]
    assert [item["request"] for item in snapshot_view(hub.workspace)["scope_requests"]] == [request]
    assert told(hub, ask(hub, chief, "docs/z.md")) == []
    own = ask(hub, chief, "src/a/x.py")
    assert told(hub, own) == [alpha]
    with pytest.raises(AegisError, match="own request"):
        hub.send(ScopeGrant(request=own), me(chief))
    hub.send(ScopeGrant(request=own), me(alpha))
    assert hub.workspace.partitions.verdict(chief, "src/a/x.py").rule == "granted"


def test_scope_requests_are_counted_per_instance_in_context_and_report() -> None:
    hub, (alpha, beta) = working()
    for path in ("docs/x.md", "docs/y.md"):
        ask(hub, alpha, path)
    hub.send(ScopeRequest(path="src/routes.py", reason="r"), me(alpha))
    context = {item["agent_id"]: item["scope_requests"] for item in snapshot_view(hub.workspace)["instances"]}
    report = {item["agent_id"]: item["scope_requests"] for item in fold_report(hub.log, "run1")["instances"]}
    assert context == report == {alpha: 2, beta: 0}


def test_a_run_whose_worker_would_meet_another_owner_fails_with_the_path() -> None:
    hub = Hub()
    joining = AgentRegister(agent_type="CLAUDE", instance_id="frontend", partition=("Src/B/x.py",))
    hub.send(joining, THE_PERSON)
    hub.start(DESIGN)
    alpha = hub.run.pieces["alpha"].agent_id or ""
    hub.bring_up(alpha)
    hub.workspace.partitions.set("CLAUDE-frontend", ["src/b/x.py"])
    hub.land(alpha, "a1", ("src/a/x.py",))
    assert hub.run.error is not None and hub.run.error["code"] == "partition.overlap"
    assert "src/b/x.py" in hub.run.error["message"]


def test_case_is_ignored_when_a_design_meets_a_living_instance_where_git_ignores_it() -> None:
    hub = Hub()
    joining = AgentRegister(agent_type="CLAUDE", instance_id="frontend", partition=("Src/B/x.py",))
    hub.send(joining, THE_PERSON)
    facts = RunFacts(workspace="k", base_oid=BASE, base_branch="main", qa_commands=("pytest",), ignore_case=True)
    starting = RunStart(goal="g", design=DESIGN, options=RunOptions(), run="run1", facts=facts)
    with pytest.raises(DesignRefused, match="example path: src/b/x"):
        hub.send(starting, THE_PERSON)
