"""PERF-21 and PERF-22: many branches composed in one pass, and how many verdicts name the pieces that break the batch.

`git merge` takes the branches one after the other in a worktree, this program all at once; each side gets a fresh copy
of the same repository, and the trees have to be equal. The search runs on real trees: QA of a tree is played, and each
tree that it is asked about is counted.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from math import ceil, log2
from pathlib import Path

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.domain.composition.culprits import search_culprits
from aegis_tui.ports.composition import PiecePart
from scripts.bench.large_place import git
from scripts.bench.record import Figure

BRANCHES, FILES_EACH, ROUNDS = 512, 4, 2
CULPRITS, TRIALS = (1, 2, 4, 8), 50


def run_git_compose() -> list[Figure]:
    """Make the repository, compose its branches in both ways, then look for branches that break the batch."""
    with tempfile.TemporaryDirectory(prefix="aegis-compose-") as name:
        folder = Path(name)
        first = _make(folder / "first")
        plain, ours = _by_turns(folder, first)
        runs, repeats = asyncio.run(_searches(first))
    return [
        Figure("in_turn", f"`git merge` of {BRANCHES} disjoint branches, one after the other", "s", plain),
        Figure("composed", "the same branches composed in one pass", "s", ours, "in_turn"),
        Figure(
            "composed_gain", "the first over the second", "×", tuple(a / b for a, b in zip(plain, ours, strict=True))
        ),
        Figure(
            "culprit_runs", f"QA runs that name k of {BRANCHES} pieces, over k·⌈log2 N⌉ + 1, worst k", "×", (max(runs),)
        ),
        Figure(
            "culprit_runs_alike", "the same if QA says no more than that it fails, worst of 200", "×", (max(_alike()),)
        ),
        Figure("culprit_repeats", "trees that were run twice", "trees", repeats),
    ]


def _make(root: Path) -> Path:
    """Create the repository: a folder for each branch, which edits one file in it and adds one."""
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "Bench")
    git(root, "config", "user.email", "bench@example.org")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input="".join(_stream()), text=True, check=True)
    git(root, "checkout", "-q", "main")
    git(root, "gc", "-q")
    return root


def _stream() -> Iterator[str]:
    yield "commit refs/heads/main\nmark :1\ncommitter B <b@example.org> 1 +0000\ndata 1\nx\n"
    for number in range(BRANCHES):
        for file in range(FILES_EACH):
            yield _file(f"part{number:03}/file{file}.py", f"part = {number}\nfile = {file}\n")
    yield "\n"
    for number in range(BRANCHES):
        yield f"commit refs/heads/{_branch(number)}\ncommitter B <b@example.org> 2 +0000\ndata 1\ny\nfrom :1\n"
        yield _file(f"part{number:03}/file0.py", f"part = {number}\nfile = 'edited'\n")
        yield _file(f"part{number:03}/new.py", f"new = {number}\n") + "\n"


def _file(path: str, text: str) -> str:
    return f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"


def _branch(number: int) -> str:
    return f"b{number:03}"


def _by_turns(folder: Path, first: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compose by turns, each in a copy; the seconds of `git merge` and of this program."""
    plain: list[float] = []
    ours: list[float] = []
    for number in range(ROUNDS):
        trees = set()
        for side in ("plain", "ours") if number % 2 == 0 else ("ours", "plain"):
            copy = folder / f"{side}{number}"
            shutil.copytree(first, copy)
            spent = _in_turn(copy) if side == "plain" else asyncio.run(_composed(copy))
            (plain if side == "plain" else ours).append(round(spent, 4))
            trees.add(git(copy, "rev-parse", "result^{tree}"))
            shutil.rmtree(copy)
        assert len(trees) == 1, "the trees differ"
    return tuple(plain), tuple(ours)


def _in_turn(root: Path) -> float:
    git(root, "checkout", "-q", "-b", "result", "main")
    start = time.perf_counter()
    for number in range(BRANCHES):
        git(root, "merge", "-q", "--no-edit", "--no-ff", _branch(number))
    return time.perf_counter() - start


async def _composed(root: Path) -> float:
    """Compose the branches as the hub does, from opening the repository to the moved ref."""
    base, *heads = git(root, "rev-parse", "main", *map(_branch, range(BRANCHES))).split()
    start = time.perf_counter()
    repository = await open_repository(root)
    parts = [PiecePart(_branch(number), base, head) for number, head in enumerate(heads)]
    composed = await repository.batches.compose_all(base, parts)
    oid = await repository.batches.commit(composed.tree, [base, *heads], message="compose pieces\n", at=3)
    await repository.update_ref("refs/heads/result", oid, None)
    return time.perf_counter() - start


async def _searches(root: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Look for culprits: the runs of QA over the bound, and the trees that were run more than once, of each search."""
    repository = await open_repository(root)
    base, *heads = git(root, "rev-parse", "main", *map(_branch, range(BRANCHES))).split()
    parts = {_branch(number): PiecePart(_branch(number), base, head) for number, head in enumerate(heads)}
    shares, repeats = [], []
    for count in CULPRITS:
        bad = frozenset(random.Random(count).sample(sorted(parts), count))
        sets = _asked(list(parts), bad, bad.intersection)
        trees = [(await repository.batches.compose_all(base, [parts[name] for name in each])).tree for each in sets]
        shares.append(_share(len(trees), count))
        repeats.append(float(len(trees) - len(set(trees))))
    return tuple(shares), tuple(repeats)


def _alike() -> tuple[float, ...]:
    """The runs of QA over the bound, of many searches in which QA says no more than that it fails."""
    names = [_branch(number) for number in range(BRANCHES)]
    shares = []
    for count in CULPRITS:
        for trial in range(TRIALS):
            bad = frozenset(random.Random(trial).sample(names, count))
            shares.append(_share(len(_asked(names, bad, partial(_says_only_that, bad))), count))
    return tuple(shares)


def _says_only_that(bad: frozenset[str], there: Sequence[str]) -> set[str]:
    return set() if bad.isdisjoint(there) else {"failed"}


def _asked(
    names: list[str], bad: frozenset[str], verdict: Callable[[Sequence[str]], Iterable[str]]
) -> list[tuple[str, ...]]:
    """The sets of pieces that a search asks about; the pieces that it names have to be the bad ones."""
    asked: list[tuple[str, ...]] = []
    search = search_culprits(names, {}, frozenset(verdict(names)))
    try:
        wanted = next(search)
        while True:
            asked.append(wanted)
            wanted = search.send(frozenset(verdict(wanted)))
    except StopIteration as end:
        assert {item.name for item in end.value.culprits} == bad, "others were named"
        return asked


def _share(runs: int, culprits: int) -> float:
    return round(runs / (culprits * ceil(log2(BRANCHES)) + 1), 4)
