from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aegis_tui.domain.run.design import Design, DesignIssue, Feature, check_design, render_location, topological
from aegis_tui.errors import DesignRefused


def feature(name: str, *globs: str, needs: tuple[str, ...] = (), **fields: Any) -> Feature:
    partition = globs or (f"src/{name}/**",)
    return Feature(id=name, title=name, brief="일", partition=partition, depends_on=needs, **fields)


def design(*features: Feature, **fields: Any) -> Design:
    return Design.model_validate({"goal": "회의실 예약", "features": features, **fields})


def told(issues: list[DesignIssue]) -> list[tuple[str, str | None]]:
    return [(issue.field, issue.witness) for issue in issues]


def test_a_design_without_clashes_has_no_issues() -> None:
    plan = design(
        feature("api"),
        feature("ui", needs=("api",)),
        foundation={"brief": "b", "partition": ["src/core/**"]},
        shared=["src/core/**", "docs/**"],
        joint=["CHANGELOG.md"],
        qa={"commands": ["pytest -q"]},
    )
    assert check_design(plan, kinds=["native"]) == []


def test_overlapping_features_are_told_with_both_owners_and_a_path() -> None:
    (issue,) = check_design(design(feature("api", "src/**"), feature("ui", "web/**", "**/*.py")))
    assert (issue.field, issue.path) == ("features[1].partition[1]", ("features", 1, "partition", 1))
    assert issue.message == "'**/*.py' of ui overlaps 'src/**' of api, example path src/a.py"
    assert issue.overlap is not None
    assert issue.overlap.owners == ("api", "ui")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"shared": ["src/**"]}, [("shared[0]", "src/api/a")]),
        ({"joint": ["src/api/x.py"]}, [("joint[0]", "src/api/x.py")]),
        ({"shared": ["docs/**"], "joint": ["docs/a.md"]}, [("joint[0]", "docs/a.md")]),
        ({"foundation": {"brief": "b", "partition": ["src/**"]}}, [("features[0].partition[0]", "src/api/a")]),
        ({"foundation": {"brief": "b", "partition": ["x"]}, "joint": ["x"]}, [("joint[0]", "x")]),
        ({"foundation": {"brief": "b", "partition": ["x"]}, "shared": ["x"]}, []),
        ({"foundation": {"brief": "b", "partition": []}}, [("foundation.partition", None)]),
    ],
)
def test_lists_and_foundation_keep_their_distance(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(check_design(design(feature("api"), **fields))) == expected


def test_a_feature_named_like_a_list_is_compared_with_it_all_the_same() -> None:
    plan = design(feature("shared", "a"), feature("foundation", "b"), shared=["a", "b"])
    assert told(check_design(plan)) == [("shared[0]", "a"), ("shared[1]", "b")]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/etc/*", "absolute"),
        ("a/../b", "segment is .."),
        (".git/hooks/**", "touches .git"),
        (".git", "touches .git"),
        ("sub/.GIT/x", "touches .git"),
        (".g*/x", "touches .git"),
        (".agents/**", "touches .agents/specs"),
        (".agents/specs/a.md", "touches .agents/specs"),
    ],
)
def test_a_partition_that_nobody_may_have_is_refused(glob: str, expected: str) -> None:
    (issue,) = check_design(design(feature("api", "ok", glob)))
    assert issue.field == "features[0].partition[1]"
    assert expected in issue.message


@pytest.mark.parametrize("glob", ["**", "**/*.py", "*", ".github/**", ".agents/rules/x.toml", ".gitignore"])
def test_a_partition_that_aims_elsewhere_is_allowed(glob: str) -> None:
    assert check_design(design(feature("api", glob))) == []


