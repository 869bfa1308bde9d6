"""The older short form of a spec is upgraded without loss (SPEC-9)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.spec.document import Spec, check_spec
from aegis_tui.domain.spec.short_form import is_short, upgraded

WHOLE: dict[str, Any] = {
    "id": "2026-01-02-10-11-12-cart",
    "title": "Cart total",
    "priority": "high",
    "agents": ["claude-code", "native"],
    "acceptance": ["the total is right", "tests pass"],
    "context": {"files": ["src/cart.py"], "dependencies": ["httpx"], "env_vars": ["SHOP_KEY"]},
    "status": "approved",
    "assignedAgent": "NATIVE-w01",
}


def test_every_field_has_its_place() -> None:
    spec = Spec.model_validate(upgraded(WHOLE))
    assert check_spec(spec) == []
    assert (spec.id, spec.priority, spec.status) == ("2026-01-02-10-11-12-cart", "high", "approved")
    assert (spec.metadata.title, spec.metadata.createdAt) == ("Cart total", "2026-01-02T10:11:12Z")
    assert (spec.agents, spec.assignedAgent) == (("claude-code", "native"), "NATIVE-w01")
    assert spec.requirements[0].acceptanceCriteria == ("the total is right", "tests pass")
    assert spec.context is not None
    assert spec.context.model_dump() == {key: tuple(value) for key, value in WHOLE["context"].items()}
    assert [task.title for task in spec.tasks] == ["Cart total"]
    assert spec.metadata.extra == {}


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        ({"owner": "kim", "due": "monday"}, {"owner": "kim", "due": "monday"}),
        ({"priority": "7"}, {"priority": "7"}),
        ({"priority": "P1"}, {"priority": "P1"}),
        ({"status": "todo"}, {"status": "todo"}),
        ({"context": {"files": ["a"], "note": "x"}}, {"context": {"note": "x"}}),
        ({"context": "see the wiki"}, {"context": "see the wiki"}),
        ({"acceptance": [{"given": "a"}]}, {"acceptance": [{"given": "a"}]}),
    ],
)
def test_what_has_no_place_is_kept(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    spec = Spec.model_validate(upgraded({"id": "a", "title": "A", **fields}))
    assert dict(spec.metadata.extra) == extra


@pytest.mark.parametrize(
    ("written", "status"),
    [("todo", "approved"), ("done", "completed"), ("In_Progress", "in-progress"), ("?", "approved")],
)
def test_other_words_for_a_status_are_understood(written: str, status: str) -> None:
    assert upgraded({"id": "a", "title": "A", "status": written})["status"] == status


@pytest.mark.parametrize(
    ("data", "short"),
    [
        ({"id": "a", "title": "A"}, True),
        ({"id": "a", "acceptance": []}, True),
        ({"id": "a", "metadata": {"title": "A"}}, False),
        ({"id": "a"}, False),
        (["a"], False),
        (None, False),
    ],
)
def test_the_form_is_told_by_its_fields(data: object, short: bool) -> None:
    assert is_short(data) == short
