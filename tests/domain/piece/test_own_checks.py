"""What the checks of one submission lead to, and where a rejected piece goes (FLOW-7, FLOW-10)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.core import THE_PERSON, Actor
from aegis_tui.domain.effect import ComposePiece, RunPieceChecks, needed
from aegis_tui.domain.instance.commands import AgentLeave
from aegis_tui.domain.need import needs
from aegis_tui.domain.piece.commands import PieceMarkTested, PieceRetry
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.run.brief import traces_text
from aegis_tui.domain.run.report import fold_report
from aegis_tui.errors import Refused, UsageError
from aegis_tui.tui.views.explain import explain_piece
from tests.domain.test_core import DESIGN, Hub

FREE: dict[str, Any] = {**DESIGN, "features": [{**item, "depends_on": []} for item in DESIGN["features"]]}
GREEN = QaCheck(check="1 pytest", command="pytest", status="passed", ok=True)
RED = QaCheck(
    check="1 pytest",
    command="pytest",
    status="failed",
    ok=False,
    new_failures=("t::x",),
    reason="1 new failure: t::x",
    output_tail="E  assert 1 == 2",
)
CROSSING = Overlapping(a="beta", b="alpha", path="src/routes.py", kind="hot", hunks=1, text="their lines")


class Bench(Hub):
    """Alpha is submitted and has passed the check of its paths; beta is being built."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.start(FREE, **options)
        self.alpha, self.beta = self.living("worker")
        for worker in (self.alpha, self.beta):
            self.bring_up(worker)
        self.hand_in("a1")

    def hand_in(self, head: str) -> None:
        self.submit(self.run.pieces["alpha"].agent_id or "", head)
        self.check("alpha", head, ("src/a/x.py",))

    def tested(self, head: str, *checks: QaCheck, **fields: Any) -> None:
        place = {"run": "run1", "piece": "alpha", "head_oid": head, "onto_oid": self.run.working_oid, "tree": "T"}
        self.send(PieceMarkTested(**{**place, "checks": checks, **fields}))

    def prompts(self, agent: str) -> list[str]:
        sent = [event.data.model_dump() for event in self.log if event.type == "message:sent"]
        return [item["text"] for item in sent if item["to"] == agent]

    def rejected(self, *heads: str) -> None:
        """Submit one commit after the other, each of which fails its checks."""
        for head in heads:
            if self.run.pieces["alpha"].head_oid != head:
                self.hand_in(head)
            self.tested(head, RED)

    def replaced(self) -> str:
        """Bring up the instance that gets the piece next."""
        self.bring_down()
        worker = next(item.agent_id for item in self.workspace.instances.alive() if item.piece == "alpha")
        self.bring_up(worker)
        return worker


def wanted(hub: Hub, kind: type) -> list[Any]:
    return [effect for effect in needed(hub.workspace) if isinstance(effect, kind)]


def test_a_piece_is_merged_when_both_its_reviewer_and_its_checks_agree_in_either_order() -> None:
    for first in ("review", "checks"):
        hub = Bench()
        assert [effect.onto for effect in wanted(hub, RunPieceChecks)] == [hub.run.working_oid]
        for step in sorted(("review", "checks"), key=lambda name: name != first):
            assert not wanted(hub, ComposePiece)
            if step == "review":
                hub.approve()
            else:
                hub.tested("a1", GREEN)
        assert not wanted(hub, RunPieceChecks) and len(wanted(hub, ComposePiece)) == 1


def test_without_commands_or_when_switched_off_nothing_is_tested() -> None:
    for hub in (Bench(piece_checks=False), Bench()):
        if hub.run.options.piece_checks:
            hub.run.facts = hub.run.facts.model_copy(update={"qa_commands": ()})
        assert not hub.run.tests_pieces and not wanted(hub, RunPieceChecks)
        hub.approve()
        assert len(wanted(hub, ComposePiece)) == 1


def test_an_objection_ends_the_reviewers_and_goes_to_the_worker_with_the_trace() -> None:
    hub = Bench()
    hub.tested("a1", GREEN, RED)
    assert hub.stands("alpha") is PieceStatus.WORKING
    (prompt,) = hub.prompts(hub.alpha)[1:]
    assert "QA failed on alpha" in prompt and "E  assert 1 == 2" in prompt and "- t::x" in prompt
    assert not list(hub.living("reviewer"))
    assert not wanted(hub, RunPieceChecks)


def test_what_was_found_with_an_older_branch_or_commit_does_not_count() -> None:
    hub = Bench()
    hub.tested("a1", RED, onto_oid="1" * 40)
    hub.tested("a0", RED)
    assert hub.stands("alpha") is PieceStatus.REVIEWING and not hub.run.pieces["alpha"].traces
    hub.tested("a1", GREEN, onto_oid="1" * 40)
    assert not wanted(hub, RunPieceChecks), "it is tested again when it is first in the queue"
    hub.approve()
    assert len(wanted(hub, RunPieceChecks)) == 1 and not wanted(hub, ComposePiece)


