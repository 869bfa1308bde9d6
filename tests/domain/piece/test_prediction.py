"""What is recorded of conflicts that are predicted between uncommitted work (GIT-2)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.decision import THE_HUB, THE_PERSON
from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.events import ConflictDetected, ConflictResolved
from aegis_tui.domain.piece.model import PieceStatus
from tests.frozen.scenes import Play

PATH = "src/routes.py"
HOT = {"a": "alpha", "b": "beta", "path": PATH, "kind": "hot", "hunks": 1, "text": "<<<<<<< alpha", "ours": "1"}
SOFT = {"a": "alpha", "b": "beta", "path": PATH, "kind": "soft"}
BOTH = [["alpha", "beta"]]
ID = f"alpha~beta:{PATH}"


@pytest.fixture
def run() -> Play:
    """A run in which two features are being worked on."""
    run = Play()
    run.start()
    run.bring_up()
    run.land("foundation", "f1", ["src/base/x.py"])
    run.bring_up()
    return run


def predict(run: Play, overlaps: list[dict[str, Any]], compared: list[list[str]] = BOTH) -> list[Event]:
    before = len(run.log)
    run.do(THE_HUB, "conflicts:observed", run="run1", overlaps=overlaps, compared=compared)
    return run.log[before:]


def kinds(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def resolution(run: Play) -> str | None:
    return run.found.conflicts[ID].resolution


def test_a_hot_conflict_is_told_once_to_both_workers(run: Play) -> None:
    events = predict(run, [HOT])
    assert kinds(events) == ["conflict:detected", "message:sent", "message:sent"]
    notes = [event.data for event in events if isinstance(event.data, MessageSent)]
    alpha, beta = (run.worker(name).agent_id for name in ("alpha", "beta"))
    assert [note.to for note in notes] == [alpha, beta]
    assert f"{PATH}: beta ({beta}) is changing the same lines as you (1 place)" in notes[0].text
    assert notes[0].kind == "note"
    assert predict(run, [HOT]) == []
    (again,) = predict(run, [{**HOT, "hunks": 2, "text": "more"}])
    assert isinstance(again.data, ConflictDetected) and again.data.text == "more"


def test_a_soft_overlap_is_recorded_without_a_message(run: Play) -> None:
    assert kinds(predict(run, [SOFT])) == ["conflict:detected"]
    assert kinds(predict(run, [HOT])) == ["conflict:detected", "message:sent", "message:sent"]
    assert kinds(predict(run, [SOFT])) == ["conflict:detected"]
    assert run.found.conflicts[ID].kind == "soft"


def test_a_conflict_that_is_gone_is_resolved_and_may_come_again(run: Play) -> None:
    predict(run, [HOT])
    (gone,) = predict(run, [])
    assert isinstance(gone.data, ConflictResolved) and gone.data.resolution == "none"
    assert predict(run, []) == []
    assert kinds(predict(run, [HOT])) == ["conflict:detected", "message:sent", "message:sent"]
    assert resolution(run) is None


def test_a_pair_that_was_not_compared_keeps_its_conflict(run: Play) -> None:
    predict(run, [HOT])
    assert predict(run, [], [["alpha", "gamma"], ["", "alpha"], ["", "beta"]]) == []
    assert resolution(run) is None


def test_a_conflict_with_merged_work_ends_as_rebased_and_opens_the_gate(run: Play) -> None:
    predict(run, [HOT])
    run.land("alpha", "a1", ["src/a/x.py"])
    assert resolution(run) is None
    assert kinds(predict(run, [HOT], [["", "beta"]])) == []
    assert kinds(predict(run, [], [["", "beta"]])) == ["conflict:resolved"]
    assert resolution(run) == "rebased"


def test_the_worker_of_unmerged_work_alone_is_told_of_a_conflict_with_merged_work(run: Play) -> None:
    run.land("alpha", "a1", ["src/a/x.py"])
    events = predict(run, [HOT], [["", "beta"]])
    assert [event.data.to for event in events if isinstance(event.data, MessageSent)] == [run.worker("beta").agent_id]
    assert "git rebase aegis/run1/integration" in events[1].data.text  # type: ignore[union-attr]  # it is a message


@pytest.mark.parametrize(("rejections", "how"), [(0, "merged"), (1, "rebased")])
@pytest.mark.parametrize("first", ["alpha", "integration"])
def test_merging_the_last_side_ends_a_conflict_that_is_left(run: Play, first: str, rejections: int, how: str) -> None:
    run.land("alpha", "a1", ["src/a/x.py"])
    predict(run, [{**HOT, "a": first}], [["", "beta"]])
    run.found.pieces["beta"].rejections = rejections
    run.land("beta", "b1", ["src/b/x.py"])
    assert [item.resolution for item in run.found.conflicts.values()] == [how]


def test_a_comparison_that_comes_after_both_are_merged_records_nothing(run: Play) -> None:
    run.land("alpha", "a1", ["src/a/x.py"])
    run.land("beta", "b1", ["src/b/x.py"])
    assert run.found.pieces["beta"].status is PieceStatus.APPLIED
    assert predict(run, [HOT, {**HOT, "a": "integration"}], [["alpha", "beta"], ["", "beta"]]) == []


def test_a_comparison_with_a_piece_that_was_left_out_meanwhile_records_nothing(run: Play) -> None:
    predict(run, [HOT])
    run.found.pieces["beta"].status = PieceStatus.LEFT_OUT
    assert kinds(predict(run, [HOT, SOFT])) == ["conflict:resolved"]
    assert predict(run, [HOT]) == []


def test_what_a_person_has_settled_stays_settled_as_long_as_it_only_touches_the_file(run: Play) -> None:
    predict(run, [HOT])
    run.do(THE_PERSON, "conflict:resolve", conflict_id=ID, resolution="person")
    assert predict(run, [SOFT]) == []
    assert resolution(run) == "person"