def test_ids_dependencies_kinds_and_empty_partitions_are_checked() -> None:
    plan = design(
        feature("api", kind="nativ"),
        feature("api", "b", needs=("apj",)),
        feature("foundation", "c"),
        Feature(id="ui", title="t", brief="b", partition=()),
        foundation={"brief": "b", "partition": ["d"]},
    )
    issues = {issue.field: issue.message for issue in check_design(plan, kinds=["native", "codex"])}
    assert issues == {
        "features[1].id": "the id api is already used by features[0]",
        "features[2].id": "the id foundation is reserved for the foundation itself",
        "features[0].kind": "unknown kind 'nativ'; did you mean native? (known: codex, native)",
        "features[1].depends_on[0]": "there is no feature 'apj'; did you mean api?",
        "features[3].partition": "the partition is empty: its worker could write nothing",
    }


@pytest.mark.parametrize(
    ("edges", "cycles"),
    [
        ({"a": ["a"]}, ["a -> a"]),
        ({"a": ["b"], "b": ["a"]}, ["a -> b -> a"]),
        ({"x": ["c"], "a": ["b"], "b": ["c"], "c": ["a"]}, ["a -> b -> c -> a"]),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c", "a"]}, ["a -> b -> a", "c -> d -> c"]),
        ({"a": ["b"], "b": ["a", "c"], "c": ["a"]}, ["a -> b -> a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
    ],
)
def test_a_cycle_is_told_with_its_path(edges: dict[str, list[str]], cycles: list[str]) -> None:
    features = [feature(name, needs=tuple(needs)) for name, needs in edges.items()]
    issues = check_design(design(*features))
    assert [issue.message for issue in issues] == [f"the dependencies form a cycle: {cycle}" for cycle in cycles]
    if cycles:
        with pytest.raises(DesignRefused, match=cycles[0]):
            topological(features)


def test_case_folding_finds_what_a_macos_disk_would_mix_up() -> None:
    plan = design(feature("api", "Src/**"), feature("ui", "src/x"))
    assert check_design(plan) == []
    assert told(check_design(plan, ignore_case=True)) == [("features[1].partition[0]", "src/x")]


def test_features_are_ordered_by_need_and_then_as_written() -> None:
    features = [feature("d", needs=("b",)), feature("c"), feature("b"), feature("a", needs=("c", "b"))]
    assert topological(features) == ["c", "b", "d", "a"]


@st.composite
def graphs(draw: st.DrawFn) -> list[Feature]:
    names = [f"f{n}" for n in range(draw(st.integers(1, 7)))]
    return [
        feature(name, needs=tuple(draw(st.lists(st.sampled_from(names), max_size=2, unique=True)))) for name in names
    ]


def reachable(features: list[Feature], start: str) -> set[str]:
    needs = {item.id: item.depends_on for item in features}
    found: set[str] = set()
    pending = list(needs[start])
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(needs[name])
    return found


@given(graphs())
@pytest.mark.thorough
@settings(derandomize=True, deadline=None, max_examples=300)
def test_a_graph_has_either_an_order_or_a_cycle_that_is_told(features: list[Feature]) -> None:
    on_cycle = {item.id for item in features if item.id in reachable(features, item.id)}
    issues = [issue for issue in check_design(design(*features)) if "cycle" in issue.message]
    assert bool(issues) == bool(on_cycle)
    for issue in issues:
        path = issue.message.partition(": ")[2].split(" -> ")
        needs = {item.id: item.depends_on for item in features}
        assert path[0] == path[-1] and all(b in needs[a] for a, b in itertools.pairwise(path))
    if not on_cycle:
        expected: list[str] = []
        while len(expected) < len(features):
            waiting = [item for item in features if item.id not in expected]
            expected.append(next(item.id for item in waiting if set(item.depends_on) <= set(expected)))
        assert topological(features) == expected


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "a b", "a/b", "a\n", "../x", "한글", "a" * 42])
def test_an_id_that_is_no_safe_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        feature(name, "x")


def test_a_design_needs_a_feature_and_qa_needs_a_command() -> None:
    with pytest.raises(ValidationError):
        design()
    with pytest.raises(ValidationError):
        design(feature("a"), qa={"commands": []})


def test_a_place_reads_as_a_person_writes_it() -> None:
    assert render_location(("features", 1, "partition", 0)) == "features[1].partition[0]"
    assert render_location(()) == ""
