"""Three real agent programs work through a real vLLM at once, from dispatch to one commit (AGENT-1, LLM-1).

Needs the vLLM kit, see tests/vllm_kit.py, and the programs that `scripts/install-agents` installs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_kinds import write_design
from tests.vllm_kit import need_kit, serving, write_scripts

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
    need_kit(request)
    worktrees = Path(workspace.environ["XDG_STATE_HOME"]) / "aegis-tui" / workspace_key_of(workspace.root) / "worktrees"
    scripts = {
        name: [call_of(kind, worktrees / f"w{number:02d}", name), {"text": f"feat({name}): add the file"}]
        for number, (name, kind) in enumerate(KINDS.items(), 1)
    }
    write_scripts(tmp_path, {**scripts, "reviewer": REVIEW})
    with serving(tmp_path) as url:
        yield url


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
