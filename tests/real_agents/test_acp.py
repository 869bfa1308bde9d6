"""Real agent programs do a worker's task over ACP, from dispatch to the commit (AGENT-3)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_forbidden import refusing
from tests.real_agents.test_guard import GUARDED, STEPS
from tests.real_agents.test_kinds import log_of, run, steps_of

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

SPEAK_ACP = ("opencode", "gemini-cli", "qwen-code", "claude-code", "codex")


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


@pytest.mark.parametrize("kind", sorted(GUARDED))
def test_a_write_outside_the_partition_is_refused_before_it_is_made(
    workspace: ScratchWorkspace, serve: Any, kind: str
) -> None:
    server = serve(STEPS)
    answer = run(workspace, server, {"worker": kind}, "--agent-mode", "acp", joint=["src/routes.py"])
    report = answer.json
    log = log_of(workspace, "w01")
    assert answer.code == 0 and report["ok"], (report.get("error"), log, answer.err)
    said = f"README.md is in nobody's partition, so it was not changed; ask for it with the tool {GUARDED[kind]}"
    assert [item for item in server.received if said.encode() in item.body], "the model was told why, at once"
    assert workspace.git("show", f"{report['commit']['oid']}:README.md") == "# Shop"
    assert "Your work was not accepted" not in log


@pytest.mark.parametrize("kind", SPEAK_ACP)
def test_work_that_is_refused_is_repaired_in_the_same_conversation(
    workspace: ScratchWorkspace, serve: Any, kind: str
) -> None:
    """The second prompt goes to the same session: its calls hold the first one too."""
    end = [{"text": "feat(worker): add the file"}]
    tries = [{"tool": "cli:shell", "args": {"command": "echo stray >> README.md"}}, *end]
    repair = [
        {"tool": "cli:shell", "args": {"command": "git checkout README.md"}},
        {"tool": "cli:write", "args": {"path": "src/worker.py", "content": "worker = 1\n"}},
        *end,
    ]
    server = refusing(serve, tries, repair)
    answer = run(workspace, server, {"worker": kind}, "--agent-mode", "acp")
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    assert workspace.git("diff", "--name-only", "main", report["commit"]["oid"]) == "src/worker.py"
    told = [item.body for item in server.received if b"was not accepted" in item.body]
    assert max(body.count(b"[[script:worker]]") for body in told) == 1, "the first prompt is in the conversation once"
