"""Three real agent programs work through a real vLLM at once, from dispatch to one commit (AGENT-1, LLM-1).

Needs the vLLM kit, as tests/e2e/test_real_vllm.py does, and the programs that `scripts/install-agents` installs.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_real_vllm import BUILD_DEADLINE_S, built_folder, kit_folder, wait_until_healthy
from tests.real_agents.test_kinds import write_design

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(1800)]

KINDS = {"alpha": "claude-code", "beta": "codex", "gamma": "opencode"}
REVIEW = [
    {"tool": "read", "args": {"path": "src/app.py"}},
    {
        "tool": "verdict",
        "args": {
            "decision": "approve",
            "criteria": [
                {"id": "brief", "pass": True, "evidence": "Scripted: no model has judged this piece."},
                {"id": "tests", "pass": True, "evidence": "QA judges the tests on the merged result."},
            ],
            "findings": [],
        },
    },
]


def call_of(kind: str, folder: Path, name: str) -> dict[str, Any]:
    """The call with which a program of that kind writes its file."""
    path, content = f"{folder}/src/{name}.py", f"{name} = 1\n"
    if kind == "claude-code":
        return {"tool": "Write", "args": {"file_path": path, "content": content}}
    if kind == "opencode":
        return {"tool": "write", "args": {"filePath": path, "content": content}}
    return {"tool": "exec_command", "args": {"cmd": f"printf '{name} = 1\\n' > {path}"}}


@pytest.fixture
def base_url(workspace: ScratchWorkspace, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A vLLM whose tiny model says what each program's script says."""
    kit, built = kit_folder(), built_folder()
    if "not real_vllm" in str(request.config.getoption("markexpr")) or not (kit / "setup.sh").exists():
        pytest.skip("missing: vllm-kit")
    if not (built / "model" / "config.json").exists():
        subprocess.run(["bash", str(kit / "setup.sh"), str(built)], check=True, timeout=BUILD_DEADLINE_S)
    worktrees = Path(workspace.environ["XDG_STATE_HOME"]) / "aegis-tui" / workspace_key_of(workspace.root) / "worktrees"
    scripts = {
        name: [call_of(kind, worktrees / f"w{number:02d}", name), {"text": f"feat({name}): add the file"}]
        for number, (name, kind) in enumerate(KINDS.items(), 1)
    }
    for name, steps in {**scripts, "reviewer": REVIEW}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"steps": steps, "side": "A title"}), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    argv = ["bash", str(kit / "serve.sh"), str(built), str(port), str(tmp_path)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def test_three_kinds_work_at_once_through_a_real_server(workspace: ScratchWorkspace, base_url: str) -> None:
    options = ["--design", write_design(workspace, KINDS), "--base-url", base_url, "--headless", "--json"]
    answer = workspace.aegis("run", "Files", *options, "--note", "reviewer=[[script:reviewer]]", timeout_s=900)
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), answer.err)
    assert not report["scripted"]
    workers = [item for item in report["instances"] if item["role"] == "worker"]
    assert sorted(item["kind"] for item in workers) == sorted(KINDS.values())
    for name in KINDS:
        assert workspace.git("show", f"{report['commit']['oid']}:src/{name}.py") == f"{name} = 1"
    for item in workers:
        print(f"{item['kind']}: {item['duration_s']} s, {item['tokens']}")
        assert item["tokens"]["prompt"] > 0
