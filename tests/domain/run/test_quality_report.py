from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.piece.events import PieceChecked
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.run.quality_report import QualityTally


def checked(piece: str, used: int, unknown: int) -> PieceChecked:
    counts: dict[str, Any] = {"names_used": used, "names_unknown": unknown}
    return PieceChecked(run="run1", piece=piece, head_oid="1", ok=True, files=(), **counts)


def finished(number: int, *, ok: bool, blamed: tuple[str, ...] = ()) -> QaFinished:
    return QaFinished(run="run1", round=number, tree="1", oid="2", ok=ok, checks=(), blamed=blamed)


def test_only_the_first_submission_of_a_piece_counts() -> None:
    tally = QualityTally()
    for event in (checked("a", 30, 3), checked("b", 10, 1), checked("a", 100, 0)):
        tally.take(event)
    assert tally.report(2) == {
        "names_used": 40,
        "names_unknown": 4,
        "unknown_name_rate": 0.1,
        "first_pass_qa_rate": None,
    }


@pytest.mark.parametrize(
    ("first", "rate"),
    [
        (finished(1, ok=True), 1.0),
        (finished(1, ok=False, blamed=("a",)), 0.75),
        (finished(1, ok=False), 0.0),
    ],
)
def test_only_the_first_round_of_qa_counts(first: QaFinished, rate: float) -> None:
    tally = QualityTally()
    tally.take(first)
    tally.take(finished(2, ok=not first.ok))
    assert tally.report(4)["first_pass_qa_rate"] == rate
    assert tally.report(4)["unknown_name_rate"] is None
