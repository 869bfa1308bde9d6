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


def read_evidence() -> str:
    """What the long tests printed that goals are read from, each run behind the other."""
    paths = [*sorted(EVIDENCE.glob("soak*.txt")), EVIDENCE / "prefix-cache.txt"]
    return "\n".join(path.read_text("utf-8") for path in paths)


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
    shown = f"{median:.1f}" if median >= 0.1 else f"{median:.2g}"
    return f"{shown} {figure['unit']}", "met" if goal.is_met_by(median) else "not met"


def _shown(goal: Goal, soak: str) -> tuple[str, str]:
    match = re.search(goal.evidence, soak, re.MULTILINE)
    if match is None:
        return "–", "not measured"
    is_met = goal.is_met_by(float(match[1])) and re.search(r"^=+ .*\b(failed|error)", soak, re.MULTILINE) is None
    return f"{float(match[1]):,g}{goal.unit} (docs/evidence)", "met" if is_met else "not met"


def _records(records: Records) -> Iterator[str]:
    yield "\n## Context\n"
    yield "Each goal states what a user should be able to expect. Its name is a label: the number of a requirement,"
    yield "and a letter if a requirement has several goals. A goal without a benchmark is listed as not measured, and"
    yield "so is a goal for a feature that is only planned."
    yield "\n## Solution\n"
    yield "`python scripts/bench NAME` runs one benchmark; with `--record` it also saves every sample, the commit, the"
    yield "machine and its load. Programs that are compared run alternately in the same run. The last column gives the"
    yield "median of the row, divided by the median of the row that is named in quotation marks."
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
    figures = {item["name"]: item for item in record["figures"]}
    for item in record["figures"]:
        yield _row(item, figures.get(item["against"]))


def _row(item: dict[str, Any], against: dict[str, Any] | None) -> str:
    samples, unit = item["samples"], item["unit"]
    median, ratio = statistics.median(samples), "–"
    if against is not None:
        ratio = f'{median / statistics.median(against["samples"]):.2f} × "{against["what"]}"'
    p90 = statistics.quantiles(samples, n=10, method="inclusive")[-1] if len(samples) > 1 else samples[0]
    numbers = " | ".join(f"{value:.1f} {unit}" for value in (min(samples), median, p90, max(samples)))
    return f"| {item['what']} | {len(samples)} | {numbers} | {ratio} |"


def _foot() -> Iterator[str]:
    yield "\n## Trade-offs\n"
    yield "A median says nothing about single slow samples, so the tables of the benchmarks show the smallest and the"
    yield "largest sample too. A figure holds for the machine and the load that are given with it; ratios to another"
    yield "program in the same run apply to other machines better than times do."
    yield "\n## How it is verified\n"
    yield "`tests/packaging/test_bench.py` generates this page again from the records and fails if it differs, so every"
    yield "figure here was measured."
