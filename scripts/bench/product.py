"""PERF-16, PERF-18: the time that the program itself adds to a run, with a model that answers at once.

Four workers start at the same moment in a small repository; each reads, writes and reports, and each piece is reviewed.
Measured are the events of the hub's log and the calls in the gateway's: from the plan of an instance to its first call
of the model, from the request for a review to its reviewer's first call, and from the submission of a piece until it is
merged, its review included.

The project's own checks of pieces are switched off, because their time is the project's; further figures, of runs in
between, have the time from submission to merge with them, and what of it is not the time of a check.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from scripts.bench.headless import run_goal
from scripts.bench.record import Figure
from scripts.bench.wire import quantile

RUNS = 6
WARM_UP = 1
WORKERS = 4
_FILES = {
    "README.md": "# Shop\n",
    "src/app.py": "x = 1\n",
    "tests/test_app.py": "import unittest\n\n\nclass Works(unittest.TestCase):\n    def test_it(self) -> None:\n"
    "        self.assertTrue(True)\n",
}
VERDICT = {
    "decision": "approve",
    "criteria": [{"id": "brief", "pass": True, "evidence": "Scripted: no model has judged this piece."}],
    "findings": [],
}
_NO_CHECKS = "[qa]\npieces = false\n"
_READ = "from the request for a review to the first call of the model by its reviewer"
_REVIEW = [{"tool": "read", "args": {"path": "src/app.py"}}, {"tool": "verdict", "args": VERDICT}]


def run_product() -> list[Figure]:
    """Run the whole job several times, each in a repository of its own."""
    called: dict[str, list[float]] = defaultdict(list)
    merged: list[float] = []
    merged_after_checks: list[float] = []
    added: list[float] = []
    read: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        _write_scenario(Path(folder))
        for number in range(WARM_UP + RUNS):
            events, calls = _run(Path(folder), settings=_NO_CHECKS)
            checked, _ = _run(Path(folder))
            if number < WARM_UP:
                continue
            merged_after_checks += until_merged(checked)
            added += until_merged(checked, without=checks_run(checked))
            for role, spent_s in _until_called(events, calls):
                called[role].append(spent_s)
            merged += until_merged(events)
            read += _until_read(events, calls)
    words = "from the plan of {} to its first call of the model, {} workers at once"
    return [
        Figure("planned_call", words.format("an instance", WORKERS), "s", tuple(chain(*called.values()))),
        *(
            Figure(f"planned_call_{role}", words.format(f"a {role}", WORKERS), "s", tuple(samples))
            for role, samples in sorted(called.items())
        ),
        Figure("review_called", f"{_READ}, {WORKERS} workers at once", "s", tuple(read)),
        Figure("review_called_p95", f"{_READ}, p95 of all", "s", (quantile(read, 0.95),)),
        *_merge_figures(merged, merged_after_checks, added),
    ]


def _merge_figures(merged: list[float], after_checks: list[float], added: list[float]) -> list[Figure]:
    return [
        Figure(
            "submitted_merged", f"from the submission of a piece to its merge, {WORKERS} workers", "s", tuple(merged)
        ),
        Figure(
            "submitted_merged_checked",
            "the same if the tests of the repository, which has one, run on each piece merged with the others",
            "s",
            tuple(after_checks),
        ),
        Figure(
            "submitted_merged_added",
            "the same without the time in which a test of a piece ran, this one or another, as its result records it",
            "s",
            tuple(added),
        ),
    ]


def _names() -> list[str]:
    return [f"part{number}" for number in range(WORKERS)]


def _write_scenario(folder: Path) -> None:
    scripts: dict[str, list[dict[str, Any]]] = {"reviewer": _REVIEW}
    for name in _names():
        scripts[name] = [
            {"tool": "read", "args": {"path": "src/app.py"}},
            {"tool": "write", "args": {"path": f"src/{name}.py", "content": f"{name} = 1\n"}},
            {"tool": "report", "args": {"status": "done", "summary": f"feat({name}): add {name}"}},
        ]
    for name, steps in scripts.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}), "utf-8")


def _run(scenario: Path, *, settings: str = "") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One goal to its commit; see `run_goal`."""
    features = [
        {"id": name, "title": f"Add {name}", "brief": f"Write it. [[script:{name}]]", "partition": [f"src/{name}.py"]}
        for name in _names()
    ]
    check = "python3 -m unittest discover -s tests"
    return run_goal(scenario, _FILES, features, check, workers=WORKERS, settings=settings)


def second(timestamp: str) -> float:
    """Return an RFC 3339 timestamp as seconds since 1970."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def _until_called(events: list[dict[str, Any]], calls: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Role and seconds of each instance, in the order of the plans."""
    first = _first_calls(calls)
    planned = [event for event in events if event["type"] == "instance:planned"]
    return [(event["data"]["role"], first[event["agent_id"]] - second(event["timestamp"])) for event in planned]


def _first_calls(calls: list[dict[str, Any]]) -> dict[str, float]:
    """Agent id -> when its first call of the model began, in seconds since 1970."""
    first: dict[str, float] = {}
    for call in calls:
        began = second(call["at"]) - call["latency_s"]
        first[call["agent_id"]] = min(began, first.get(call["agent_id"], began))
    return first


def _until_read(events: list[dict[str, Any]], calls: list[dict[str, Any]]) -> list[float]:
    """Seconds from each request for a review to the first call of the model by the reviewer that got it first."""
    first = _first_calls(calls)
    reviewers: dict[str, str] = {}
    for event in events:
        if event["type"] == "instance:planned" and (review_id := event["data"].get("review_id")):
            reviewers.setdefault(review_id, event["agent_id"])
    asked = [event for event in events if event["type"] == "review:requested"]
    return [first[reviewers[event["data"]["review_id"]]] - second(event["timestamp"]) for event in asked]


def checks_run(events: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return when the checks of pieces ran, in seconds since 1970, in order: each from its start to its end.

    The result of a check has how long it ran; when it ended is taken from the event. Pieces are checked one at a time,
    so none overlaps. That of the base is not among them: it counts as time that the program adds.
    """
    tested = (event for event in events if event["type"] == "piece:tested")
    ended = (
        (second(event["timestamp"]), sum(check["duration_s"] for check in event["data"]["checks"])) for event in tested
    )
    return [(end - spent_s, end) for end, spent_s in ended]


def until_merged(events: list[dict[str, Any]], *, without: Sequence[tuple[float, float]] = ()) -> list[float]:
    """Return the seconds from each piece's last submission to its merge, in the order of the merges.

    Args:
        events: The log of a run.
        without: Times that do not count, none of which overlap.
    """
    submitted: dict[str, float] = {}
    spent: list[float] = []
    for event in events:
        if event["type"] == "specs.diff-submitted":
            submitted[event["data"]["specId"].partition("-")[2]] = second(event["timestamp"])
        elif event["type"] == "merge:applied":
            start, end = submitted[event["data"]["piece"]], second(event["timestamp"])
            spent.append(end - start - sum(max(0.0, min(end, last) - max(start, first)) for first, last in without))
    return spent
