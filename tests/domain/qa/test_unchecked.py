"""A design without a check: refused, unless the person has said that nothing checks the result (FLOW-7)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.run.rules import checked_design
from aegis_tui.errors import DesignRefused

DESIGN: dict[str, Any] = {
    "goal": "g",
    "features": [{"id": "a", "title": "A", "brief": "B", "partition": ["src/**"]}],
}


def facts(*commands: str) -> RunFacts:
    return RunFacts(workspace="k", base_oid="0" * 40, base_branch="main", qa_commands=commands)


def test_a_design_without_any_check_is_refused_with_the_field_and_the_flags_that_help() -> None:
    with pytest.raises(DesignRefused, match="no QA command") as refused:
        checked_design(DESIGN, facts(), Effort())
    assert [issue["field"] for issue in refused.value.data["issues"]] == ["qa.commands"]
    assert "--check" in refused.value.hint and "--unchecked" in refused.value.hint


def test_the_persons_word_stands_for_the_check() -> None:
    assert checked_design(DESIGN, facts(), Effort(), unchecked=True).qa is None


def test_a_check_of_the_person_is_enough() -> None:
    assert checked_design(DESIGN, facts("test -f a"), Effort()).qa is None
