from __future__ import annotations

import pytest

from aegis_tui.domain.core import THE_PERSON, Actor, Workspace, execute
from aegis_tui.domain.decision import THE_HUB, Decision
from aegis_tui.domain.event import Event
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.qa import commands
from aegis_tui.domain.qa.check import CheckResult, QaCheck
from aegis_tui.domain.qa.events import QaAccepted, QaBaseChecked, QaFinished
from aegis_tui.domain.qa.rules import accept_base, base_checked, qa_finished
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.events import RunEnding, RunFacts, RunOptions, RunStarted, Stage
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.run.stage import gates_of
from aegis_tui.domain.run.table import RunTable
from aegis_tui.errors import Refused

NAMELESS = CheckResult(status="failed")
NAMED = CheckResult(status="failed", executed=2, passed=1, failed=1, failures=("t::x",))
UNLOADED = CheckResult(status="not_run", executed=3, passed=3, unloaded=("t_x.py",), reason="t_x.py cannot be imported")
PASSED = CheckResult(status="passed")
MISSING = CheckResult(status="not_run", reason="jest is missing", remedy="npm ci")


def at_final_qa(**options: object) -> tuple[Workspace, Run]:
    workspace = Workspace()
    facts = RunFacts(workspace="k", base_oid="b" * 40, base_branch="main", qa_commands=("make",))
    run = Run(run="run1", goal="g", options=RunOptions.model_validate(options), facts=facts, working_oid="w")
    run.stage = Stage.FINAL_QA
    run.pieces = {"alpha": Piece(name="alpha", spec_id="run1-alpha")}
    workspace.runs.by_id["run1"] = run
    return workspace, run


def judged(workspace: Workspace, now: CheckResult, base: CheckResult) -> Decision:
    checks = (compare(1, "make", now, base),)
    command = commands.QaMarkFinished(run="run1", round=0, tree="T", oid="w", checks=checks)
    return qa_finished(workspace, command, THE_HUB, "r")


def types(decision: Decision) -> list[str]:
    return [data.type for _, data in decision.drafts]


def apply(run: Run, decision: Decision) -> None:
    table = RunTable()
    table.by_id[run.run] = run
    for agent_id, data in decision.drafts:
        if isinstance(data, QaBaseChecked | QaFinished | QaAccepted):
            table.evolve(agent_id, data)


def test_a_check_that_passes_opens_the_gate() -> None:
    workspace, _ = at_final_qa()
    assert types(judged(workspace, PASSED, PASSED)) == ["qa:finished"]


def test_what_the_base_cannot_run_either_ends_the_run_at_once_with_the_cause() -> None:
    workspace, _ = at_final_qa(max_rounds=3)
    decision = judged(workspace, MISSING, MISSING)
    assert types(decision) == ["qa:finished", "gate:blocked", "run:ending"]
    ending = decision.drafts[-1][1]
    assert isinstance(ending, RunEnding) and ending.error is not None
    assert ending.error["code"] == "qa_passed"
    assert "neither on the result nor on the base: " in ending.error["message"]
    assert "jest is missing" in ending.error["message"]
    assert ending.error["hint"].startswith("npm ci")


@pytest.mark.parametrize(("now", "base"), [(MISSING, PASSED), (NAMELESS, PASSED), (NAMED, MISSING)])
def test_what_a_worker_may_mend_goes_back(now: CheckResult, base: CheckResult) -> None:
    workspace, _ = at_final_qa(max_rounds=3)
    assert "piece:reopened" in types(judged(workspace, now, base))


@pytest.mark.parametrize("same", [NAMELESS, UNLOADED])
def test_a_base_that_cannot_be_compared_ends_a_run_that_nobody_looks_on_after_one_qa(same: CheckResult) -> None:
    workspace, _ = at_final_qa(max_rounds=3)
    decision = judged(workspace, same, same)
    assert types(decision) == ["qa:finished", "gate:blocked", "run:ending"]
    ending = decision.drafts[-1][1]
    assert isinstance(ending, RunEnding) and ending.error is not None
    assert "the base, which fails too: make: " in ending.error["message"]
    assert "aegis-tui run GOAL --accept-base-failures" in ending.error["hint"]


def test_a_base_that_cannot_be_compared_waits_for_a_person_who_looks_on() -> None:
    workspace, run = at_final_qa(attended=True)
    decision = judged(workspace, NAMELESS, NAMELESS)
    assert types(decision) == ["qa:finished", "gate:blocked"]
    apply(run, decision)
    (gate,) = gates_of(workspace, run)
    assert (gate.passed, gate.command) == (False, "aegis-tui qa --accept-base-failures")
    accepted = accept_base(workspace, commands.QaAccept(), THE_PERSON, "r")
    assert types(accepted) == ["qa:accepted", "qa:finished"]
    apply(run, accepted)
    assert run.qa is not None and run.qa.ok
    assert [check.accepted_by for check in run.qa.checks] == ["person"]
    (gate,) = gates_of(workspace, run)
    assert (gate.passed, "were accepted" in gate.reason) == (True, True)


