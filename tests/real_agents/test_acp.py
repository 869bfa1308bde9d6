"""Real agent programs do a worker's task over ACP, from dispatch to the commit (AGENT-3)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_forbidden import refusing
from tests.real_agents.test_guard import GUARDED, STEPS
from tests.real_agents.test_interface import (
    DONE,
    end,
    model,
    processes,
    reports,
    start,
    start_and_interrupt,
    write,
)
from tests.real_agents.test_kinds import log_of, run, steps_of

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

SPEAK_ACP = {
    "opencode": "opencode",
    "gemini-cli": "gemini",
    "qwen-code": "qwen",
    "claude-code": "claude-agent-acp",
    "codex": "codex-acp",
}
"""Kind -> the program that speaks ACP."""
__all__ = ["model"]


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


@pytest.mark.parametrize("kind", SPEAK_ACP)
def test_an_interrupt_ends_the_turn_and_the_next_prompt_goes_on(
    workspace: ScratchWorkspace, model: Any, kind: str
) -> None:
    run, server = start_and_interrupt(workspace, model, kind, number=2, mode="acp")
    (program,) = processes(workspace, SPEAK_ACP[kind])[:1]
    sent = workspace.aegis("send", "w01", "Write it now.", "--wait", "90", "--json")
    assert sent.json["delivery"] == "delivered", (sent.out, log_of(workspace, "w01"))
    assert program.is_running(), "the same process goes on"
    if kind == "gemini-cli":  # it forgets the prompt, gets it again, and its scripted model does the same again
        assert [item for item in server.received if b"Write it now" in item.body and b"Add worker" in item.body]
        workspace.aegis("cancel", run)
    else:
        end(workspace, server, run, 2)


@pytest.mark.parametrize("kind", SPEAK_ACP)
def test_a_program_that_died_goes_on_with_its_conversation(workspace: ScratchWorkspace, model: Any, kind: str) -> None:
    # By its shell: some programs overwrite only a file that they have read since their start.
    anew = {"tool": "cli:shell", "args": {"command": "echo worker = 4 > src/worker.py"}}
    server = model([write(1), DONE], Write_it_anew=[anew, DONE])
    run = start(workspace, server, kind, "acp")
    workspace.until(lambda: reports(workspace, "done"), what="the first turn", timeout_s=400)
    for program in processes(workspace, SPEAK_ACP[kind]):
        program.kill()
    sent = workspace.aegis("send", "w01", "Write it anew.", "--wait", "120", "--json")
    assert sent.json["delivery"] == "delivered", (sent.out, log_of(workspace, "w01"))
    words = [b"[[script:worker]]", b"feat(worker): add the file", b"Write it anew"]
    if kind == "gemini-cli":  # it may have lost the end of the conversation; then it gets the earlier prompts again
        words.remove(b"feat(worker): add the file")
    workspace.until(lambda: len(reports(workspace, "done")) > 1, what="the second turn", timeout_s=120)
    held = [item for item in server.received if all(word in item.body for word in words)]
    seen = [[word in item.body for word in words] for item in server.received]
    assert held, ("it is not one conversation", seen, sent.out, reports(workspace, "done"), log_of(workspace, "w01"))
    end(workspace, server, run, 4)
