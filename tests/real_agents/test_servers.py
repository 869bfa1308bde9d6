"""Real agent programs call a tool of an MCP server that the person has named in the settings (AGENT-7)."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_mcp_servers import WORDS
from tests.real_agents.test_kinds import WITH_MCP, log_of, run

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

STEPS: list[dict[str, Any]] = [
    {"tool": "mcp:words__shout", "args": {"text": "hello"}},
    {"tool": "cli:write", "args": {"path": "src/NAME.py", "content": "NAME = 1\n"}},
    {"text": "feat(NAME): add the file"},
]


@pytest.mark.parametrize("kind", WITH_MCP)
def test_a_program_calls_a_tool_of_the_persons_server(workspace: ScratchWorkspace, serve: Any, kind: str) -> None:
    folder = workspace.folder / "config" / "aegis-tui"
    folder.mkdir(parents=True, exist_ok=True)
    command, environment = [sys.executable, "-c", WORDS], f'{{MARK = "!", CHECKOUT = "{workspace.root}"}}'
    text = f"[mcp.words]\ncommand = {json.dumps(command)}\nenvironment = {environment}\n"
    (folder / "config.toml").write_text(text, "utf-8")
    server = serve(STEPS)
    answer = run(workspace, server, {"worker": kind})
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    assert workspace.git("show", f"{report['commit']['oid']}:src/worker.py") == "worker = 1"
    said = b"HELLO ! network refused checkout refused"
    assert [item for item in server.received if said in item.body], "its answer reached the model"
    assert not (workspace.root / "escaped").exists()
