"""Suggested partitions: few imports are cut, parts are balanced, globs are exclusive, every file has its place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.partition.cutting import cut_graph
from aegis_tui.domain.partition.folders import count_cut, split_by_folders
from aegis_tui.domain.partition.model import ChangeHistory, ProjectFile, Suggestion
from aegis_tui.domain.partition.suggest import suggest_parts
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.domain.run.design import Design, Feature, Foundation, check_design

NOTHING = ChangeHistory()


def places(found: Suggestion, path: str) -> list[str]:
    """Return what owns a path: the names of parts, and the places of files outside."""
    globs = [(part.name, glob) for part in found.parts for glob in part.globs]
    globs += [(item.where, item.glob) for item in found.outside]
    return [owner for owner, glob in globs if compile_glob(glob).matches(path)]


def project(areas: int = 3, files: int = 8, seed: int = 1) -> list[ProjectFile]:
    """Return files of several areas that import within their area, spread over folders that hide this."""
    chance = random.Random(seed)
    where = {(area, at): f"src/f{chance.randrange(4)}/a{area}_{at}.py" for area in range(areas) for at in range(files)}
    found = []
    for (area, at), path in where.items():
        imports = {where[area, (at + step) % files] for step in (1, 2, 3)} - {path}
        found.append(ProjectFile(path, 100, True, tuple(sorted(imports))))
    return found


def test_files_that_import_each_other_come_into_one_part_whatever_their_folders() -> None:
    found = suggest_parts(project(), NOTHING, 3)
    assert (found.imports, found.cut) == (72, 0)
    assert sorted(part.files for part in found.parts) == [8, 8, 8]
    assert all("imports: 24 inside, 0 to or from other parts" in part.reason for part in found.parts)


def test_a_large_part_stays_whole_if_even_parts_would_cut_more_than_a_split_by_folders() -> None:
    large, small = [f"app/m{at}.py" for at in range(14)], [f"tool/t{at}.py" for at in range(6)]
    files = [
        ProjectFile(path, 100, True, tuple(sorted({folder[at - 1], folder[at - 2], folder[at - 3]})))
        for folder in (large, small)
        for at, path in enumerate(folder)
    ]
    found = suggest_parts(files, NOTHING, 2)
    assert (found.cut, sorted(part.files for part in found.parts)) == (0, [6, 14])


def test_a_split_by_folders_divides_the_largest_and_puts_the_smallest_together() -> None:
    paths = ["big/a/x.py", "big/a/y.py", "big/b/x.py", "big/main.py", "one/x.py", "setup.py"]
    files = [ProjectFile(path, 100, True, ("setup.py",)) for path in paths]
    parts = split_by_folders(files, 4)
    groups: dict[int, list[str]] = {}
    for path in sorted(parts):
        groups.setdefault(parts[path], []).append(path)
    assert sorted(groups.values())[0] == ["big/a/x.py", "big/a/y.py"]
    assert len(groups) == 4
    assert count_cut(files, parts) == sum(parts[path] != parts["setup.py"] for path in paths)
    assert count_cut(files, {"setup.py": 0, "one/x.py": 1}) == 1
    assert set(split_by_folders(files[:1], 3)) == {"big/a/x.py"}


def test_files_that_commits_change_together_come_into_one_part() -> None:
    files = [ProjectFile(f"src/{name}.py", 50, True) for name in "abcdef"]
    commits = [("src/a.py", "src/d.py"), ("src/b.py", "src/e.py"), ("src/c.py", "src/f.py")] * 4
    found = suggest_parts(files, ChangeHistory(tuple(commits)), 3)
    assert {part.globs for part in found.parts} == {
        ("src/a.py", "src/d.py"),
        ("src/b.py", "src/e.py"),
        ("src/c.py", "src/f.py"),
    }
    assert "1 pair of files often changed together" in found.parts[0].reason


def test_a_file_that_many_import_is_in_no_part_and_says_why() -> None:
    files = [*project(), ProjectFile("src/base.py", 10, True), ProjectFile("src/names.py", 10, True)]
    files = [item._replace(imports=(*item.imports, "src/base.py", "src/names.py")) for item in files[:-2]] + files[-2:]
    commits = tuple(("src/names.py", f"src/f{at % 4}/x.py") for at in range(20))
    found = suggest_parts(files, ChangeHistory(commits), 3)
    outside = {item.glob: item for item in found.outside}
    assert outside["src/base.py"].where == "foundation" and "24 files import it" in outside["src/base.py"].reason
    assert outside["src/names.py"].where == "joint" and "20 of 20 commits" in outside["src/names.py"].reason


def test_files_that_are_no_code_follow_the_code_around_them_or_say_where_they_go() -> None:
    files = [
        *(ProjectFile(f"{folder}/{at}.py", 90, True) for folder in ("one", "two") for at in range(3)),
        ProjectFile("one/data/table.csv", 0, False),
        ProjectFile("docs/guide.rst", 0, False),
        ProjectFile("docs/logo.svg", 0, False),
        ProjectFile("docs/more.md", 0, False),
        ProjectFile("Makefile", 0, False),
    ]
    found = suggest_parts(files, NOTHING, 2)
    assert places(found, "one/data/table.csv") == places(found, "one/0.py") == ["one"]
    assert (places(found, "docs/logo.svg"), places(found, "Makefile")) == (["joint"], ["shared"])
    assert {part.globs for part in found.parts} == {("one/**",), ("two/**",)}


def test_there_are_no_more_parts_than_files_of_code() -> None:
    found = suggest_parts([ProjectFile("a.py", 5, True), ProjectFile("b.py", 5, True)], NOTHING, 5)
    assert (len(found.parts), found.notes) == (2, ("there is code for 2 parts only",))
    assert suggest_parts([], NOTHING, 2).parts == ()


def test_what_no_design_may_name_gets_no_glob() -> None:
    files = [
        ProjectFile(".agents/specs/tool.py", 9, True),
        ProjectFile(".agents/tool.py", 9, True),
        ProjectFile("a\u202e/x.py", 9, True),
        ProjectFile("src/new\nline.py", 9, True),
        ProjectFile("src/plain.py", 9, True),
    ]
    found = suggest_parts(files, NOTHING, 1)
    assert found.parts[0].globs == (".agents/tool.py", "src/plain.py")
    assert "3 files cannot be part of a design" in found.notes[0]


def test_a_repository_that_ignores_case_gets_no_two_globs_that_differ_in_case() -> None:
    files = [ProjectFile("Lib/a.py", 90, True), ProjectFile("lib/A.py", 90, True), ProjectFile("web/b.py", 90, True)]
    found = suggest_parts(files, NOTHING, 2, ignore_case=True)
    globs = [(part.name, compile_glob(glob, ignore_case=True)) for part in found.parts for glob in part.globs]
    assert not any(overlap(a, b) for (one, a), (other, b) in combinations(globs, 2) if one != other)


def as_design(found: Suggestion) -> Design:
    features = [Feature(id=part.name, title="t", brief="b", partition=part.globs) for part in found.parts]
    outside = {
        where: tuple(item.glob for item in found.outside if item.where == where)
        for where in ("joint", "shared", "foundation")
    }
    foundation = Foundation(brief="b", partition=outside["foundation"]) if outside["foundation"] else None
    return Design(
        goal="g", foundation=foundation, features=tuple(features), joint=outside["joint"], shared=outside["shared"]
    )


NAMES = st.sampled_from(["a", "b", "c", "d[1]", "e*", "!f", "ä", "g{h}", '"q', "lat\udce9", "i,j", ".k"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@settings(max_examples=150, deadline=None)
@given(paths=st.lists(PATHS, min_size=1, max_size=40, unique=True), parts=st.integers(1, 6), seed=st.integers(0, 999))
def test_every_file_is_in_one_place_and_no_two_globs_share_a_path(paths: Sequence[str], parts: int, seed: int) -> None:
    chance = random.Random(seed)
    names = [write_name(path) for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    files = [
        ProjectFile(
            path,
            chance.randrange(300),
            chance.random() < 0.8,
            tuple(sorted({chance.choice(names) for _ in range(3)} - {path})),
        )
        for path in names
    ]
    commits = tuple(tuple(chance.sample(names, min(len(names), 3))) for _ in range(30))
    found = suggest_parts(files, ChangeHistory(commits), parts)
    assert found == suggest_parts(list(reversed(files)), ChangeHistory(commits), parts)
    for path in names:
        assert len(places(found, path)) == 1
    if found.parts:
        assert check_design(as_design(found)) == []


def test_groups_of_a_graph_are_balanced_and_cut_little() -> None:
    chance = random.Random(3)
    edges = {}
    for block in range(5):
        for _ in range(400):
            a, b = sorted(chance.sample(range(block * 60, block * 60 + 60), 2))
            edges[a, b] = 1.0
    for _ in range(60):
        a, b = sorted(chance.sample(range(300), 2))
        edges.setdefault((a, b), 1.0)
    groups = cut_graph([1 + at % 7 for at in range(300)], edges, 5)
    cut = sum(groups[a] != groups[b] for a, b in edges)
    sizes = [sum(1 + at % 7 for at in range(300) if groups[at] == group) for group in range(5)]
    assert cut <= 60
    assert max(sizes) <= 1.3 * sum(sizes) / 5


def test_many_files_in_one_folder_give_few_enough_globs_for_a_design() -> None:
    files = [ProjectFile(f"src/m{at}.py", 40, True, (f"src/m{(at * 7) % 1500}.py",)) for at in range(1500)]
    files += [ProjectFile(f"web/p{at}/m.py", 40, True) for at in range(300)]
    found = suggest_parts([item._replace(imports=tuple(set(item.imports) - {item.path})) for item in files], NOTHING, 4)
    assert check_design(as_design(found)) == []
