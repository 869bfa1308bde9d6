"""The table of runs applies any event of a log, also one that no rule would have made (HUB-5)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.ids import HUB
from aegis_tui.domain.piece.events import MergeApplied, MergeQueued, MergeRejected, PieceReopened
from aegis_tui.domain.run.events import RunEvent, RunFacts, RunOptions, RunStarted
from aegis_tui.domain.run.table import RunTable


@pytest.mark.parametrize(
    "data",
    [
        MergeQueued(run="run1", piece="none", head_oid="a"),
        MergeApplied(run="run1", piece="none", head_oid="a", oid="b"),
        MergeRejected(run="run1", piece="none", reason=""),
        PieceReopened(run="run1", piece="none", reason="", fresh=True),
    ],
    ids=lambda data: data.type,
)
def test_an_event_about_an_unknown_piece_changes_nothing(data: RunEvent) -> None:
    table = RunTable()
    facts = RunFacts(workspace="w", base_oid="0", base_branch=None)
    table.evolve(HUB, RunStarted(run="run1", goal="g", options=RunOptions(), facts=facts))
    before = table.dump()
    table.evolve(HUB, data)
    assert table.dump() == before
