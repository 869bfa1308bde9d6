from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scripts.bench.product import checks_run, until_merged


def event(kind: str, at_s: float, **data: Any) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"type": kind, "timestamp": stamp, "data": data}


def test_the_time_of_checks_that_fall_into_a_pieces_own_does_not_count() -> None:
    checks = [{"duration_s": 0.25}, {"duration_s": 0.25}]
    log = [
        event("specs.diff-submitted", 10.0, specId="run1-a"),
        event("piece:tested", 11.0, piece="a", checks=checks),
        event("specs.diff-submitted", 10.75, specId="run1-b"),
        event("merge:applied", 12.0, piece="a"),
        event("piece:tested", 12.25, piece="b", checks=checks),
        event("merge:applied", 13.0, piece="b"),
    ]
    assert checks_run(log) == [(10.5, 11.0), (11.75, 12.25)]
    assert until_merged(log) == pytest.approx([2.0, 2.25])
    assert until_merged(log, without=checks_run(log)) == pytest.approx([2.0 - 0.5 - 0.25, 2.25 - 0.25 - 0.5])


def test_the_last_submission_counts_and_who_is_not_merged_does_not() -> None:
    log = [
        event("specs.diff-submitted", 1.0, specId="run1-a"),
        event("specs.diff-submitted", 3.0, specId="run1-a"),
        event("specs.diff-submitted", 3.0, specId="run1-b"),
        event("merge:applied", 4.0, piece="a"),
    ]
    assert until_merged(log) == pytest.approx([1.0])
