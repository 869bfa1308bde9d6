"""A scout looks ahead for a worker (ROLE-3), and a role's tools are enforced whatever the model says (ROLE-13)."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.playground import scripted_server
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace

pytestmark = pytest.mark.timeout(120)
BRIEF = "Handlers are in src/shop/catalog.py:8."


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    create_sample_repository(scratch.root)
    yield scratch
    left = scratch.leftovers()
    scratch.close()
    assert left == []


@pytest.fixture
def base_url(tmp_path: Path) -> Iterator[str]:
    """The calm scenario with a scout that tries to write before it reports."""
    scenario = tmp_path / "scenario"
    shutil.copytree(scenario_directory("calm"), scenario)
    steps: list[dict[str, Any]] = [
        {"tool": "write", "args": {"path": "src/shop/mine.py", "content": "x = 1\n"}},
        {"tool": "bash", "args": {"command": "touch src/shop/mine.py"}},
        {"tool": "read", "args": {"path": "src/shop/catalog.py"}},
        {"tool": "report", "args": {"status": "done", "summary": BRIEF}},
    ]
    (scenario / "scout.json").write_text(json.dumps({"steps": steps}))
    with scripted_server(scenario, tmp_path) as card:
        yield str(card["url"])


def test_a_scout_changes_nothing_and_its_brief_reaches_the_worker_beside_it(
    workspace: ScratchWorkspace, base_url: str
) -> None:
    design = scenario_directory("calm") / "design.yaml"
    answer = workspace.aegis(
        *("run", "Search", "--design", str(design), "--scouts", "--headless", "--json", "--base-url", base_url),
        *("--note", "scout=[[script:scout]]", "--note", "reviewer=[[script:reviewer]]"),
    )
    assert answer.code == 0, answer.err
    report = answer.json
    scouts = [item for item in report["instances"] if item["role"] == "scout"]
    workers = {item["feature"]: item["agent_id"] for item in report["instances"] if item["role"] == "worker"}
    assert {item["feature"] for item in scouts} == set(workers)
    assert all(item["partition"] == [] for item in scouts)
    hub = workspace.start("hub", "start")
    hub.communicate(timeout=30)
    events = workspace.events()
    workspace.aegis("hub", "stop")
    told = {
        (event["agent_id"], event["data"]["to"])
        for event in events
        if event["type"] == "message:sent" and BRIEF in event["data"]["text"]
    }
    assert told == {(item["agent_id"], workers[item["feature"]]) for item in scouts}
    assert [item["rescue_ref"] for item in scouts] == [None] * len(scouts)
    assert not [event for event in events if "mine.py" in json.dumps(event)]
    assert "src/shop/mine.py" not in workspace.git("ls-tree", "-r", "--name-only", report["commit"]["branch"])
