"""A goal alone: the Commander proposes the design through the model, and scouts look ahead for the workers (ROLE-3).

A role's tools are enforced whatever the model says (ROLE-13).
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.playground import scripted_server
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

pytestmark = pytest.mark.timeout(300)
BRIEF = "Handlers are in src/shop/catalog.py:8."


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
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
    with scripted_server(scenario, tmp_path, pace=0) as card:
        yield str(card["url"])


def test_the_commander_designs_and_scouts_that_change_nothing_hand_their_brief_to_the_workers(
    workspace: ScratchWorkspace, base_url: str
) -> None:
    theirs = workspace.root / ".agents" / "agents" / "scout.md"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("---\nname: scout\ndescription: ours\ntools: [read, report]\n---\nLook.\n")
    notes = [word for role in ("commander", "scout", "reviewer") for word in ("--note", f"{role}=[[script:{role}]]")]
    goal = "Add a catalogue search and receipts to the shop"
    answer = workspace.aegis("run", goal, "--yes", "--scouts", "--headless", "--json", "--base-url", base_url, *notes)
    assert answer.code == 0, answer.err
    report = answer.json
    commander = report["instances"][0]
    assert (commander["role"], commander["partition"]) == ("commander", [])
    assert {gate["name"]: gate["passed"] for gate in report["stages"][0]["gates"]}["design_agreed"]
    assert workspace.git("rev-parse", f"{report['commit']['branch']}^") == workspace.git("rev-parse", "main")
    scouts = [item for item in report["instances"] if item["role"] == "scout"]
    workers = {item["feature"]: item["agent_id"] for item in report["instances"] if item["role"] == "worker"}
    assert {item["feature"] for item in scouts} == set(workers) == {"search", "receipt"}
    assert all(item["partition"] == [] for item in scouts)
    assert all(item["tokens"]["completion"] > 0 for item in report["instances"])
    hub = workspace.start("hub", "start")
    hub.communicate(timeout=30)
    events = workspace.events()
    workspace.aegis("hub", "stop")
    told = {
        (event["agent_id"], event["data"]["to"])
        for event in events
        if event["type"] == "message:sent" and BRIEF in event["data"]["text"]
    }
    copies = list(workspace.folder.glob("state/aegis-tui/*/instances/s*/roles/scout.md"))
    assert [copy.read_text() for copy in copies] == [theirs.read_text()] * 2
    assert told == {(item["agent_id"], workers[item["feature"]]) for item in scouts}
    assert [item["rescue_ref"] for item in scouts] == [None] * len(scouts)
    assert not [event for event in events if "mine.py" in json.dumps(event)]
    assert "src/shop/mine.py" not in workspace.git("ls-tree", "-r", "--name-only", report["commit"]["branch"])
