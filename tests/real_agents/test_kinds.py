"""Real agent programs do a worker's task in a pane, through sandbox and gateway, from dispatch to the commit (AGENT-1).

The model is the scripted server, so what each program is told to do is the same. `scripts/install-agents` installs the
programs; one that is missing fails its test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.real_agents.names import check_names

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

WITH_MCP = ("claude-code", "codex", "opencode", "qwen-code", "gemini-cli")
KINDS = (*WITH_MCP, "mini-swe-agent")


def brief(workspace: ScratchWorkspace, script: str, number: int) -> str:
    state = Path(workspace.environ["XDG_STATE_HOME"]) / "aegis-tui" / workspace_key_of(workspace.root)
    return f"Write the file.\n\n[[script:{script}]] [[cwd:{state}/worktrees/w{number:02d}]]"


def write_design(workspace: ScratchWorkspace, kinds: dict[str, str], joint: Sequence[str] = ()) -> str:
    """Write a design with one feature for each script of `kinds`, by that kind, and joint files; return its path."""
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
    design.write_text(json.dumps({"goal": "Files", "features": features, "joint": joint, "qa": qa}), "utf-8")
    return str(design)


def run(
    workspace: ScratchWorkspace,
    server: RecordedLLM,
    kinds: dict[str, str],
    *options: str,
    joint: Sequence[str] = (),
    timeout_s: float = 300.0,
) -> CommandResult:
    named = ["--design", write_design(workspace, kinds, joint), "--base-url", server.base_url]
    named += ["--note", "reviewer=[[script:reviewer]]"]
    answer = workspace.aegis("run", "Files", *named, "--headless", "--json", *options, timeout_s=timeout_s)
    check_names(answer.json["instances"])
    assert answer.json["boundary"]["level"] == "bubblewrap", "there is no way out but the gateway"
    return answer


def steps_of(kind: str) -> list[dict[str, Any]]:
    write = {"tool": "cli:write", "args": {"path": "src/NAME.py", "content": "NAME = 1\n"}}
    if kind == "native":
        return [write, {"tool": "report", "args": {"status": "done", "summary": "Add the file"}}]
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


def test_aider_does_a_workers_task(workspace: ScratchWorkspace, serve: Any) -> None:
    """It has no tools and no MCP: its model's text is the whole file, after the name of the file."""
    server = serve([{"text": "src/worker.py\n```\nworker = 1\n```\n"}], by_turn=True)
    answer = run(workspace, server, {"worker": "aider"})
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    assert workspace.git("show", f"{report['commit']['oid']}:src/worker.py") == "worker = 1"
