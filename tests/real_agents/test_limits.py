"""Real agent programs meet their model server's limit, and the task goes on by itself when it ends (M19)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.agents import installed
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.limiting_proxy import LimitingProxy
from tests.real_agents.test_kinds import log_of, steps_of, write_design

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

PAUSE_S = 8
KINDS = ("claude-code", "codex", "opencode", "qwen-code", "mini-swe-agent")


def add_impatient(workspace: ScratchWorkspace, kind: str) -> str:
    """Add a kind that differs from a shipped one only in that pauses of seconds count as a limit; return its name."""
    text = (Path(installed.__file__).with_name("kinds") / f"{kind}.toml").read_text("utf-8")
    assert "[usage_limit]\n" in text
    folder = workspace.folder / "config" / "aegis-tui" / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    text = text.replace("[usage_limit]\n", "[usage_limit]\nshortest_wait_s = 2.0\nusual_wait_s = 2.0\n")
    (folder / f"impatient-{kind}.toml").write_text(text, "utf-8")
    return f"impatient-{kind}"


@pytest.mark.parametrize("mode", ["headless", "terminal"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_limited_program_goes_on_by_itself(workspace: ScratchWorkspace, serve: Any, kind: str, mode: str) -> None:
    if (kind, mode) == ("mini-swe-agent", "terminal"):
        pytest.skip("it has no interface of its own")
    name, server = add_impatient(workspace, kind), serve(steps_of(kind))
    with LimitingProxy(server.base_url, "[[script:worker]]", refusals=3, pause_s=str(PAUSE_S)) as proxy:
        named = ["--design", write_design(workspace, {"worker": name}), "--base-url", proxy.base_url, "--json"]
        options = [*named, "--note", "reviewer=[[script:reviewer]]", "--agent-mode", mode, "--headless"]
        answer = workspace.aegis("run", "Files", *options, timeout_s=300)
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    assert workspace.git("show", f"{report['commit']['oid']}:src/worker.py") == "worker = 1"
    assert len([item for item in report["instances"] if item["role"] == "worker"]) == 1
    print(f"{kind}, {mode}: {log_of(workspace, 'w01')}")
    assert proxy.left == 0
    assert "◔ limited" in answer.err or "limited until" in answer.err
