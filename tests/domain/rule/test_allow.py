"""A piece that breaks a rule goes back or waits, and a person may allow or refuse what was found (FLOW-9, FLOW-10)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.core import THE_PERSON, Actor, Workspace, state_hash
from aegis_tui.domain.effect import InspectPiece, needed
from aegis_tui.domain.piece.commands import MergeMarkApplied, PieceMarkChecked
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.rule.commands import RuleAllow, RuleRefuse
from aegis_tui.domain.rule.finding import RuleFinding, Severity
from aegis_tui.domain.run.commands import RunCancel
from aegis_tui.domain.run.events import GateBlocked
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.run.stage import gates_of
from aegis_tui.errors import Refused, UsageError
from tests.domain.test_core import DESIGN, Hub

FEATURES: dict[str, Any] = {item["id"]: item for item in DESIGN["features"]}
BESIDE = {**DESIGN, "features": [FEATURES["alpha"], {**FEATURES["beta"], "depends_on": []}]}


def finding(key: str, severity: Severity = "error") -> RuleFinding:
    return RuleFinding(rule="r", key=key, file="src/a/x.py", line=3, msg="m", remedy="remove it", severity=severity)


class Bench:
    """A run whose first piece is submitted, and which waits for a person unless the options say otherwise."""

    def __init__(self, design: dict[str, Any] = DESIGN, **options: Any) -> None:
        self.hub = Hub()
        self.hub.start(design, **{"attended": True, **options})
        self.worker = next(self.hub.living("worker"))
        self.hub.bring_up(self.worker)

    def submit(self, head: str, *broken: RuleFinding, findings: tuple[Finding, ...] = ()) -> None:
        self.hub.submit(self.worker, head)
        self.check(head, *broken, findings=findings)

    def check(self, head: str, *broken: RuleFinding, findings: tuple[Finding, ...] = ()) -> None:
        place = {"run": self.hub.run.run, "piece": "alpha", "head_oid": head}
        files = ("src/a/x.py",)
        self.hub.send(PieceMarkChecked(**place, files=files, broken=broken, findings=findings, scanner="s 1"))

    def stands(self) -> PieceStatus:
        return self.hub.stands("alpha")

    def prompts(self) -> list[str]:
        return [message.text for message in self.hub.workspace.messages.for_agent(self.worker)][1:]

    def gate(self) -> tuple[bool, str]:
        gates = {gate.name: gate for gate in gates_of(self.hub.workspace, self.hub.run)}
        return gates["rules_allowed"].passed, gates["rules_allowed"].command

    def is_inspected(self) -> bool:
        return any(isinstance(effect, InspectPiece) for effect in needed(self.hub.workspace))

    def report(self) -> Any:
        return fold_report(self.hub.log, self.hub.run.run)["rules"]


def test_an_error_goes_back_to_the_worker_with_place_rule_and_way_out() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1"))
    assert bench.stands() is PieceStatus.WORKING
    assert "src/a/x.py:3: m (rule r); remove it" in bench.prompts()[-1]
    bench.submit("a2")
    assert bench.stands() is PieceStatus.REVIEWING
    (row,) = bench.report()["findings"]
    assert (row["outcome"], bench.report()["scanners"]) == ("repaired", ["s 1"])


def test_a_warning_is_reported_and_stops_nothing() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "warning"))
    assert bench.stands() is PieceStatus.REVIEWING
    assert bench.report()["findings"][0]["outcome"] == "noted"


def test_what_only_a_person_may_allow_waits_and_is_checked_again_once_it_is_allowed() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"), finding("k2", "person"))
    assert bench.stands() is PieceStatus.SUBMITTED and not bench.is_inspected()
    assert bench.gate() == (False, "aegis-tui rules allow k1")
    assert bench.report()["findings"][0]["outcome"] == "waits"
    bench.hub.send(RuleAllow(keys=("k1",), reason="fine"), THE_PERSON)
    assert not bench.is_inspected()
    bench.hub.send(RuleAllow(piece="alpha"), THE_PERSON)
    assert bench.is_inspected() and bench.gate()[0]
    bench.check("a1", finding("k1", "person"), finding("k2", "person"))
    assert bench.stands() is PieceStatus.REVIEWING
    assert [row["allowed_by"] for row in bench.report()["findings"]] == ["person", "person"]


def test_an_allowed_finding_stays_allowed_in_a_later_submission_and_others_do_not() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"))
    bench.hub.send(RuleAllow(keys=("k1",)), THE_PERSON)
    bench.check("a1", finding("k1", "person"), finding("k2"))
    assert bench.stands() is PieceStatus.WORKING
    bench.submit("a2", finding("k1", "person"))
    assert bench.stands() is PieceStatus.REVIEWING


def test_other_problems_come_first_and_name_what_a_person_would_have_to_allow() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"), findings=(Finding(type="structure", msg="a link out"),))
    assert bench.stands() is PieceStatus.WORKING
    assert "a link out" in bench.prompts()[-1] and "only a person may allow this" in bench.prompts()[-1]


def test_a_person_refuses_and_the_worker_gets_the_reason() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"))
    bench.hub.send(RuleRefuse(piece="alpha", reason="keep CI as it is"), THE_PERSON)
    assert bench.stands() is PieceStatus.WORKING and bench.gate()[0]
    assert "keep CI as it is" in bench.prompts()[-1]


def test_a_worker_hears_that_nothing_is_left_to_repair() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1"), finding("k2"))
    bench.hub.send(RuleAllow(keys=("k1",)), THE_PERSON)
    assert "has allowed" not in bench.prompts()[-1]
    bench.hub.send(RuleAllow(keys=("k2",)), THE_PERSON)
    assert "has allowed" in bench.prompts()[-1]
    bench.submit("a2", finding("k1"), finding("k2"))
    assert bench.stands() is PieceStatus.REVIEWING


def test_after_too_many_rejections_the_run_fails_and_says_how_to_allow() -> None:
    bench = Bench(max_rounds=1, handovers=0, attended=False)
    bench.submit("a1", finding("k1"))
    bench.submit("a2", finding("k1"))
    assert bench.hub.run.error and "aegis-tui rules" in bench.hub.run.error["hint"]


def test_a_run_that_nobody_watches_ends_when_only_a_person_could_continue_it() -> None:
    bench = Bench(attended=False)
    bench.submit("a1", finding("k1", "person"))
    run = bench.hub.run
    assert not run.is_open and run.error and run.error["code"] == "rules_allowed"
    assert all(word in run.error["message"] for word in ("alpha", "src/a/x.py", "(r)"))
    assert "aegis-tui rules allow k1" in run.error["hint"]
    assert "git merge --squash refs/aegis/runs/run1/alpha" in run.error["hint"]
    assert [row["outcome"] for row in bench.report()["findings"]] == ["waits"]
    shut = [event.data for event in bench.hub.log if isinstance(event.data, GateBlocked)]
    assert [(gate.gate, gate.command) for gate in shut] == [("rules_allowed", "aegis-tui rules allow k1")]


def test_a_run_that_nobody_watches_finishes_its_other_pieces_before_it_ends() -> None:
    bench = Bench(BESIDE, attended=False)
    other = next(name for name in bench.hub.living("worker") if name != bench.worker)
    bench.submit("a1", finding("k1", "person"))
    assert bench.hub.run.is_open
    bench.hub.bring_up(other)
    bench.hub.submit(other, "b1")
    bench.hub.check("beta", "b1", ("src/b/x.py",))
    bench.hub.approve()
    assert bench.hub.run.is_open
    bench.hub.send(MergeMarkApplied(run="run1", piece="beta", head_oid="b1", oid="mb1"))
    assert bench.hub.stands("beta") is PieceStatus.APPLIED
    assert (bench.hub.run.error or {}).get("feature") == "alpha"


def test_a_piece_without_a_free_worker_does_not_keep_a_run_that_nobody_watches_open() -> None:
    bench = Bench(BESIDE, attended=False, workers=1)
    bench.submit("a1", finding("k1", "person"))
    assert bench.hub.stands("beta") is PieceStatus.PENDING and not bench.hub.run.is_open


def test_what_was_allowed_in_time_lets_a_run_that_nobody_watches_continue() -> None:
    bench = Bench(BESIDE, attended=False)
    bench.submit("a1", finding("k1", "person"))
    bench.hub.send(RuleAllow(keys=("k1",)), THE_PERSON)
    bench.check("a1", finding("k1", "person"))
    assert bench.stands() is PieceStatus.REVIEWING and bench.hub.run.is_open


def test_nobody_but_a_person_allows_anything() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"))
    with pytest.raises(Refused):
        bench.hub.send(RuleAllow(keys=("k1",)), Actor(bench.worker, "instance"))


@pytest.mark.parametrize(
    "command",
    [
        RuleAllow(),
        RuleAllow(keys=("nothing",)),
        RuleAllow(piece="nothing"),
        RuleAllow(piece="beta"),
        RuleAllow(run="run9"),
        RuleRefuse(piece="nothing"),
    ],
)
def test_what_is_not_there_cannot_be_answered(command: RuleAllow | RuleRefuse) -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"))
    with pytest.raises(UsageError):
        bench.hub.send(command, THE_PERSON)


def test_a_piece_that_does_not_wait_cannot_be_refused_and_an_ended_run_not_be_answered() -> None:
    bench = Bench()
    bench.submit("a1")
    with pytest.raises(Refused):
        bench.hub.send(RuleRefuse(piece="alpha"), THE_PERSON)
    bench.hub.send(RunCancel(), THE_PERSON)
    with pytest.raises((Refused, UsageError)):
        bench.hub.send(RuleAllow(keys=("k1",), run=bench.hub.run.run), THE_PERSON)


def test_the_log_gives_the_same_state_again() -> None:
    bench = Bench()
    bench.submit("a1", finding("k1", "person"), finding("k2", "person"))
    bench.hub.send(RuleAllow(keys=("k1",)), THE_PERSON)
    again = Workspace()
    for event in bench.hub.log:
        again.evolve(event)
    assert state_hash(again) == state_hash(bench.hub.workspace)
    assert Workspace.load(bench.hub.workspace.dump()).runs.by_id["run1"].allowed == {"k1": "person"}
