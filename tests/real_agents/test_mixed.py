"""Real agent programs of several makes work at once, each on a feature of its own, and no prompt is lost (AGENT-1)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_kinds import log_of, run, steps_of

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(900)]

THREE = {"alpha": "claude-code", "beta": "codex", "gamma": "opencode"}
SIX = {**THREE, "delta": "qwen-code", "epsilon": "mini-swe-agent", "zeta": "native"}


@pytest.mark.parametrize("kinds", [THREE, SIX], ids=["three", "six"])
def test_kinds_of_several_makes_work_at_once_and_no_prompt_is_lost(
    workspace: ScratchWorkspace, serve: Any, kinds: dict[str, str]
) -> None:
    server = serve({name: steps_of(kind) for name, kind in kinds.items()})
    answer = run(workspace, server, kinds, timeout_s=700)
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), answer.err)
    workers = {item["feature"]: item for item in report["instances"] if item["role"] == "worker"}
    assert {name: item["kind"] for name, item in workers.items()} == kinds
    assert len([item for item in report["instances"] if item["role"] == "worker"]) == len(kinds), "each needed one"
    print(f"\n{'kind':<16}{'seconds':>8}{'prompt':>9}{'cached':>9}{'completion':>12}  its brief is in")
    for name, item in workers.items():
        assert workspace.git("show", f"{report['commit']['oid']}:src/{name}.py") == f"{name} = 1"
        counts = [received.body.count(f"[[script:{name}]]".encode()) for received in server.received]
        assert max(counts) == 1, (name, "its prompt is in its conversation, and once", log_of(workspace, item["id"]))
        tokens = item["tokens"]
        used = f"{tokens['prompt']:>9}{tokens['cached']:>9}{tokens['completion']:>12}"
        print(f"{item['kind']:<16}{item['duration_s']:>8.1f}{used}  {counts.count(1)} calls, once in each")
