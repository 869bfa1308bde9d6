"""Which status of a spec may follow which (SPEC-10)."""

from __future__ import annotations

from typing import get_args

import pytest

from aegis_tui.domain.spec.model import ENDED, SpecStatus
from aegis_tui.domain.spec.transition import TRANSITIONS, By, check_transition, followers
from aegis_tui.errors import Refused

STATUSES: tuple[SpecStatus, ...] = get_args(SpecStatus)


@pytest.mark.parametrize("by", get_args(By))
def test_exactly_the_steps_of_the_table_are_allowed(by: By) -> None:
    for now in STATUSES:
        for later in STATUSES:
            if now == later or by in TRANSITIONS.get((now, later), ()):
                check_transition("s", now, later, by=by)
            else:
                with pytest.raises(Refused) as refused:
                    check_transition("s", now, later, by=by)
                assert refused.value.code == "spec.transition"
                assert refused.value.hint


def test_work_starts_only_after_a_person_has_approved_it() -> None:
    assert TRANSITIONS["draft", "approved"] == TRANSITIONS["review", "approved"] == {"person"}
    assert [now for (now, later) in TRANSITIONS if later == "planning"] == ["approved"]


def test_every_status_can_be_reached_and_left_unless_it_is_completed() -> None:
    assert {later for _, later in TRANSITIONS} == set(STATUSES)
    assert [status for status in STATUSES if not followers(status, "person") and not followers(status, "hub")] == [
        "completed"
    ]


def test_a_spec_that_has_not_ended_can_be_cancelled_by_a_person_and_fail_once_it_is_approved() -> None:
    for status in set(STATUSES) - ENDED:
        assert "cancelled" in followers(status, "person")
        assert ("failed" in followers(status, "hub")) == (status not in ("draft", "review"))
