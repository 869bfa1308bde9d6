"""Real agent programs do a worker's task in a pane, through sandbox and gateway, from dispatch to the commit (AGENT-1).

The model is the scripted server, so what each program is told to do is the same. `scripts/install-agents` installs the
programs; one that is missing fails its test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.agents.search_path import search_path
from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import Answer, ScratchWorkspace

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

WITH_MCP = ("claude-code", "codex", "opencode", "qwen-code")
KINDS = (*WITH_MCP, "mini-swe-agent")
TEST = """import unittest


class Works(unittest.TestCase):
    def test_it(self) -> None:
        self.assertTrue(True)
"""


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    scratch.environ["PATH"] = search_path(os.environ)
    scratch.init({"README.md": "# Shop\n", "src/app.py": "x = 1\n", "tests/test_app.py": TEST})
    yield scratch
    scratch.aegis("hub", "stop", "--force")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Starts the scripted server with a worker's steps; the reviewer is the one of the calm scenario."""
    servers: list[RecordedLLM] = []

    def start(steps: Sequence[dict[str, Any]], *names: str) -> RecordedLLM:
        folder = tmp_path / "scenario"
        folder.mkdir()
        reviewer = (scenario_directory("calm") / "reviewer.json").read_text("utf-8")
        (folder / "reviewer.json").write_text(reviewer.replace("src/shop/routes.py", "src/app.py"), "utf-8")
        for name in names or ("worker",):
            mine = json.loads(json.dumps(list(steps)).replace("NAME", name))
            (folder / f"{name}.json").write_text(json.dumps({"steps": mine, "side": "scripted"}), "utf-8")
        servers.append(RecordedLLM(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def brief(workspace: ScratchWorkspace, script: str, number: int) -> str:
    state = Path(workspace.environ["XDG_STATE_HOME"]) / "aegis-tui" / workspace_key_of(workspace.root)
    return f"Write the file.\n\n[[script:{script}]] [[cwd:{state}/worktrees/w{number:02d}]]"


def run(
    workspace: ScratchWorkspace, server: RecordedLLM, kinds: dict[str, str], *options: str, timeout_s: float = 300.0
) -> Answer:
    """Run one feature for each script of `kinds`, by that kind."""
    features = [
        {
            "id": script,
            "title": f"Add {script}",
            "brief": brief(workspace, script, number),
            "partition": [f"src/{script}.py"],
            "kind": kind,
        }
        for number, (script, kind) in enumerate(kinds.items(), 1)
    ]
    design = workspace.folder / "design.yaml"
    qa = {"commands": ["python3 -m unittest discover -s tests"]}
    design.write_text(json.dumps({"goal": "Files", "features": features, "qa": qa}), "utf-8")
    named = ["--design", str(design), "--base-url", server.base_url, "--note", "reviewer=[[script:reviewer]]"]
    return workspace.aegis("run", "Files", *named, "--headless", "--json", *options, timeout_s=timeout_s)


def steps_of(kind: str) -> list[dict[str, Any]]:
    write = {"tool": "cli:write", "args": {"path": "src/NAME.py", "content": "NAME = 1\n"}}
    if kind == "mini-swe-agent":
        done = {"tool": "cli:shell", "args": {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}}
        return [write, done, {"text": "done"}]
    return [{"tool": "mcp:get_scope"}, write, {"text": "feat(NAME): add the file"}]


def log_of(workspace: ScratchWorkspace, name: str) -> str:
    return next((workspace.folder / "state").rglob(f"logs/{name}.log"), Path(os.devnull)).read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_does_a_workers_task_headless(workspace: ScratchWorkspace, serve: Any, kind: str) -> None:
    server = serve(steps_of(kind))
    answer = run(workspace, server, {"worker": kind})
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    worker = next(item for item in report["instances"] if item["role"] == "worker")
    assert worker["kind"] == kind and worker["tokens"]["prompt"] > 0
    assert workspace.git("show", f"{report['commit']['oid']}:src/worker.py") == "worker = 1"
    if kind in WITH_MCP:
        scope = [item for item in server.received if b"src/worker.py" in item.body and b"partition" in item.body]
        assert scope, "the answer of get_scope reached the model"


@pytest.mark.parametrize("kind", WITH_MCP)
def test_a_program_does_a_workers_task_in_its_own_interface(workspace: ScratchWorkspace, serve: Any, kind: str) -> None:
    server = serve(steps_of(kind))
    answer = run(workspace, server, {"worker": kind}, "--agent-mode", "terminal")
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    assert workspace.git("show", f"{report['commit']['oid']}:src/worker.py") == "worker = 1"
    prompts = [item.body.count(b"[[script:worker]]") for item in server.received]
    assert max(prompts) == 1, "the prompt is in the conversation once"
