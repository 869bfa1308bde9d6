"""What each kind writes outside its partition is refused, and the dashboard says by which layer (PART-3, AGENT-5)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_guard import GUARDED
from tests.real_agents.test_kinds import KINDS, log_of, run, steps_of

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

AT_COMMIT = "no guard: writes outside the partition are refused at the commit"


def refusing(serve: Any, tries: Any, repair: Any, **section: Any) -> RecordedLLM:
    """The server whose model tries something, and repairs it once it is told that it was not accepted.

    A program that cannot go on with its conversation gets both prompts in one message.
    """
    first = {"on": r"\[\[script:worker", "on_role": "user", "steps": tries, **section}
    server: RecordedLLM = serve(repair, more=[first], on="was not accepted", on_role="user", **section)
    return server


def work(workspace: ScratchWorkspace, server: RecordedLLM, kind: str) -> None:
    """Let a worker of that kind do its task; at the end only its own file has changed."""
    answer = run(workspace, server, {"worker": kind})
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), log_of(workspace, "w01"), answer.err)
    assert workspace.git("diff", "--name-only", "main", report["commit"]["oid"]) == "src/worker.py"


def page(workspace: ScratchWorkspace) -> str:
    """The page that the dashboard has for the worker, as one line."""
    return " ".join(workspace.aegis("explain", "w01").out.split())


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_outside_the_partition_is_refused_told_and_repaired(
    workspace: ScratchWorkspace, serve: Any, kind: str
) -> None:
    """In the worktree, by the commit; in the person's checkout, by the sandbox."""
    there = workspace.root / "escaped"
    end = steps_of(kind)[1:] if kind == "mini-swe-agent" else [{"text": "feat(worker): add the file"}]
    tries = {"command": f"echo stray >> README.md; touch {there}; echo tried"}
    repair = [
        {"tool": "cli:shell", "args": {"command": "git checkout README.md"}},
        {"tool": "cli:write", "args": {"path": "src/worker.py", "content": "worker = 1\n"}},
        *end,
    ]
    server = refusing(serve, [{"tool": "cli:shell", "args": tries}, *end], repair)
    work(workspace, server, kind)
    assert not there.exists()
    refusals = [item for item in server.received if b"was not accepted" in item.body and b"README.md" in item.body]
    assert refusals, "the program was told which path was refused"
    layers = "sandbox, commit hook, guard before each edit" if kind in GUARDED else f"sandbox, commit hook; {AT_COMMIT}"
    assert f"checked by {layers}" in page(workspace)


def test_what_aider_writes_outside_the_partition_is_refused_told_and_repaired(
    workspace: ScratchWorkspace, serve: Any
) -> None:
    """Its model's text is the whole file, after the name of the file."""
    stray = [{"text": "README.md\n```\n# Shop\nstray\n```\n"}]
    repair = [{"text": "README.md\n```\n# Shop\n```\n\nsrc/worker.py\n```\nworker = 1\n```\n"}]
    server = refusing(serve, stray, repair, by_turn=True)
    work(workspace, server, "aider")
    assert [item for item in server.received if b"was not accepted" in item.body and b"README.md" in item.body]
    assert f"checked by sandbox, commit hook; {AT_COMMIT}" in page(workspace)


def test_the_built_in_agent_is_refused_before_it_writes(workspace: ScratchWorkspace, serve: Any) -> None:
    there = workspace.root / "escaped"
    steps = [
        {"tool": "cli:write", "args": {"path": "README.md", "content": "stray\n"}},
        {"tool": "cli:write", "args": {"path": str(there), "content": "stray\n"}},
        *steps_of("native"),
    ]
    server = serve(steps)
    work(workspace, server, "native")
    assert not there.exists()
    assert [item for item in server.received if b"README.md is in nobody's partition" in item.body]
