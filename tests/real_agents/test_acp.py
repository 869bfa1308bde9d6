"""Real agent programs do a worker's task over ACP, from dispatch to the commit (AGENT-3)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_kinds import log_of, run, steps_of

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

SPEAK_ACP = ("opencode", "gemini-cli", "qwen-code")


@pytest.mark.parametrize("kind", SPEAK_ACP)
def test_a_program_does_a_workers_task_over_acp(workspace: ScratchWorkspace, serve: Any, kind: str) -> None:
    server = serve(steps_of(kind))
    answer = run(workspace, server, {"worker": kind}, "--agent-mode", "acp")
    report = answer.json
    log = log_of(workspace, "w01")
    print(log)
    assert answer.code == 0 and report["ok"], (report.get("error"), log, answer.err)
    assert workspace.git("show", f"{report['commit']['oid']}:src/worker.py") == "worker = 1"
    scope = [item for item in server.received if b"src/worker.py" in item.body and b"partition" in item.body]
    assert scope, "the answer of get_scope reached the model"
