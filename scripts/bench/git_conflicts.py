"""PERF-7: the conflicts of ten worktrees of 50,000 files with uncommitted work, and of one of them after a save.

The files that changed are given, as the watcher's events give them. For comparison, the same worktrees are looked at
with a temporary index for each, filled by `git add`, and one `git merge-tree` for each pair.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from aegis_tui.adapters.git.live_trees import GitLiveTrees
from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.ports.merge import MergePreview
from scripts.bench.git_mark import mark_run
from scripts.bench.large_place import FILES, git, make_large
from scripts.bench.record import Figure
from scripts.bench.wire import quantile

WORKTREES, DIRTY, ROUNDS, OTHER_ROUNDS, SAVES = 10, 20, 10, 2, 30
SHARED = "pkg0000/mod00.py"


@dataclass(frozen=True, slots=True)
class Place:
    """A repository with worktrees."""

    root: Path
    head: str
    worktrees: tuple[Path, ...]

    def change(self, number: int, turn: int) -> list[str]:
        """Change twenty files of a worktree, one of them in all worktrees; every second one changes the same line."""
        tree = self.worktrees[number]
        own = [f"pkg{100 * number + at:04}/mod{turn % 50:02}.py" for at in range(1, DIRTY)]
        for path in own:
            _set_line(tree / path, 3, f"own = {turn}\n")
        self.save(number, turn)
        return [SHARED, *own]

    def save(self, number: int, turn: int) -> None:
        """Change the file that all worktrees change."""
        _set_line(self.worktrees[number] / SHARED, 5 if number % 2 == 0 else 8 + 3 * number, f"s{number} = {turn}\n")


def _set_line(path: Path, number: int, line: str) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    lines[number] = line
    path.write_text("".join(lines), "utf-8")


def run_git_conflicts() -> list[Figure]:
    """Make the worktrees, then look at them in both ways by turns, and after single saves."""
    folder = Path(tempfile.mkdtemp(prefix="ab"))
    try:
        figures = asyncio.run(_measure(_make(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    marks = mark_run()
    return [
        *figures,
        Figure("mark", "from the second save to the conflict at a client, 10 workers, 200 files", "ms", tuple(marks)),
        Figure("mark_p95", "the same, p95", "ms", (quantile(marks, 0.95),)),
    ]


def _make(folder: Path) -> Place:
    root = folder / "r"
    head = make_large(root)
    worktrees = tuple(folder / f"w{number}" for number in range(WORKTREES))
    for path in worktrees:
        git(root, "worktree", "add", "-q", "--detach", str(path))
    return Place(root, head, worktrees)


async def _measure(place: Place) -> list[Figure]:
    repository = await open_repository(place.root)
    trees = GitLiveTrees(repository.common_dir)
    ours: list[float] = []
    theirs: list[float] = []
    try:
        first = [await _timed(trees.look(path, place.head, (), whole=True)) for path in place.worktrees]
        for turn in range(ROUNDS):
            if turn % 2 == 1:
                ours.append(await _look(place, trees, turn))
            if turn < OTHER_ROUNDS:
                theirs.append(await _look_as_before(place, repository, turn))
            if turn % 2 == 0:
                ours.append(await _look(place, trees, turn))
        saves = await _saves(place, trees)
    finally:
        await trees.close()
    before = f"{WORKTREES} dirty worktrees and their 45 pairs, by `git add` and `git merge-tree` each"
    return [
        Figure("search", f"a worktree of {FILES:,} files searched for the first time", "ms", tuple(first)),
        Figure("before", before, "ms", tuple(theirs)),
        Figure("pairs", "the same, with the changed files known from events", "ms", tuple(ours), "before"),
        Figure("save", f"one file saved: the snapshot and {WORKTREES - 1} pairs", "ms", saves),
    ]


async def _look(place: Place, trees: GitLiveTrees, turn: int) -> float:
    """Change files in all worktrees; the milliseconds until all pairs are known."""
    paths = [place.change(number, turn) for number in range(WORKTREES)]
    start = time.perf_counter()
    looked = zip(place.worktrees, paths, strict=True)
    commits = [await trees.look(path, place.head, changed) for path, changed in looked]
    previews = await trees.compare([_both(pair) for pair in combinations(commits, 2)])
    spent = _ms(start)
    _check(previews)
    return spent


async def _look_as_before(place: Place, repository: GitRepository, turn: int) -> float:
    """The same with a process for each step."""
    for number in range(WORKTREES):
        place.change(number, turn + 100)
    start = time.perf_counter()
    commits = [await repository.snapshot_commit(path) for path in place.worktrees]
    previews = [await repository.predict(*pair) for pair in combinations(commits, 2)]
    spent = _ms(start)
    _check(previews)
    return spent


async def _saves(place: Place, trees: GitLiveTrees) -> tuple[float, ...]:
    """Save the shared file in one worktree after the other; the milliseconds until its pairs are known."""
    commits = [await trees.look(path, place.head, (SHARED,)) for path in place.worktrees]
    spent = []
    for turn in range(SAVES):
        number = turn % WORKTREES
        place.save(number, 1000 + turn)
        start = time.perf_counter()
        commits[number] = await trees.look(place.worktrees[number], place.head, [SHARED])
        pairs = [_both((commits[number], oid)) for at, oid in enumerate(commits) if at != number]
        previews = await trees.compare(pairs)
        spent.append(_ms(start))
        assert all(preview is not None and SHARED in preview.both_changed for preview in previews)
    return tuple(spent)


def _both(pair: tuple[str | None, str | None]) -> tuple[str, str]:
    ours, theirs = pair
    assert ours is not None and theirs is not None
    return ours, theirs


def _check(previews: list[MergePreview | None] | list[MergePreview]) -> None:
    """The pairs of even worktrees conflict, the others merge."""
    hot = [preview is not None and [item.path for item in preview.conflicts] == [SHARED] for preview in previews]
    pairs = combinations(range(WORKTREES), 2)
    assert hot == [one % 2 == 0 and other % 2 == 0 for one, other in pairs]
    assert all(preview is not None and SHARED in preview.both_changed for preview in previews)


async def _timed(work: Coroutine[Any, Any, object]) -> float:
    start = time.perf_counter()
    await work
    return _ms(start)


def _ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 2)