@pytest.mark.parametrize("by", ["option", "before"])
def test_a_base_may_be_accepted_beforehand(by: str) -> None:
    workspace, run = at_final_qa(accept_base_failures=by == "option")
    if by == "before":
        before = accept_base(workspace, commands.QaAccept(), THE_PERSON, "r")
        assert types(before) == ["qa:accepted"]
        apply(run, before)
    decision = judged(workspace, NAMELESS, NAMELESS)
    assert types(decision) == ["qa:finished"]
    apply(run, decision)
    assert run.qa is not None and run.qa.checks[0].accepted_by == "person"


def test_accepting_a_base_opens_the_gate_for_nothing_else() -> None:
    workspace, run = at_final_qa(accept_base_failures=True, attended=True)
    decision = judged(workspace, MISSING, MISSING)
    assert "run:ending" in types(decision)
    apply(run, decision)
    with pytest.raises(Refused, match="other checks close the gate too: make"):
        accept_base(workspace, commands.QaAccept(run="run1"), THE_PERSON, "r")
    assert "piece:reopened" in types(judged_again(NAMELESS, PASSED))


def judged_again(now: CheckResult, base: CheckResult) -> Decision:
    workspace, _ = at_final_qa(accept_base_failures=True, attended=True)
    return judged(workspace, now, base)


def looked_ahead(workspace: Workspace, base: CheckResult) -> Decision:
    command = commands.QaMarkBaseChecked(run="run1", oid="b" * 40, checks=(compare(1, "make", base, base),))
    return base_checked(workspace, command, THE_HUB, "r")


@pytest.mark.parametrize("base", [NAMELESS, UNLOADED])
def test_a_base_that_would_shut_the_gate_is_told_once_and_accepted_early_for_good(base: CheckResult) -> None:
    workspace, run = at_final_qa()
    run.stage = Stage.MONITORING
    told = looked_ahead(workspace, base)
    assert types(told) == ["qa:base-checked"]
    data = told.drafts[0][1]
    assert isinstance(data, QaBaseChecked) and not data.ok
    assert data.command == "aegis-tui qa --accept-base-failures"
    assert "in the dashboard" in data.checks[0].remedy and "aegis-tui run GOAL --accept-base-failures" in str(data)
    apply(run, told)
    assert types(looked_ahead(workspace, base)) == [], "a hub that starts again has nothing new to say"
    apply(run, accept_base(workspace, commands.QaAccept(), THE_PERSON, "r"))
    assert run.base_qa is None
    assert types(looked_ahead(workspace, base)) == []
    run.stage = Stage.FINAL_QA
    assert types(judged(workspace, base, base)) == ["qa:finished"]


def test_a_base_that_only_the_machine_keeps_from_running_is_told_with_its_remedy_and_not_accepted() -> None:
    workspace, run = at_final_qa()
    run.stage = Stage.MONITORING
    told = looked_ahead(workspace, MISSING)
    data = told.drafts[0][1]
    assert isinstance(data, QaBaseChecked)
    assert (data.reason, data.command) == ("make: jest is missing", "npm ci")
    apply(run, told)
    with pytest.raises(Refused, match="no failure of the base can be accepted: make: jest is missing"):
        accept_base(workspace, commands.QaAccept(), THE_PERSON, "r")
    mended = looked_ahead(workspace, PASSED)
    assert types(mended) == ["qa:base-checked"]
    apply(run, mended)
    assert run.base_qa is None


@pytest.mark.parametrize("base", [PASSED, NAMED])
def test_a_base_that_can_be_compared_is_no_news(base: CheckResult) -> None:
    workspace, run = at_final_qa()
    run.stage = Stage.MONITORING
    assert types(looked_ahead(workspace, base)) == []
    run.options = RunOptions(accept_base_failures=True)
    assert types(looked_ahead(workspace, NAMELESS)) == [], "it is accepted already"


def test_only_a_person_accepts_a_base() -> None:
    workspace, _ = at_final_qa()
    with pytest.raises(Refused):
        execute(
            workspace,
            commands.QaAccept(run="run1"),
            actor=Actor("NATIVE-w01", "instance"),
            request_id="r",
            now=0,
            timestamp="2026-01-01T00:00:00Z",
        )


def check_of(ok: bool, **fields: object) -> QaCheck:
    return QaCheck.model_validate({"check": "1 make", "command": "make", "status": "failed", "ok": ok, **fields})


def test_the_report_shows_a_round_once_after_its_base_was_accepted() -> None:
    facts = RunFacts(workspace="k", base_oid="b" * 40, base_branch=None)
    shut = QaFinished(run="run1", round=0, tree="T", oid="w", ok=False, checks=(check_of(False, is_acceptable=True),))
    opened = shut.model_copy(update={"ok": True, "checks": (check_of(True, accepted_by="person"),)})
    start = RunStarted(run="run1", goal="g", options=RunOptions(), facts=facts)
    datas: tuple[RunStarted | QaFinished, ...] = (start, shut, opened)
    events = [Event(seq, "hub", f"2026-01-01T00:00:0{seq}Z", data) for seq, data in enumerate(datas, 1)]
    (entry,) = fold_report(events, "run1")["qa"]
    assert {name: entry[name] for name in ("round", "status", "ok", "accepted_by")} == {
        "round": 0,
        "status": "failed",
        "ok": True,
        "accepted_by": "person",
    }
    assert {"executed", "new_failures", "reason", "duration_s", "check", "passed", "failed"} <= entry.keys()
    assert "output_tail" not in entry
