"""Twenty built-in agents at once: what status shows, against what the model server has told each one to do (PANE-5).

Generous bounds, for machines with much else to do; 2 s at p95 and never over 10 s are wanted, and what it took is
printed.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_kill import SCRIPTS, call, serve
from tests.workspace import SHOP, clean_workspace

pytestmark = pytest.mark.timeout(420)
NUMBER = 20
P95_S, LONGEST_S = 5.0, 20.0
WORKING = {"exploring", "planning", "implementing", "testing", "self-QA"}
NAMES = [f"part{number:02}" for number in range(NUMBER)]


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        yield scratch
        scratch.aegis("hub", "stop", "--force")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RecordedLLM]:
    """Each step of each worker waits at a gate of its own."""
    scripts: dict[str, Any] = {"reviewer": SCRIPTS["reviewer"]}
    for name in NAMES:
        steps = [
            call("lock", action="request", path=f"shared/{name}.txt", reason="it is needed"),
            call("write", path=f"src/{name}/a.py", content="A = 1\n"),
            call("report", status="done", summary="Add it"),
        ]
        scripts[name] = [{**step, "gate": f"{name}-{at}"} for at, step in enumerate(steps)]
    server = serve(tmp_path / "scripts", scripts)
    yield server
    server.close()


def start(workspace: ScratchWorkspace, model: RecordedLLM) -> None:
    features = [
        {"id": name, "title": name, "brief": f"Part. [[script:{name}]]", "partition": [f"src/{name}/**"]}
        for name in NAMES
    ]
    place = workspace.folder / "design.yaml"
    place.write_text(json.dumps({"goal": "Parts", "features": features, "qa": {"commands": ["true"]}}))
    options = ["--design", str(place), "--base-url", model.base_url, "--workers", str(NUMBER)]
    answer = workspace.aegis("run", "Parts", *options, "--detach", "--json", timeout_s=200)
    assert answer.code == 0, answer.err


class Checker:
    """Opens the gates in any order, and measures how long what is shown differs from what is true."""

    def __init__(self, workspace: ScratchWorkspace, model: RecordedLLM) -> None:
        self.workspace, self.model = workspace, model
        self.at = dict.fromkeys(NAMES, 0)
        """The step whose reply each worker waits for; 3 when it has got all."""
        self.due: dict[str, tuple[float, int]] = {}
        """Worker -> when it got a reply that is not shown yet, and of which step."""
        self.lags: list[float] = []
        self.wrong: Counter[str] = Counter()

    def look(self) -> None:
        state = self.workspace.status()
        shown = {item["piece"]: item for item in state["instances"] if item["role"] == "worker"}
        asked = {words.split()[-1].split("/")[-1].removesuffix(".txt") for words in self.needs()}
        now = time.monotonic()
        for name in NAMES:
            if name not in shown:
                self.wrong[f"{name}: not shown"] += 1
            elif name in self.due:
                since, step = self.due[name]
                truth = (name in asked, shown[name]["word"] == "implementing", shown[name]["word"] not in WORKING)[step]
                if truth:
                    self.lags.append(now - since)
                    del self.due[name]
            elif (
                self.at[name] < 3 and self.model.held(f"{name}-{self.at[name]}") and shown[name]["word"] not in WORKING
            ):
                self.wrong[f"{name}: {shown[name]['word']} while its model is asked"] += 1

    def needs(self) -> list[str]:
        items = self.workspace.aegis("inbox", "--json").json["items"]
        return [item["words"] for item in items if item["kind"] == "scope"]

    def open_some(self, chance: random.Random) -> None:
        ready = [
            name
            for name in NAMES
            if name not in self.due and self.at[name] < 3 and self.model.held(f"{name}-{self.at[name]}")
        ]
        for name in chance.sample(ready, min(4, len(ready))):
            self.model.open_gate(f"{name}-{self.at[name]}")
            self.due[name] = (time.monotonic(), self.at[name])
            self.at[name] += 1


def test_the_states_of_twenty_agents_are_right_and_each_need_is_raised_once(
    workspace: ScratchWorkspace, model: RecordedLLM
) -> None:
    start(workspace, model)
    workspace.until(lambda: all(model.held(f"{name}-0") for name in NAMES), what="all to ask", timeout_s=240)
    checker, chance, end = Checker(workspace, model), random.Random(20), time.monotonic() + 150
    while (any(at < 3 for at in checker.at.values()) or checker.due) and time.monotonic() < end:
        checker.open_some(chance)
        checker.look()
    lags = sorted(checker.lags)
    p95 = lags[int(len(lags) * 0.95)]
    print(f"{len(lags)} changes: p50 {lags[len(lags) // 2]:.2f} s, p95 {p95:.2f} s, longest {lags[-1]:.2f} s")
    assert not checker.due and len(lags) == 3 * NUMBER
    assert p95 < P95_S and lags[-1] < LONGEST_S
    assert not checker.wrong
    raised = Counter(event["agent_id"] for event in workspace.events() if event["type"] == "scope:requested")
    assert len(raised) == NUMBER and set(raised.values()) == {1}
