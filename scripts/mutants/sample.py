"""A sample of small changes to the pure core, each to be noticed by the tests of the core."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from scripts.mutants.operators import Change, changed, changes_of
from scripts.mutants.tree import ROOT, Tree, Verdict, tree_copy

DOMAIN = "aegis_tui/domain"
DEADLINE_S = 120.0
_NEAREST = {
    "lock": ("test_lock.py", "test_lock_model.py"),
    "core": ("test_core.py",),
    "commit": ("test_commit.py",),
}
_COSTLY = {"test_glob.py": ("glob",), "test_lock_model.py": ("lock", "deadline")}
"""Seconds of search each, and of use for these nouns only."""


def run_sample(count: int, seed: int, journal: Path) -> tuple[int, int]:
    """Make `count` changes, one after the other; how many were noticed, and of how many.

    Args:
        count: How many to draw; all when there are fewer.
        seed: Draws the same ones again as long as the code is the same.
        journal: One JSON object a line for each change: name, killed, how, spent_s.
    """
    with tree_copy() as tree, journal.open("w", encoding="utf-8") as file:
        places = _all_changes(tree)
        drawn = random.Random(seed).sample(places, min(count, len(places)))
        killed = 0
        for number, change in enumerate(drawn, 1):
            verdict = _try(tree, change)
            killed += verdict.killed
            line = {"seed": seed, "name": change.name, "killed": verdict.killed, "how": verdict.how}
            file.write(json.dumps({**line, "spent_s": round(verdict.spent_s, 1)}) + "\n")
            file.flush()
            sys.stdout.write(f"{number}/{len(drawn)} {'killed' if verdict.killed else 'SURVIVED'} {change.name}\n")
            sys.stdout.flush()
        return killed, len(drawn)


def _all_changes(tree: Tree) -> list[Change]:
    files = sorted((tree.folder / DOMAIN).glob("*.py"))
    return [item for path in files for item in changes_of(f"{DOMAIN}/{path.name}", path.read_text("utf-8"))]


def _try(tree: Tree, change: Change) -> Verdict:
    text = changed((tree.folder / change.file).read_text("utf-8"), change.index)
    with tree.broken(change.file, text):
        return tree.test(_tests_for(Path(change.file).stem), deadline_s=DEADLINE_S)


def _tests_for(stem: str) -> list[str]:
    """The tests of the core, those of the same noun first, for speed."""
    every = sorted(path.name for path in (ROOT / "tests/domain").glob("test_*.py"))
    noun = stem.partition("_")[0]
    near = [f"test_{stem}.py", *_NEAREST.get(noun, ()), f"test_{noun}.py", "test_transcript.py"]
    ordered = dict.fromkeys([name for name in near if name in every] + every)
    return [f"tests/domain/{name}" for name in ordered if noun in _COSTLY.get(name, (noun,))]
