"""A note that comes while a real program works reaches its model with its next tool result, and only once (AGENT-6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_kinds import log_of, write_design

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

WORDS = "the port is 8080 and not 8000"


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *((kind, mode) for kind in ("claude-code", "qwen-code", "opencode") for mode in ("headless", "terminal")),
        ("codex", "headless"),
        ("gemini-cli", "headless"),
    ],
)
def test_a_note_comes_with_the_result_of_the_next_tool_call(
    workspace: ScratchWorkspace, serve: Any, kind: str, mode: str
) -> None:
    """Those without a hook for it call read_messages, as their first prompt tells them."""
    next_call = {"tool": "cli:shell", "args": {"command": "echo two"}}
    steps = [
        {"tool": "cli:shell", "args": {"command": "echo one"}},
        {**({"tool": "mcp:read_messages"} if kind in ("codex", "gemini-cli") else next_call), "gate": "held"},
        {"tool": "cli:write", "args": {"path": "src/NAME.py", "content": "NAME = 1\n"}},
        {"text": "feat(NAME): add the file"},
    ]
    server = serve(steps)
    options = ["--design", write_design(workspace, {"worker": kind}), "--base-url", server.base_url, "--json"]
    options += ["--note", "reviewer=[[script:reviewer]]", "--agent-mode", mode, "--detach"]
    started = workspace.aegis("run", "Files", *options)
    assert started.code == 0, started.err
    workspace.until(lambda: server.held("held"), what="the program at work", timeout_s=200)
    hub = workspace.hub()
    assert hub is not None
    (worker,) = [item["agent_id"] for item in workspace.status()["instances"] if item["role"] == "worker"]
    number = hub.command("message:send", to=worker, text=WORDS)["seq"]
    server.open_gate("held")
    ended = workspace.aegis("wait", started.json["run"], "--json", timeout_s=300)
    assert ended.code == 0, (ended.out, log_of(workspace, "w01"))
    counts = [item.body.count(WORDS.encode()) for item in server.received]
    assert max(counts) == 1, "each call to the model has it once at most"
    asked = [json.loads(item.body) for item, count in zip(server.received, counts, strict=True) if count]
    assert asked, "and some have it"
    acked = [event["data"] for event in workspace.events() if event["type"] == "message:acked"]
    assert {"of": number, "delivery": "delivered", "reason": ""} in acked
