from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.bench.__main__ import BENCHES
from scripts.bench.goals import GOALS
from scripts.bench.page import PAGE, read_evidence, render_page
from scripts.bench.record import Figure, read_records, record_of


def a_record(milliseconds: float) -> dict[str, Any]:
    samples = (milliseconds,) * 3
    figures = [Figure(name, "it", "ms", samples, "base") for name in ("recovery", "version_ratio")]
    figures.append(Figure("base", "base", "ms", (10.0,) * 3))
    as_read_back: dict[str, Any] = json.loads(json.dumps(record_of("startup", figures, 0.5)))
    return as_read_back


def row_of(page: str, goal: str) -> str:
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {goal} |"))
    return row


def test_the_page_says_what_the_records_say_and_nothing_else() -> None:
    shown = render_page(read_records(), read_evidence())
    assert PAGE.read_text("utf-8") == shown, "write it anew: python scripts/bench --page"


def test_every_goal_names_a_benchmark_that_exists_or_counts_as_not_measured() -> None:
    page = render_page({})
    for goal in GOALS:
        assert goal.bench is None or goal.bench in BENCHES
        assert row_of(page, goal.name).endswith("| – | not measured |")


def test_a_goal_is_met_or_not_met_by_its_median() -> None:
    assert row_of(render_page({"hub": a_record(999.9)}), "PERF-3 b").endswith("| 999.9 ms | met |")
    page = render_page({"hub": a_record(1000.0)})
    assert row_of(page, "PERF-3 b").endswith("| 1000.0 ms | not met |")
    assert '100.00 × "base"' in page
    assert row_of(render_page({"startup": a_record(2.0)}), "PERF-5 a").endswith("| met |")
    assert row_of(render_page({"startup": a_record(2.1)}), "PERF-5 a").endswith("| not met |")


def test_the_kills_count_only_where_nothing_of_the_long_tests_failed() -> None:
    killed = "tests/soak/test_kill_loop.py::test_nothing[1000-2] 1000 kills, 1 cut\nPASSED\n"
    passed, failed = "=== 71 passed in 5s ===\n", "=== 1 failed, 70 passed in 5s ===\n"
    assert row_of(render_page({}, killed + passed), "PERF-3 a").endswith("| met |")
    assert row_of(render_page({}, killed + failed), "PERF-3 a").endswith("| not met |")
    assert row_of(render_page({}, killed.replace("1000 k", "999 k") + passed), "PERF-3 a").endswith("| not met |")
    assert row_of(render_page({}, killed.replace("PASSED", "FAILED") + passed), "PERF-3 a").endswith("| not measured |")


def test_growth_of_memory_is_met_below_its_bound() -> None:
    grown = "after 90 s of warm-up 70.0 MiB: memory growth +4.9%; /v1/state 80 KiB\nPASSED\n"
    assert row_of(render_page({}, grown), "PERF-17").endswith("| 4.9% (docs/evidence) | met |")
    assert row_of(render_page({}, grown.replace("+4.9", "-0.3")), "PERF-17").endswith("| -0.3% (docs/evidence) | met |")
    assert row_of(render_page({}, grown.replace("+4.9", "+5.0")), "PERF-17").endswith("| not met |")


def test_a_record_names_commit_machine_and_load_and_keeps_every_sample() -> None:
    record = a_record(5.0)
    assert len(record["commit"]) == 40
    assert record["load"]["before"] == 0.5
    assert record["machine"]["cores"] >= 1
    assert record["figures"][0]["samples"] == [5.0] * 3


def test_every_record_is_of_a_benchmark_that_exists() -> None:
    assert set(read_records()) <= set(BENCHES)


def test_the_entry_point_lists_the_benchmarks(root: Path) -> None:
    argv = [sys.executable, str(root / "scripts" / "bench"), "--list"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split() == list(BENCHES)
