"""Two commits on one machine, turn by turn: `python scripts/bench/pairs.py OLD [--pairs N] [--out FILE] NAME...`.

OLD is another checkout of this project with an environment of its own. Each benchmark runs once in each, ten times by
turns, each time the other one first; what is compared are the medians. A figure that only one of the two has is left
out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ONCE = """
import contextlib, json, sys
sys.path.insert(0, sys.argv[1])
from scripts.bench import core, hub, startup
from scripts.bench.__main__ import BENCHES
core.ROUNDS = hub.RUNS = 1
with contextlib.redirect_stdout(sys.stderr):
    figures = BENCHES[sys.argv[2]]()
print(json.dumps({f.name: [f.what, f.unit, *f.samples] for f in figures}))
"""
MORE_IS_BETTER = "/s"
"""How the unit of a figure ends that is better when it is larger."""

WORSE = 1.05
"""A median that is worse by this factor is told by the exit code."""

Samples = dict[str, dict[str, list[float]]]
"""Figure -> side -> the median of each turn."""


def measure(checkout: Path, bench: str) -> dict[str, list[str | float]]:
    """The figures of one run of a benchmark in a checkout: its words, its unit, its samples."""
    argv = [str(checkout / ".venv/bin/python"), "-c", ONCE, str(checkout), bench]
    done = subprocess.run(argv, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{bench} failed in {checkout}:\n{done.stderr}")
    figures: dict[str, list[str | float]] = json.loads(done.stdout)
    return figures


def compare(old: Path, bench: str, pairs: int) -> tuple[Samples, dict[str, str]]:
    """The medians of every turn, and what each figure is, for a benchmark in `old` and here."""
    samples: Samples = defaultdict(lambda: {"old": [], "new": []})
    words: dict[str, str] = {}
    sides = [("old", old), ("new", ROOT)]
    for turn in range(pairs):
        for side, checkout in sides if turn % 2 == 0 else reversed(sides):
            for name, (what, unit, *values) in measure(checkout, bench).items():
                words[name] = f"{what} ({unit})"
                samples[name][side].append(statistics.median(map(float, values)))
        sys.stderr.write(f"{bench}: pair {turn + 1} of {pairs}\n")
    return samples, words


def main(arguments: list[str]) -> int:
    """Measure what is asked for and write it down; 1 where a median is more than 5% worse than the old one."""
    parser = argparse.ArgumentParser(description="Benchmarks of two checkouts, turn by turn.")
    parser.add_argument("old", type=Path)
    parser.add_argument("names", nargs="+", choices=["core", "hub", "startup"])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evidence" / "pairs.txt")
    chosen = parser.parse_args(arguments)
    commits = [_commit(checkout) for checkout in (chosen.old, ROOT)]
    lines = [f"old {commits[0]}, new {commits[1]}, {chosen.pairs} pairs; worse is above 1", ""]
    raw: list[str] = []
    worst = 0.0
    for bench in chosen.names:
        samples, words = compare(chosen.old.resolve(), bench, chosen.pairs)
        for name, sides in samples.items():
            if not sides["old"] or not sides["new"]:
                continue
            old, new = (statistics.median(sides[side]) for side in ("old", "new"))
            ratio = old / new if words[name].endswith(f"{MORE_IS_BETTER})") else new / old
            worst = max(worst, ratio)
            lines.append(f"{bench:8}{ratio:5.2f}  {old:9.1f} -> {new:9.1f}  {words[name]}")
            raw.append(json.dumps({"bench": bench, "name": name, **sides}))
        chosen.out.write_text("\n".join([*lines, "", "Medians of each turn:", *raw, ""]), "utf-8")
    sys.stdout.write("\n".join([*lines, ""]))
    return int(worst > WORSE)


def _commit(checkout: Path) -> str:
    argv = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
