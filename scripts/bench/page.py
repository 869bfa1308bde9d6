"""docs/benchmarks.md, written from the records alone; no figure in it is typed by hand."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.bench.goals import GOALS, Goal
from scripts.bench.record import ROOT

PAGE: Path = ROOT / "docs" / "benchmarks.md"
EVIDENCE: Path = ROOT / "docs" / "evidence"
Records = dict[str, dict[str, Any]]


def read_soaks() -> str:
    """What the long tests printed, each run behind the other."""
    return "\n".join(path.read_text("utf-8") for path in sorted(EVIDENCE.glob("soak*.txt")))


def render_page(records: Records, soak: str = "") -> str:
    """The whole page.

    Args:
        records: Benchmark's name to its record.
        soak: What the long tests printed.
    """
    verdicts = [_shown(goal, soak) if goal.evidence else _verdict(goal, records) for goal in GOALS]
    results = [result for _, result in verdicts]
    return "\n".join([*_head(results), *_goals(verdicts), *_records(records), *_foot()]) + "\n"


def _head(results: list[str]) -> Iterator[str]:
    yield "# Benchmarks"
    yield "\n<!-- Written by `python scripts/bench --page` from the records; do not edit. -->"
    yield "\n## Status\n"
    met, unmet, absent = (results.count(word) for word in ("met", "not met", "not measured"))
    yield f"{len(GOALS)} goals: {met} met, {unmet} not met, {absent} not measured."
    yield "\n## Summary\n"
    yield "| goal | what | wanted | measured (median) | result |"
    yield "| --- | --- | --- | --- | --- |"


def _goals(verdicts: list[tuple[str, str]]) -> Iterator[str]:
    for goal, (measured, result) in zip(GOALS, verdicts, strict=True):
        yield f"| {goal.name} | {goal.what} | {goal.words} | {measured} | {result} |"


def _verdict(goal: Goal, records: Records) -> tuple[str, str]:
    figures = records.get(goal.bench or "", {}).get("figures", ())
    figure = next((item for item in figures if item["name"] == goal.figure), None)
    if figure is None:
        return "–", "not measured"
    median = statistics.median(figure["samples"])
    return f"{median:.1f} {figure['unit']}", "met" if goal.is_met_by(median) else "not met"


def _shown(goal: Goal, soak: str) -> tuple[str, str]:
    found = re.search(goal.evidence, soak, re.MULTILINE)
    if found is None:
        return "–", "not measured"
    is_met = goal.is_met_by(float(found[1])) and re.search(r"^=+ .*\b(failed|error)", soak, re.MULTILINE) is None
    return f"{float(found[1]):,g}{goal.unit} (docs/evidence)", "met" if is_met else "not met"


def _records(records: Records) -> Iterator[str]:
    yield "\n## Context\n"
    yield "Each goal is a promise to the person at the screen; a goal without a benchmark is listed as not measured,"
    yield "and stays in the table until there is one."
    yield "\n## Solution\n"
    yield "`python scripts/bench NAME` runs one benchmark, `--record` keeps every raw sample of it with the commit, the"
    yield "machine and its load. Programs that are set against each other take turns in the same run."
    for name, record in records.items():
        yield from _record(name, record)


def _record(name: str, record: dict[str, Any]) -> Iterator[str]:
    machine, load = record["machine"], record["load"]
    changed = ", with changes" if record["changed_since_commit"] else ""
    yield f"\n### {name}\n"
    yield f"Commit {record['commit'][:12]}{changed}, {record['recorded_at']}, Python {machine['python']},"
    yield f"{machine['system']}, {machine['cpu']}, {machine['cores']} cores,"
    yield f"{machine['memory_bytes'] / 2**30:.0f} GiB, load {load['before']} before and {load['after']} after.\n"
    yield "| what | n | min | median | p90 | max | ratio of medians |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    medians = {item["name"]: statistics.median(item["samples"]) for item in record["figures"]}
    for item in record["figures"]:
        yield _row(item, medians)


def _row(item: dict[str, Any], medians: dict[str, float]) -> str:
    samples, unit = item["samples"], item["unit"]
    against = item["against"]
    ratio = f"{medians[item['name']] / medians[against]:.2f} × {against}" if against else "–"
    p90 = statistics.quantiles(samples, n=10, method="inclusive")[-1] if len(samples) > 1 else samples[0]
    numbers = " | ".join(f"{value:.1f} {unit}" for value in (min(samples), medians[item["name"]], p90, max(samples)))
    return f"| {item['what']} | {len(samples)} | {numbers} | {ratio} |"


def _foot() -> Iterator[str]:
    yield "\n## Trade-offs\n"
    yield "A median hides a tail, so the table shows the slowest sample too. A figure holds for the machine and the"
    yield "load that stand beside it; the ratio to a program of the same run travels better than milliseconds do."
    yield "\n## How it is verified\n"
    yield "`tests/packaging/test_bench.py` writes this page anew from the records and refuses any difference, so a"
    yield "figure that nothing measured cannot stand here."
