"""Runs a benchmark: `python scripts/bench NAME [--record]`; `--list` names them, `--page` writes the page anew."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from scripts.bench.code_map import run_code_map
from scripts.bench.core import run_core
from scripts.bench.gateway import run_gateway
from scripts.bench.git_compose import run_git_compose
from scripts.bench.git_conflicts import run_git_conflicts
from scripts.bench.hub import run_hub
from scripts.bench.large import run_large
from scripts.bench.merge import run_merge
from scripts.bench.merge_history import PYTHON
from scripts.bench.page import PAGE, read_evidence, render_page
from scripts.bench.product import run_product
from scripts.bench.record import Figure, read_records, record_of, write_record
from scripts.bench.specs import run_specs
from scripts.bench.startup import run_startup
from scripts.bench.tokens import run_tokens
from scripts.bench.tui import run_tui
from scripts.bench.workers import run_workers

BENCHES: dict[str, Callable[[], list[Figure]]] = {
    "core": run_core,
    "gateway": run_gateway,
    "git": lambda: [*run_large(), *run_git_compose(), *run_git_conflicts()],
    "git-compose": run_git_compose,
    "git-conflicts": run_git_conflicts,
    "hub": run_hub,
    "map": run_code_map,
    "product": run_product,
    "specs": run_specs,
    "startup": run_startup,
    "tokens": run_tokens,
    "tui": run_tui,
    "workers": run_workers,
}
"""Name to benchmark; a new one is added here and named by a goal in goals.py."""

MERGE = "merge"
"""The benchmark that measures the histories of repositories that are given to it; it has no goal in goals.py."""


def main(arguments: list[str]) -> int:
    """Run what is asked for; 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Benchmarks of aegis-tui.")
    parser.add_argument("name", nargs="?", choices=sorted([*BENCHES, MERGE]), help="which benchmark to run")
    parser.add_argument("repositories", nargs="*", type=Path, help=f"for {MERGE}: repositories with merge commits")
    parser.add_argument("--every", type=int, default=1, help=f"for {MERGE}: of files that git merges, one in so many")
    parser.add_argument("--suffix", action="append", help=f"for {MERGE}: the end of the files' names, by default .py")
    parser.add_argument("--record", action="store_true", help="keep the samples in docs/benchmarks/ and write the page")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md from the records")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        sys.stdout.write("".join(f"{name}\n" for name in BENCHES))
        return 0
    if chosen.name is None and not chosen.page:
        parser.error("name a benchmark, or give --list or --page")
    if (chosen.name == MERGE) != bool(chosen.repositories):
        parser.error(f"repositories are given for {MERGE} alone, which needs them")
    if chosen.name == MERGE:
        run_merge(chosen.repositories, chosen.every, chosen.suffix or PYTHON)
        return 0
    if chosen.name is not None:
        _run(chosen.name, keep=chosen.record)
    if chosen.page or chosen.record:
        PAGE.write_text(render_page(read_records(), read_evidence()), "utf-8")
    return 0


def _run(name: str, *, keep: bool) -> None:
    load = os.getloadavg()[0]
    figures = BENCHES[name]()
    for figure in figures:
        median = statistics.median(figure.samples)
        sys.stdout.write(f"{figure.what}: median {median:.3g} {figure.unit} of {len(figure.samples)}\n")
    if keep:
        path = write_record(record_of(name, figures, load))
        sys.stdout.write(f"recorded in {path}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
