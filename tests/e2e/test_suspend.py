"""All processes of a workspace stand still for longer than sessions last, then go on: no instance is lost (PANE-9)."""

from __future__ import annotations

import json
import shutil
import signal
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.domain.workspace import SESSION_TTL_S
from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

pytestmark = pytest.mark.timeout(240)

PROGRAM = r"""
import os, time
while not os.path.exists("go"):
    time.sleep(0.1)
os.remove("go")
with open("src/size.py", "w") as file:
    file.write("SIZE = 1\n")
print("feat: add the size")
"""
KIND = """
title = "Parrot"
programs = ["python3"]

[headless]
argv = ["python3", "{home}/parrot.py", "{prompt}"]

[[files]]
path = "parrot.py"
text = '''PROGRAM'''
"""
ORPHAN_S = 10
TEST = """import unittest


class Works(unittest.TestCase):
    def test_it(self) -> None:
        self.assertTrue(True)
"""


def prepare(workspace: ScratchWorkspace, scenario: Path) -> list[str]:
    """Write a kind of ones own, the scenario of the built-in agent, and the design; return the options of `run`."""
    agents = workspace.folder / "config" / "aegis-tui" / "agents"
    agents.mkdir(parents=True)
    (agents / "parrot.toml").write_text(KIND.replace("PROGRAM", PROGRAM), "utf-8")
    write = {"tool": "write", "args": {"path": "src/routes.py", "content": "ROUTES = []\n"}}
    steps: list[dict[str, Any]] = [
        {"tool": "lock", "args": {"action": "acquire", "path": "src/routes.py"}},
        {**write, "gate": "held"},
        {"tool": "write", "args": {"path": "src/age.py", "content": "AGE = 1\n"}},
        {"tool": "report", "args": {"status": "done", "summary": "feat: add the age"}},
    ]
    scenario.mkdir()
    (scenario / "age.json").write_text(json.dumps({"steps": steps}), "utf-8")
    shutil.copy(scenario_directory("calm") / "reviewer.json", scenario)
    script = (scenario / "reviewer.json").read_text("utf-8")
    (scenario / "reviewer.json").write_text(script.replace("src/shop/routes.py", "src/app.py"), "utf-8")
    features = [
        {"id": name, "title": name, "brief": f"[[script:{name}]]", "partition": [f"src/{name}.py"], "kind": kind}
        for name, kind in (("age", "native"), ("size", "parrot"))
    ]
    design = workspace.folder / "design.yaml"
    qa = {"commands": ["python3 -m unittest discover -s tests"]}
    plan = {"goal": "Sizes", "features": features, "joint": ["src/routes.py"], "qa": qa}
    design.write_text(json.dumps(plan), "utf-8")
    return ["--design", str(design), "--note", "reviewer=[[script:reviewer]]", "--json"]


def stand_still(workspace: ScratchWorkspace, seconds: float) -> None:
    """Stop all processes of the workspace for so long, as the sleep of the machine does."""
    stopped = workspace.processes()
    for process in stopped:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for process in stopped:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)


def test_a_sleep_of_the_machine_loses_no_instance_and_no_lock(tmp_path: Path) -> None:
    workspace = Served()
    workspace.environ["AEGIS_ORPHAN_S"] = str(ORPHAN_S)
    workspace.init({"README.md": "# Shop\n", "src/app.py": "x = 1\n", "tests/test_app.py": TEST})
    options = prepare(workspace, tmp_path / "scenario")
    with closing(workspace), closing(RecordedLLM(tmp_path / "scenario")) as model:
        started = workspace.aegis("run", "Sizes", *options, "--base-url", model.base_url, "--detach")
        assert started.code == 0, started.err
        workspace.until(lambda: model.held("held"), what="the built-in agent with its lock")
        workspace.until(
            lambda: [item for item in workspace.status()["instances"] if item["state"] == "exploring"],
            what="the program",
        )
        stand_still(workspace, SESSION_TTL_S + 4)
        model.open_gate("held")
        state = Path(workspace.environ["XDG_STATE_HOME"]) / "aegis-tui" / workspace_key_of(workspace.root)
        (state / "worktrees" / "w02" / "go").touch()
        ended = workspace.aegis("wait", started.json["run"], "--json")
        assert ended.code == 0, ended.err
        events = workspace.events()
        assert not {"instance:lost", "lock:expired", "agent:left"} & {event["type"] for event in events}
        planned = [event["data"]["role"] for event in events if event["type"] == "instance:planned"]
        assert planned.count("worker") == 2, "none was replaced"
        workspace.aegis("hub", "stop", "--force")
