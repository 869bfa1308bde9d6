"""The rules between the fields of a spec (SPEC-2, SPEC-5)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.spec.document import Spec, SpecTask, check_spec, count_progress


def spec(**fields: Any) -> Spec:
    return Spec.model_validate({"id": "spec-2026-11-30-001", "metadata": {"title": "A"}, **fields})


def task(name: str, *needs: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "title": name, "dependencies": needs, **fields}


def test_a_spec_with_nothing_but_a_title_is_valid() -> None:
    assert check_spec(spec()) == []


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"id": "a b"}, ("id",), "is not a spec id"),
        ({"dependencies": ["../x"]}, ("dependencies", 0), "is not a spec id"),
        ({"dependencies": ["x", "spec-2026-11-30-001"]}, ("dependencies", 1), "cannot depend on itself"),
        ({"tasks": [task("T1"), task("T1")]}, ("tasks", 1, "id"), "T1 is already the id of tasks[0]"),
        ({"tasks": [task("T/1")]}, ("tasks", 0, "id"), "is not an id"),
        ({"tasks": [task("T1", "T2")]}, ("tasks", 0, "dependencies", 0), "there is no task T2"),
        ({"tasks": [task("T1", files=["a", "[b"])]}, ("tasks", 0, "files", 1), ""),
        (
            {"tasks": [task("A"), task("B", "D"), task("C", "B"), task("D", "C")]},
            ("tasks", 1, "dependencies"),
            "B -> D -> C -> B",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_place(fields: dict[str, Any], place: tuple[object, ...], words: str) -> None:
    (issue,) = check_spec(spec(**fields))
    assert issue.place == place
    assert words in issue.message


def test_progress_counts_tasks_but_not_cancelled_ones() -> None:
    statuses = ["completed", "completed", "in-progress", "failed", "blocked", "pending", "cancelled"]
    progress = count_progress([SpecTask(id=str(n), title="x", status=status) for n, status in enumerate(statuses)])
    assert progress.model_dump() == {
        "total": 6,
        "completed": 2,
        "inProgress": 1,
        "failed": 1,
        "blocked": 1,
        "pending": 1,
        "percentage": 33.3,
    }
    assert count_progress([]).percentage == 0
