"""PERF-8: four independent features, built by four workers at once and by one worker after the other.

Both sides are run in turns, with the same design, the same replies and a model server of the same kind, a scripted one.
Its replies take time as those of a real server do: each is streamed at `PACE` tokens a second, a rate that was chosen,
not recorded; the first token comes at once, and replies at the same time do not slow each other down. A worker reads
two files, writes a module and its tests, runs the tests and reports, in six calls. How long its model took in all is a
figure of its own. Each piece is tested merged with those before it, and reviewed.

Measured are the events of the hub's log: from the beginning of DISPATCH to the end of MONITORING, and the whole run.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from scripts.bench.headless import run_goal
from scripts.bench.product import VERDICT, second
from scripts.bench.record import Figure

PAIRS = 3
FEATURES = 4
PACE = 40.0
"""Tokens per second of one reply."""

_FILES = {
    "README.md": "# Shop\n\nPrices are in cents.\n",
    "src/__init__.py": "",
    "tests/__init__.py": "",
    "src/app.py": "def total(prices: list[int]) -> int:\n    return sum(prices)\n",
    "tests/test_app.py": "import unittest\n\n\nclass Works(unittest.TestCase):\n    def test_it(self) -> None:\n"
    "        self.assertTrue(True)\n",
}
_SAY = "I look at how prices are added up before I write the module, so that both round in the same way. "
_FUNCTION = '''

def price_{number}(cents: int) -> int:
    """The price of part {number}, with its share of the fixed costs."""
    return cents + {number}
'''
_TEST = """
    def test_price_{number}(self) -> None:
        self.assertEqual({name}.price_{number}(100), 100 + {number})
"""
_WRITTEN, _TESTED = 14, 10


class _Run(NamedTuple):
    """Seconds of one run."""

    building_s: float
    """DISPATCH and MONITORING."""
    whole_s: float
    model_s: list[float]
    """Of each worker: how long the model took for all its replies."""


def run_workers(pairs: int = PAIRS, pace: float = PACE) -> list[Figure]:
    """Run both sides in turns, each in a repository of its own; `pace` is in tokens a second."""
    runs: dict[int, list[_Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        _write_scenario(Path(folder))
        for _ in range(pairs):
            for workers in (FEATURES, 1):
                runs[workers].append(_run(Path(folder), workers, pace))
    both = list(zip(runs[FEATURES], runs[1], strict=True))
    model = tuple(spent for side in runs.values() for run in side for spent in run.model_s)
    words = f"{FEATURES} independent features, {{}} worker{{}}: DISPATCH and MONITORING"
    return [
        Figure(
            "workers_share",
            f"time of DISPATCH and MONITORING with {FEATURES} workers, compared with 1",
            "%",
            tuple(100 * four.building_s / one.building_s for four, one in both),
        ),
        Figure(
            "workers_whole_share",
            f"time of the whole run with {FEATURES} workers, compared with 1",
            "%",
            tuple(100 * four.whole_s / one.whole_s for four, one in both),
        ),
        Figure("workers_four", words.format(FEATURES, "s"), "s", tuple(run.building_s for run in runs[FEATURES])),
        Figure("workers_one", words.format(1, ""), "s", tuple(run.building_s for run in runs[1])),
        Figure("workers_model", f"the model's time for one worker, at {pace:g} tokens/s", "s", model),
    ]


def _names() -> list[str]:
    return [f"part{number}" for number in range(FEATURES)]


def _write_scenario(folder: Path) -> None:
    scripts: dict[str, list[dict[str, Any]]] = {
        "reviewer": [{"tool": "read", "args": {"path": "src/app.py"}}, {"tool": "verdict", "args": VERDICT}]
    }
    for name in _names():
        module = f'"""Prices of {name}."""\n' + "".join(_FUNCTION.format(number=number) for number in range(_WRITTEN))
        head = f"import unittest\n\nfrom src import {name}\n\n\nclass {name.title()}Test(unittest.TestCase):"
        tests = head + "".join(_TEST.format(name=name, number=number) for number in range(_TESTED))
        scripts[name] = [
            {"say": _SAY, "tool": "read", "args": {"path": "README.md"}},
            {"say": _SAY, "tool": "read", "args": {"path": "src/app.py"}},
            {"tool": "write", "args": {"path": f"src/{name}.py", "content": module}},
            {"tool": "write", "args": {"path": f"tests/test_{name}.py", "content": tests}},
            {"tool": "bash", "args": {"command": f"python3 -m unittest tests.test_{name}", "timeout_s": 60}},
            {"tool": "report", "args": {"status": "done", "summary": f"feat({name}): add {name}"}},
        ]
    for name, steps in scripts.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}), "utf-8")


def _run(scenario: Path, workers: int, pace: float) -> _Run:
    """One goal to its commit; see `run_goal`."""
    features = [
        {
            "id": name,
            "title": f"Add {name}",
            "brief": f"Write it, with its tests. [[script:{name}]]",
            "partition": [f"src/{name}.py", f"tests/test_{name}.py"],
        }
        for name in _names()
    ]
    check = "python3 -m unittest discover -t . -s tests"
    return _measured(*run_goal(scenario, _FILES, features, check, workers=workers, pace=pace))


def _measured(events: list[dict[str, Any]], calls: list[dict[str, Any]]) -> _Run:
    begun = {event["data"]["stage"]: second(event["timestamp"]) for event in events if event["type"] == "stage:changed"}
    first = next(event for event in events if event["type"] == "run:started")
    last = next(event for event in events if event["type"] == "run:finished")
    workers = {
        event["agent_id"]
        for event in events
        if event["type"] == "instance:planned" and event["data"]["role"] == "worker"
    }
    model: dict[str, float] = dict.fromkeys(sorted(workers), 0.0)
    for call in calls:
        if call["agent_id"] in model:
            model[call["agent_id"]] += call["latency_s"]
    return _Run(
        begun["INTEGRATE"] - begun["DISPATCH"],
        second(last["timestamp"]) - second(first["timestamp"]),
        list(model.values()),
    )
