"""Merge bases and sizes of trees that are worked out here are those that git finds (PERF-18)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.git import ancestry as module
from aegis_tui.adapters.git import tree_size
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.reader import ObjectReader
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.tree_size import TreeSizes, shape_of
from tests.adapters.git.conftest import Shell

Graph = list[tuple[list[int], int]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Commits in the order in which they are made: the numbers of the parents of each, and its date."""
    made: Graph = []
    has_order = draw(st.booleans())
    for number in range(draw(st.integers(2, 9))):
        parents = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else []
        made.append((parents, number if has_order else draw(st.integers(0, 5))))
    return made


def make(repo: Path, graph: Graph) -> list[str]:
    """Write the commits with `fast-import`, and return their ids."""
    lines: list[str] = []
    for number, (parents, date) in enumerate(graph, 1):
        lines += [f"commit refs/made/{number}", f"mark :{number}", f"committer A <a@b> {1700000000 + date} +0000"]
        lines += [f"data {len(str(number))}", str(number)]
        lines += [f"{'merge' if at else 'from'} :{parent + 1}" for at, parent in enumerate(parents)]
        lines += ["", f"reset refs/made/{number}", f"from :{number}", ""]
    marks = repo / "marks"
    argv = ["git", "fast-import", "--quiet", "--force", f"--export-marks={marks}"]
    subprocess.run(argv, cwd=repo, input="\n".join(lines).encode(), check=True, timeout=30)
    known = dict(line.split() for line in marks.read_text().splitlines())
    return [known[f":{number}"] for number in range(1, len(graph) + 1)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs())
def test_the_bases_of_any_two_commits_are_those_of_git(repo: Path, git: Shell, graph: Graph) -> None:
    oids = make(repo, graph)
    pairs = [(one, other) for one in oids for other in oids]

    async def ask() -> list[list[str] | None]:
        runner = GitRunner(git_dir=repo / ".git", cwd=repo)
        history = module.CommitGraph(ObjectReader(runner), repo / ".git")
        return [await history.find_bases(*pair) for pair in pairs]

    for pair, bases in zip(pairs, asyncio.run(ask()), strict=True):
        done = subprocess.run(
            ["git", "merge-base", "--all", *pair], cwd=repo, capture_output=True, text=True, timeout=30
        )
        wanted = done.stdout.split()
        has_order = all(graph[parent][1] < date for parents, date in graph for parent in parents)
        assert bases in ([None] if len(wanted) > 1 else [wanted] if has_order else [wanted, None])


def count(runner: GitRunner) -> list[tuple[str, ...]]:
    """The commands that the runner has started since, without those that answer questions about objects."""
    started: list[tuple[str, ...]] = []
    run = runner.run

    async def counting(*args: str, **options: object) -> object:
        started.append(args)
        return await run(*args, **options)  # type: ignore[arg-type]

    runner.run = counting  # type: ignore[method-assign, assignment]
    return started


def test_no_git_is_started_for_the_bases_of_pieces(repo: Path, git: Shell) -> None:
    base, one, other, working = make(repo, [([], 0), ([0], 1), ([0], 2), ([0, 1], 3)])
    runner = GitRunner(git_dir=repo / ".git", cwd=repo)
    started = count(runner)

    async def ask() -> None:
        objects = Objects(runner)
        assert await objects.merge_bases(one, other) == [base]
        assert await objects.merge_bases(working, other) == [base]
        assert await objects.merge_bases(working, one) == [one]
        assert [await objects.is_ancestor(one, working), await objects.is_ancestor(other, working)] == [True, False]
        assert started == []
        assert await objects.merge_bases("refs/made/2", other) == [base]
        assert len(started) == 1

    asyncio.run(ask())


@pytest.mark.parametrize("kind", ["shallow", "grafts", "far", "blob", "missing", "tag"])
def test_git_is_asked_where_the_commits_do_not_say_it(
    repo: Path, git: Shell, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oids = make(repo, [([number - 1] if number else [], number) for number in range(8)])
    other = oids[0]
    if kind == "shallow":
        (repo / ".git/shallow").write_text(f"{oids[5]}\n")
    elif kind == "grafts":
        (repo / ".git/info/grafts").write_text(f"{oids[6]} {oids[1]}\n")
    elif kind == "far":
        monkeypatch.setattr(module, "MOST_COMMITS", 5)
    elif kind == "tag":
        git(repo, "tag", "-a", "-m", "x", "v1", oids[0])
        other = git(repo, "rev-parse", "refs/tags/v1")
    else:
        blob = subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=repo, input=b"tree x\n", capture_output=True)
        other = blob.stdout.decode().strip() if kind == "blob" else "1" * 40

    async def ask() -> list[str] | None:
        runner = GitRunner(git_dir=repo / ".git", cwd=repo)
        return await module.CommitGraph(ObjectReader(runner), repo / ".git").find_bases(oids[-1], other)

    assert asyncio.run(ask()) is None


def test_a_tree_has_as_many_paths_as_git_lists(repo: Path, git: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_size, "_AT_ONCE", 2)
    for name in ("a/b/c/d", "a/b/e", "f/g", "h/i/j", os.fsdecode(b"k/\xff")):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(name.encode("utf-8", "surrogateescape").hex())
    git(repo, "add", "-A")
    tree = git(repo, "write-tree")
    listed = subprocess.run(["git", "ls-tree", "-r", "-z", "--name-only", tree], cwd=repo, capture_output=True).stdout

    async def ask() -> None:
        runner = GitRunner(git_dir=repo / ".git", cwd=repo)
        for _ in range(2):
            sizes = TreeSizes(ObjectReader(runner))
            files = listed.count(b"\0")
            assert [await sizes.has_more(tree, number) for number in (0, files - 1, files)] == [True, True, False]
            for _ in range(2):
                assert await sizes.measure(tree) == (files, len(listed), 3)
            assert await sizes.measure("1" * 40) == (0, 0, 0)
            above = shape_of([(b"40000", b"top", tree), (b"40000", b"t2", tree), (b"100644", b"file", "2" * 40)])
            size = (2 * files + 1, 2 * len(listed) + files * len("top/t2/") + len("file/"), 4)
            assert await sizes.measure("3" * 40, {"3" * 40: above}) == size
            assert await sizes.measure("3" * 40) == (0, 0, 0)

    asyncio.run(ask())
