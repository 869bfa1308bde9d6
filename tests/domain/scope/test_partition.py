from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.scope.partition import Overlap, PartitionTable, Verdict, find_overlaps
from aegis_tui.errors import Refused

API, UI = "NATIVE-w01", "CLAUDE-w02"


@pytest.fixture
def table() -> PartitionTable:
    table = PartitionTable()
    table.set(API, ["src/api/**", "tests/api/"])
    table.set(UI, ["src/ui/**"])
    table.set_scope(shared=["docs/**"], joint=["CHANGELOG.md"])
    return table


def decided(verdict: Verdict) -> tuple[bool, str, str | None, bool]:
    return verdict.allowed, verdict.rule, verdict.owner, verdict.needs_lock


def test_overlaps_name_both_globs_both_owners_and_a_path() -> None:
    owners = {"api": ["src/**", "lib/x.py"], "ui": ["web/**", "**/*.py"], "db": ["sql/**"]}
    first, second, third = find_overlaps(owners)
    assert first == Overlap(a="src/**", b="**/*.py", owners=("api", "ui"), witness="src/a.py")
    assert (second.a, second.b, second.witness) == ("lib/x.py", "**/*.py", "lib/x.py")
    assert (third.owners, third.witness) == (("ui", "db"), "sql/a.py")


def test_globs_of_one_owner_may_overlap_each_other() -> None:
    assert find_overlaps({"api": ["src/**", "src/api/**"], "ui": ["web/**"]}) == []


def test_case_makes_an_overlap_only_where_git_ignores_case() -> None:
    owners = {"a": ["문서/Read.md"], "b": ["문서/READ.md"]}
    assert find_overlaps(owners) == []
    assert [found.witness for found in find_overlaps(owners, ignore_case=True)] == ["문서/read.md"]


def test_a_bad_glob_is_refused_before_anything_is_compared() -> None:
    with pytest.raises(Refused, match="absolute"):
        find_overlaps({"a": ["/etc"], "b": ["x"]})


def test_fifty_instances_with_eight_globs_are_compared_in_few_steps() -> None:
    owners = {f"w{n}": [f"src/f{n}/**", f"tests/f{n}_*.py", f"**/f{n}_?.ts", f"docs/*/f{n}.md"] * 2 for n in range(50)}
    overlaps = find_overlaps(owners, effort=Effort(6_000_000))  # 4.6 million steps, about 0.3 s
    assert overlaps
    assert all(compile_glob(o.a).matches(o.witness) and compile_glob(o.b).matches(o.witness) for o in overlaps)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/api/a.py", (True, "own", API, False)),
        ("tests/api/deep/a.py", (True, "own", API, False)),
        ("src/ui/a.ts", (False, "foreign", UI, False)),
        ("docs/a.md", (False, "shared", None, False)),
        ("CHANGELOG.md", (True, "joint", None, True)),
        ("setup.py", (False, "unowned", None, False)),
        (".agents/specs/active/x.md", (False, "specs", None, False)),
        (".agents/specs", (False, "specs", None, False)),
        (".Agents", (False, "specs", None, False)),
        ("src/api/../ui/a.ts", (False, "unowned", None, False)),
        ("/src/api/a.py", (False, "unowned", None, False)),
        ("", (False, "unowned", None, False)),
    ],
)
def test_a_write_is_decided_by_the_first_rule_that_knows_the_path(
    table: PartitionTable, path: str, expected: tuple[bool, str, str | None, bool]
) -> None:
    assert decided(table.verdict(API, path)) == expected


def test_a_foreign_path_is_refused_with_its_owner(table: PartitionTable) -> None:
    assert table.verdict(API, "src/ui/a.ts").message == f"src/ui/a.ts belongs to {UI}"


def test_a_grant_opens_one_path_under_a_lock_for_both(table: PartitionTable) -> None:
    table.grant(API, "src/ui/a.ts")
    assert decided(table.verdict(API, "src/ui/a.ts")) == (True, "granted", UI, True)
    assert decided(table.verdict(API, "src/ui/b.ts")) == (False, "foreign", UI, False)
    assert decided(table.verdict(UI, "src/ui/a.ts")) == (True, "own", UI, True)


def test_a_granted_path_of_nobody_needs_a_lock_only_when_granted_twice(table: PartitionTable) -> None:
    table.grant(API, "setup.py")
    assert decided(table.verdict(API, "setup.py")) == (True, "granted", None, False)
    table.grant(UI, "setup.py")
    assert decided(table.verdict(API, "setup.py")) == (True, "granted", None, True)


@pytest.mark.parametrize("path", [".agents/specs/x.md", ".Agents/Specs/x.md", ".git/config", "src/.GIT/hooks/x"])
def test_no_partition_and_no_grant_opens_specs_or_git(path: str) -> None:
    table = PartitionTable()
    table.set(API, ["**"])
    table.grant(API, path)
    assert not table.verdict(API, path).allowed


def test_a_path_is_the_same_in_every_unicode_form() -> None:
    table = PartitionTable()
    table.set(API, ["문서/**"])
    decomposed = "문서/x"
    assert table.owner_of(decomposed) == API
    table.grant(UI, decomposed)
    assert table.verdict(UI, "문서/x").rule == "granted"


def test_case_is_ignored_for_partitions_and_grants_where_git_ignores_it() -> None:
    table = PartitionTable(ignore_case=True)
    table.set(API, ["Src/**"])
    table.grant(UI, "src/A.py")
    assert table.owner_of("sRC/x") == API
    assert table.verdict(UI, "SRC/a.PY").rule == "granted"


def test_a_new_partition_replaces_the_old_one_and_a_removed_instance_owns_nothing(table: PartitionTable) -> None:
    table.set(API, ["lib/**"])
    assert (table.owner_of("src/api/a.py"), table.owner_of("lib/a.py")) == (None, API)
    table.grant(API, "src/ui/a.ts")
    table.remove(API)
    assert table.owner_of("lib/a.py") is None
    assert not table.verdict(API, "src/ui/a.ts").allowed
    assert table.partitions == {UI: ("src/ui/**",)}


def test_a_refused_partition_leaves_the_table_as_it_was(table: PartitionTable) -> None:
    with pytest.raises(Refused):
        table.set(API, ["lib/**", "../x"])
    with pytest.raises(Refused):
        table.set_scope(shared=["x"], joint=["/y"])
    assert table.partitions[API] == ("src/api/**", "tests/api/")
    assert (table.shared, table.joint) == (("docs/**",), ("CHANGELOG.md",))


def test_a_wanted_partition_is_compared_with_all_others_and_both_lists(table: PartitionTable) -> None:
    found = table.overlaps_with(API, ["src/**", "docs/api.md", "*.md"])
    assert [(overlap.a, overlap.owners[1], overlap.witness) for overlap in found] == [
        ("src/**", UI, "src/ui/a"),
        ("docs/api.md", "shared", "docs/api.md"),
        ("*.md", "joint", "CHANGELOG.md"),
    ]
    assert table.overlaps_with(API, ["src/api/**"]) == []


def test_a_verdict_cannot_be_changed(table: PartitionTable) -> None:
    with pytest.raises(FrozenInstanceError):
        table.verdict(API, "x").allowed = True  # type: ignore[misc]  # the refusal is what is tested
