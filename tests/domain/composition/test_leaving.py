"""How a run ends without a piece: which gate gives a piece up, what goes with it, what cannot (FLOW-7, FLOW-10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.domain.composition.commands import CulpritsMarkFound, LeftOut, MergeApply, MergeMarkRebuilt
from aegis_tui.domain.core import THE_PERSON
from aegis_tui.domain.effect import CheckComposition, FindCulprits, RebuildComposition, RunQa, needed
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.piece.commands import MergeMarkApplied
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.run.commands import CompositionMarkChecked
from aegis_tui.domain.run.events import Stage
from aegis_tui.errors import Refused, UsageError
from tests.domain.test_core import DESIGN, Hub

FREE: dict[str, Any] = {
    **DESIGN,
    "features": [
        *({**item, "depends_on": []} for item in DESIGN["features"]),
        {"id": "gamma", "title": "G", "brief": "g", "partition": ["src/c/**"], "depends_on": ["beta"]},
    ],
}
REJECTED = {"findings": [{"file": "src/b/x.py", "line": 1, "msg": "it is wrong"}]}


class Partial(Hub):
    """A run that may end without pieces; gamma builds on beta, alpha is free."""

    def __init__(self, design: dict[str, Any] = FREE, **options: Any) -> None:
        super().__init__()
        self.start(design, **{"max_rounds": 0, "partial": True, **options})

    def worker_of(self, piece: str) -> str:
        return next(item.agent_id for item in self.workspace.instances.alive() if item.piece == piece)

    def begin(self, *pieces: str) -> Iterator[str]:
        for piece in pieces:
            worker = self.worker_of(piece)
            if self.workspace.instances.by_id[worker].phase is Phase.PLANNED:
                self.bring_up(worker)
            yield worker

    def merged(self, piece: str) -> None:
        (worker,) = self.begin(piece)
        self.land(worker, f"{piece}1", (f"src/{piece[0].replace('g', 'c')}/x.py",))

    def whole(self, *files: str) -> None:
        self.send(CompositionMarkChecked(run="run1", oid=self.run.working_oid, files=files))

    def left(self) -> dict[str, str]:
        return {name: piece.left_out for name, piece in self.run.pieces.items() if piece.left_out}


def all_merged(**options: Any) -> Partial:
    hub = Partial(**options)
    for name in ("alpha", "beta", "gamma"):
        hub.merged(name)
    assert hub.at() is Stage.INTEGRATE
    return hub


def in_final_qa(**options: Any) -> Partial:
    hub = all_merged(**options)
    hub.whole("src/a/x.py", "src/b/x.py", "src/c/x.py")
    hub.approve()
    assert hub.at() is Stage.FINAL_QA
    return hub


def test_a_piece_that_its_reviewer_rejects_too_often_is_left_out_with_what_builds_on_it() -> None:
    hub = Partial()
    hub.merged("alpha")
    (beta,) = hub.begin("beta")
    hub.submit(beta, "b1")
    hub.check("beta", "b1", ("src/b/x.py",))
    hub.approve("reject", **REJECTED)
    reasons = hub.left()
    assert "it is wrong" in reasons["beta"] and reasons["gamma"] == "it builds on beta, which is left out"
    assert hub.stands("beta") is hub.stands("gamma") is PieceStatus.LEFT_OUT
    assert hub.at() is Stage.INTEGRATE and not hub.run.needs_rebuild, "nothing of it was merged"
    assert hub.workspace.instances.by_id[beta].phase is not Phase.JOINED
    failed = [event.data for event in hub.log if event.type == "specs.failed"]
    assert [item.specId for item in failed] == ["run1-beta", "run1-gamma"]  # type: ignore[union-attr]  # filtered by type


def test_a_result_without_a_piece_is_committed_but_the_run_does_not_count_as_successful() -> None:
    hub = Partial()
    hub.merged("alpha")
    hub.send(MergeApply(leave_out=("beta",)), THE_PERSON)
    hub.whole("src/a/x.py")
    hub.approve()
    hub.qa(ok=True)
    hub.finish()
    assert hub.run.ok is False and hub.run.commit is not None
    assert hub.run.error is not None and hub.run.error["code"] == "left_out"
    assert "beta, gamma" in hub.run.error["message"]


def test_qa_that_fails_for_the_last_time_starts_the_search_and_what_it_names_is_composed_away() -> None:
    hub = in_final_qa()
    hub.qa(ok=False, blamed=("alpha",))
    assert hub.run.is_splitting and needed(hub.workspace)[-1] == FindCulprits("run1", "mgamma1")
    hub.send(CulpritsMarkFound(run="run1", oid="other", culprits=(LeftOut(piece="alpha", reason="x"),)))
    assert hub.left() == {}, "it is about another commit"
    hub.send(CulpritsMarkFound(run="run1", oid="mgamma1", culprits=(LeftOut(piece="beta", reason="t::x"),)))
    assert set(hub.left()) == {"beta", "gamma"} and hub.at() is Stage.INTEGRATE
    assert needed(hub.workspace)[-1] == RebuildComposition("run1", "mgamma1", ("beta", "gamma"))
    reviews = len(hub.run.reviews)
    hub.whole("src/a/x.py")
    assert len(hub.run.reviews) == reviews, "the tree that still has them is not reviewed again"
    hub.send(MergeMarkRebuilt(run="run1", instead_of="mgamma1", oid="r1"))
    assert hub.run.working_oid == "r1" and hub.run.qa is None
    assert needed(hub.workspace)[-1] == CheckComposition("run1", "r1")
    hub.whole("src/a/x.py")
    hub.approve()
    assert needed(hub.workspace)[-1] == RunQa("run1", 0, "r1"), "the search is over"
    hub.qa(ok=True)
    assert hub.at() is Stage.DONE


def test_rounds_of_corrections_come_before_the_search() -> None:
    hub = in_final_qa(max_rounds=1)
    hub.qa(ok=False, blamed=("beta",))
    assert (hub.at(), hub.run.round, hub.run.is_splitting) == (Stage.MONITORING, 1, False)


def test_a_search_that_names_nobody_or_everybody_ends_the_run() -> None:
    everybody = tuple(LeftOut(piece=name, reason="t::x") for name in ("alpha", "beta", "gamma"))
    for culprits in ((), everybody):
        hub = in_final_qa()
        hub.qa(ok=False)
        hub.send(CulpritsMarkFound(run="run1", oid="mgamma1", culprits=culprits))
        assert hub.run.ok is False and hub.run.commit is None and hub.left() == {}
        assert hub.run.error is not None and hub.run.error["code"] == "qa_passed"


def test_a_piece_that_cannot_be_composed_without_a_bad_one_is_left_out_next() -> None:
    hub = in_final_qa()
    hub.qa(ok=False)
    hub.send(CulpritsMarkFound(run="run1", oid="mgamma1", culprits=(LeftOut(piece="gamma", reason="t::x"),)))
    refused = (LeftOut(piece="beta", reason="it changes the same lines as gamma"),)
    hub.send(MergeMarkRebuilt(run="run1", instead_of="mgamma1", oid="r1", refused=refused))
    assert set(hub.left()) == {"beta", "gamma"} and hub.run.working_oid == "mgamma1"
    last = needed(hub.workspace)[-1]
    assert last == RebuildComposition("run1", "mgamma1", ("beta", "gamma")), "the effect is another one"


def test_a_review_of_the_whole_that_blames_a_piece_in_the_last_round_leaves_it_out() -> None:
    hub = all_merged()
    hub.whole("src/a/x.py", "src/b/x.py", "src/c/x.py")
    hub.approve("reject", **REJECTED)
    assert set(hub.left()) == {"beta", "gamma"} and hub.run.needs_rebuild


def test_the_verdict_on_a_composition_that_is_being_replaced_decides_nothing() -> None:
    hub = all_merged()
    hub.whole("src/a/x.py", "src/b/x.py", "src/c/x.py")
    hub.send(MergeApply(leave_out=("gamma",)), THE_PERSON)
    hub.approve("reject", **REJECTED)
    assert set(hub.left()) == {"gamma"} and hub.run.is_open


def test_a_check_of_what_is_being_replaced_asks_for_no_review() -> None:
    hub = all_merged()
    hub.send(MergeApply(leave_out=("gamma",)), THE_PERSON)
    hub.whole("src/a/x.py", "src/b/x.py")
    assert hub.run.composition_review is None


def test_the_foundation_cannot_be_left_out() -> None:
    hub = Partial({**FREE, "foundation": {"brief": "f", "partition": ["src/base/**"]}})
    (builder,) = hub.living("commander")
    hub.bring_up(builder)
    with pytest.raises(Refused, match="foundation cannot be left out"):
        hub.send(MergeApply(leave_out=("foundation",)), THE_PERSON)
    hub.submit(builder, "f1")
    hub.check("foundation", "f1", ("src/b/foreign.py",))
    assert hub.run.ok is False and hub.run.error is not None and hub.run.error["code"] == "rounds"


def test_what_a_person_may_ask_for_is_checked() -> None:
    hub = Partial(partial=False)
    with pytest.raises(UsageError, match="no piece delta"):
        hub.send(MergeApply(leave_out=("delta",)), THE_PERSON)
    with pytest.raises(Refused, match="no feature would be kept"):
        hub.send(MergeApply(leave_out=("alpha", "beta")), THE_PERSON)
    assert not hub.run.may_be_partial
    hub.send(MergeApply(), THE_PERSON)
    assert hub.run.partial_by == THE_PERSON.agent_id and hub.left() == {}
    before = len(hub.log)
    hub.send(MergeApply(), THE_PERSON)
    assert len(hub.log) == before, "it is allowed already"


def test_a_run_that_is_being_committed_keeps_its_pieces() -> None:
    hub = in_final_qa()
    hub.qa(ok=True)
    assert hub.at() is Stage.DONE
    with pytest.raises(Refused, match="is being committed"):
        hub.send(MergeApply(leave_out=("gamma",)), THE_PERSON)


def test_a_merge_that_was_under_way_when_its_piece_was_left_out_is_not_recorded() -> None:
    hub = Partial()
    (beta,) = hub.begin("beta")
    hub.submit(beta, "b1")
    hub.check("beta", "b1", ("src/b/x.py",))
    hub.approve()
    assert hub.run.merge_queue == ["beta"]
    hub.send(MergeApply(leave_out=("beta",)), THE_PERSON)
    assert hub.run.merge_queue == []
    hub.send(MergeMarkApplied(run="run1", piece="beta", head_oid="b1", oid="mb1"))
    assert hub.run.working_oid == hub.run.facts.base_oid


def test_pieces_that_come_together_again_are_not_asked_for_a_second_round() -> None:
    """The branches of workers still have what was left out; what fails after that is left out too, or ends the run."""
    hub = in_final_qa(max_rounds=1)
    hub.send(MergeApply(leave_out=("gamma",)), THE_PERSON)
    hub.send(MergeMarkRebuilt(run="run1", instead_of="mgamma1", oid="r1"))
    hub.whole("src/a/x.py", "src/b/x.py")
    hub.approve()
    hub.qa(ok=False, blamed=("beta",))
    assert hub.run.round == 0 and hub.run.is_splitting
