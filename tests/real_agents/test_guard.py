"""Real agent programs ask before each edit: one outside the partition is refused when it is tried (PART-3, AGENT-5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_kinds import log_of, run

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

GUARDED = {
    "claude-code": "mcp__aegis__request_scope",
    "opencode": "aegis_request_scope",
    "qwen-code": "mcp__aegis__request_scope",
}
STEPS: list[dict[str, Any]] = [
    {"tool": "cli:read", "args": {"path": "README.md"}},  # some overwrite only what they have read
    {"tool": "cli:write", "args": {"path": "README.md", "content": "written by NAME\n"}},
    {"tool": "cli:write", "args": {"path": "src/routes.py", "content": "ROUTES = []\n"}},
    {"tool": "cli:write", "args": {"path": "src/NAME.py", "content": "NAME = 1\n"}},
    {"text": "feat(NAME): add the file"},
]


@pytest.mark.parametrize("kind", sorted(GUARDED))
def test_a_write_outside_the_partition_is_refused_before_it_is_made_and_a_joint_file_is_locked(
    workspace: ScratchWorkspace, serve: Any, kind: str
) -> None:
    server = serve(STEPS)
    answer = run(workspace, server, {"worker": kind}, joint=["src/routes.py"])
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    said = f"README.md is in nobody's partition, so it was not changed; ask for it with the tool {GUARDED[kind]}"
    told = [json.loads(item.body) for item in server.received if said.encode() in item.body]
    assert told, "the request after the refused call holds the reason and the way out"
    oid = report["commit"]["oid"]
    assert workspace.git("show", "--name-only", "--format=", oid).splitlines() == ["src/routes.py", "src/worker.py"]
    assert workspace.git("show", f"{oid}:README.md") == "# Shop"
    assert workspace.git("show", f"{oid}:src/worker.py") == "worker = 1"
    locks = report["locks"]
    assert locks["granted"] == 2, "the joint file was locked for the edit, released, and locked for the submission"
    assert locks["expired"] == 0
    assert "Your work was not accepted" not in log_of(workspace, "w01"), "the commit was not refused"
    assert "sandbox, commit hook, guard before each edit" in log_of(workspace, "w01")
