"""A sample of small changes to the pure core, each to be noticed by the tests of the core."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path, PurePosixPath

from scripts.mutants.operators import Change, changed, changes_of
from scripts.mutants.tree import ROOT, Tree, Verdict, tree_copy

DOMAIN = "aegis_tui/domain"
DEADLINE_S = 120.0
TESTS = "tests/domain"
_COSTLY = {"glob/test_glob.py": ("glob",), "lock/test_lock_model.py": ("lock", "deadline")}
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
    names = sorted(str(path.relative_to(tree.folder)) for path in (tree.folder / DOMAIN).rglob("*.py"))
    return [item for name in names for item in changes_of(name, (tree.folder / name).read_text("utf-8"))]


def _try(tree: Tree, change: Change) -> Verdict:
    text = changed((tree.folder / change.file).read_text("utf-8"), change.index)
    with tree.broken(change.file, text):
        return tree.test(_tests_for(PurePosixPath(change.file).relative_to(DOMAIN)), deadline_s=DEADLINE_S)


def _tests_for(module: PurePosixPath) -> list[str]:
    """The tests of the core, those of the same module and noun first, for speed."""
    every = sorted(str(path.relative_to(ROOT / TESTS)) for path in (ROOT / TESTS).rglob("test_*.py"))
    noun = module.parts[0].removesuffix(".py")
    near = [name for name in every if PurePosixPath(name).stem == f"test_{module.stem}"]
    same = [name for name in every if name.startswith(f"{noun}/")]
    ordered = dict.fromkeys([*near, *same, "test_core.py", "test_transcript.py", *every])
    return [f"{TESTS}/{name}" for name in ordered if noun in _COSTLY.get(name, (noun,))]