def test_a_conflict_with_the_newest_branch_goes_to_the_worker_as_such() -> None:
    hub = Bench()
    hub.tested("a1", overlaps=(CROSSING,))
    assert hub.stands("alpha") is PieceStatus.WORKING
    assert "conflicts with work that is already merged" in hub.prompts(hub.alpha)[-1]
    assert "their lines" in hub.prompts(hub.alpha)[-1]
    assert [trace.because for trace in hub.run.pieces["alpha"].traces] == ["merge"]


@pytest.mark.parametrize("status", ["not_run", "empty"])
def test_a_check_that_could_not_run_holds_nothing_up(status: Any) -> None:
    hub = Bench()
    hub.tested("a1", RED.model_copy(update={"status": status, "new_failures": ()}))
    assert hub.run.pieces["alpha"].tested is not None and not hub.run.has_green("T")
    assert not wanted(hub, RunPieceChecks)


def test_a_worker_gets_its_rounds_then_another_one_all_traces_then_the_run_fails() -> None:
    hub = Bench(max_rounds=1)
    hub.rejected("a1", "a2")
    assert hub.stands("alpha") is PieceStatus.PENDING
    second = hub.replaced()
    assert second.startswith("NATIVE-j"), "a junior developer takes over"
    brief = hub.prompts(second)[0]
    assert "2 submissions of this task were sent back" in brief and "commit a1" in brief and "commit a2" in brief
    hub.rejected("a3", "a4")
    assert hub.run.error is not None and hub.run.error["code"] == "rounds"
    assert "4 submissions of alpha, by 2 instances, were not accepted" in hub.run.error["message"]
    (told, _) = fold_report(hub.log, "run1")["pieces"]
    assert [item["to"] for item in told["sent_back"]] == ["worker", "other", "worker"]
    assert {item["because"] for item in told["sent_back"]} == {"checks"}
    assert told["handed_over"] == [hub.alpha] and len(told["tests"]) == 4


def test_a_worker_that_is_lost_costs_no_round() -> None:
    hub = Bench(max_rounds=1)
    hub.rejected("a1")
    hub.send(AgentLeave(reason="gone"), Actor(hub.alpha, "instance"))
    assert hub.run.pieces["alpha"].rounds == 1 and not hub.run.pieces["alpha"].handed_over
    hub.replaced()
    hub.rejected("a2")
    assert hub.run.pieces["alpha"].handed_over, "the round of the lost one counts"


def test_a_person_who_watches_is_asked_and_sees_each_trace() -> None:
    hub = Bench(max_rounds=1, handovers=0, attended=True)
    hub.rejected("a1", "a2")
    assert hub.stands("alpha") is PieceStatus.STUCK
    (need,) = needs(hub.workspace)
    assert (need.kind, need.key) == ("piece", "alpha") and need.words.startswith(
        "alpha waits until you advise its worker"
    )
    page = "\n".join("".join(span.text for span in line) for line in explain_piece(hub.run, "alpha"))
    assert page.count("E  assert 1 == 2") == 2 and "waits for you" in page and "a1 by w01" in page
    hub.send(PieceRetry(piece="alpha", text="mind the gap"), THE_PERSON)
    assert hub.stands("alpha") is PieceStatus.WORKING and "mind the gap" in hub.prompts(hub.alpha)[-1]
    hub.rejected("a3")
    assert hub.stands("alpha") is PieceStatus.STUCK, "one try for each advice"


def test_the_advice_reaches_a_fresh_worker_if_the_last_one_is_gone() -> None:
    hub = Bench(max_rounds=1, handovers=0, attended=True)
    hub.rejected("a1", "a2")
    hub.send(AgentLeave(reason="gone"), Actor(hub.alpha, "instance"))
    hub.send(PieceRetry(piece="alpha", text="mind the gap"), THE_PERSON)
    second = hub.replaced()
    brief = hub.prompts(second)[0]
    assert "mind the gap" in brief and brief.count("E  assert 1 == 2") == 2


def test_advice_is_only_for_a_piece_that_is_stuck() -> None:
    hub = Bench()
    with pytest.raises(Refused, match="alpha is in review, not stuck"):
        hub.send(PieceRetry(piece="alpha"), THE_PERSON)
    with pytest.raises(UsageError, match="has no piece nothing"):
        hub.send(PieceRetry(piece="nothing"), THE_PERSON)


def test_old_traces_are_cut_and_the_newest_is_whole() -> None:
    hub = Bench(max_rounds=5)
    hub.rejected("a1", "a2")
    piece = hub.run.pieces["alpha"]
    piece.traces = tuple(trace.model_copy(update={"text": "x" * 3000}) for trace in piece.traces)
    text = traces_text(piece)
    assert text.count("x") == 1500 + 3000 and text.count("[...]") == 1
    piece.traces = ()
    assert traces_text(piece) == ""
