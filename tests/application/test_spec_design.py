"""A spec becomes the design of a run (SPEC-5)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.application.spec_design import design_of
from aegis_tui.domain.run.design import check_design
from aegis_tui.domain.spec.document import Spec
from aegis_tui.errors import Refused


def spec_of(*tasks: dict[str, Any], **more: Any) -> Spec:
    fields = {"id": "Cart.1", "metadata": {"title": "Cart", "description": "Members pay less."}, "tasks": list(tasks)}
    return Spec.model_validate({**fields, **more})


def test_tasks_that_name_files_of_their_own_become_features_with_their_dependencies() -> None:
    design = design_of(
        spec_of(
            {"id": "T1", "title": "Build", "files": ["src/cart/**"], "status": "completed"},
            {"id": "T2", "title": "Test", "files": ["tests/**"], "dependencies": ["T1", "result"]},
            {"id": "result", "title": "Say so", "files": ["docs/**"]},
        )
    )
    assert design.goal == "Cart"
    assert [(item.id, item.partition, item.depends_on) for item in design.features] == [
        ("t2", ("tests/**",), ("task-result",)),
        ("task-result", ("docs/**",), ()),
    ]
    assert all("Members pay less." in item.brief for item in design.features)
    assert check_design(design) == []


@pytest.mark.parametrize(
    ("tasks", "partition"),
    [
        ((), ("**",)),
        (({"id": "a", "title": "x"}, {"id": "b", "title": "y", "files": ["b/**"]}), ("**",)),
        (({"id": "a", "title": "x", "files": ["src/**"]}, {"id": "b", "title": "y", "files": ["src/b.py"]}),
         ("src/**", "src/b.py")),
        (({"id": "a", "title": "x", "files": ["a"]}, {"id": "A", "title": "y", "files": ["b"]}), ("a", "b")),
        (({"id": "a", "title": "x", "files": ["a/**"]},), ("a/**",)),
    ],
)  # fmt: skip
def test_otherwise_one_worker_does_the_whole_spec(
    tasks: tuple[dict[str, Any], ...], partition: tuple[str, ...]
) -> None:
    (feature,) = design_of(spec_of(*tasks)).features
    assert (feature.id, feature.title, feature.partition) == ("cart-1", "Cart", partition)
    assert all(f"- {task['id']}: {task['title']}" in feature.brief for task in tasks)


def test_the_brief_says_what_is_required_and_what_to_read() -> None:
    requirement = {"id": "R1", "description": "It is cheap.", "acceptanceCriteria": ["200 becomes 180."]}
    context = {"files": ["README.md"], "dependencies": ["httpx"], "env_vars": []}
    (feature,) = design_of(spec_of(requirements=[requirement], context=context), kind="codex").features
    for text in ("R1: It is cheap.", "200 becomes 180.", "README.md", "httpx"):
        assert text in feature.brief
    assert feature.kind == "codex"
    assert "kind" not in design_of(spec_of()).features[0].model_fields_set


def test_the_mode_says_how_many_workers_there_are() -> None:
    apart = ({"id": "a", "title": "x", "files": ["a/**"]}, {"id": "b", "title": "y", "files": ["b/**"]})
    for mode, workers in (("", 2), ("GCC", 2), ("GCC-RT", 2), ("PAR-MULTI", 2), ("SINGLE", 1)):
        assert len(design_of(spec_of(*apart, mode=mode)).features) == workers
    (one,) = design_of(spec_of(*apart, mode="SINGLE")).features
    assert one.partition == ("a/**", "b/**")


def test_one_worker_needs_no_comparison_of_the_tasks() -> None:
    many = [{"id": f"T{number}", "title": "x", "files": [f"f{number}.py"]} for number in range(1000)]
    with pytest.raises(Refused, match="too many steps"):
        design_of(spec_of(*many))
    assert len(design_of(spec_of(*many, mode="SINGLE")).features) == 1


@pytest.mark.parametrize("files", [[], ["a/x/**"]])
def test_tasks_that_cannot_be_built_at_once_are_refused_in_the_mode_for_it(files: list[str]) -> None:
    tasks = ({"id": "a", "title": "x", "files": ["a/**"]}, {"id": "b", "title": "y", "files": files})
    with pytest.raises(Refused, match="PAR-MULTI"):
        design_of(spec_of(*tasks, mode="PAR-MULTI"))
    assert len(design_of(spec_of(*tasks)).features) == 1
