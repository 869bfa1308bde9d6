"""A person directs agents of their own from several terminals: new, connect, assign, broadcast (CLI-4, contract 9)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aegis_tui.application.spec_text import load_spec
from aegis_tui.testing.scratch import CommandResult
from tests.workspace import SHOP, Served, clean_workspace


class Terminal:
    """A terminal in which `connect` runs: a line is typed, and the reply is read."""

    def __init__(self, workspace: Served, agent: str, instance: str, partition: str) -> None:
        words = ("connect", "--agent", agent, "--instance", instance, "--partition", partition)
        self._process = subprocess.Popen(
            workspace.argv(*words),
            cwd=workspace.root,
            env=workspace.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.type("message:read")

    def type(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        return reply

    def close(self) -> int:
        self._process.communicate("\n", timeout=60)
        return self._process.returncode


@contextmanager
def terminal(workspace: Served, agent: str, instance: str, partition: str) -> Iterator[Terminal]:
    joined = Terminal(workspace, agent, instance, partition)
    try:
        yield joined
    finally:
        assert joined.close() == 0


def answer(done: CommandResult, code: int = 0) -> dict[str, Any]:
    assert done.code == code, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_three_terminals() -> None:
    with clean_workspace(SHOP) as workspace:
        config = workspace.folder / "config" / "aegis-tui" / "config.toml"
        config.parent.mkdir()
        config.write_text('base_url = "http://127.0.0.1:9"\n')
        made = answer(workspace.aegis("new", "--title", "Add a search page", "--json"))
        assert (made["spec_ids"], made["mode"]) == ([made["task"]], "GCC")
        other = answer(workspace.aegis("new", "--title", "Live", "--mode", "GCC-RT", "--json"))
        assert load_spec(workspace.root / other["path"]).spec.mode == other["mode"] == "GCC-RT"
        (workspace.root / other["path"]).unlink()
        assert workspace.aegis("new", "--title", "x", "--mode", "ALL").code == 2
        with (
            terminal(workspace, "claude", "backend", "src/**") as backend,
            terminal(workspace, "codex", "frontend", "ui/**") as frontend,
        ):
            check_assigning(workspace, made, backend, frontend)
            check_an_exchange(workspace, backend)
            check_a_spec_elsewhere(workspace, made, backend)
        gone = answer(workspace.aegis("assign", "--instance", "backend", "--subtask", "T1", "--json"), code=3)
        assert gone["error"]["code"] == "instance.gone"
        assert workspace.aegis("hub", "stop").code == 0


def check_assigning(workspace: Served, made: dict[str, Any], backend: Terminal, frontend: Terminal) -> None:
    given = answer(workspace.aegis("assign", "--instance", "backend", "--subtask", "T1", "--json"))
    assert (given["task"], given["subtask"], given["agent_id"]) == (made["task"], "T1", "CLAUDE-backend")
    other = answer(workspace.aegis("assign", "--instance", "CODEX-frontend", "--subtask", "Build  the form", "--json"))
    spec = load_spec(workspace.root / made["path"]).spec
    assert [(task.id, task.assignedTo) for task in spec.tasks] == [
        ("T1", "CLAUDE-backend"),
        ("T2", ""),
        (other["subtask"], "CODEX-frontend"),
    ]
    (told,) = backend.type("message:read")["messages"]
    assert told["seq"] == given["seq"] and f"T1 of spec {made['task']}" in told["text"]
    assert "Build the form" in frontend.type("message:read")["messages"][0]["text"]
    unknown = answer(workspace.aegis("assign", "--instance", "nobody", "--subtask", "T1", "--json"), code=2)
    assert "connect" in unknown["error"]["hint"]


def check_a_spec_elsewhere(workspace: Served, made: dict[str, Any], backend: Terminal) -> None:
    """The message names the file as it is, and nobody gets a part of a spec that has ended."""
    path = workspace.root / ".agents/specs" / f"{made['task']}.yaml"
    (workspace.root / made["path"]).rename(path)
    words = ("assign", "--instance", "backend", "--subtask", "T2", "--task", made["task"], "--json")
    answer(workspace.aegis(*words))
    assert backend.type("message:read")["messages"][-1]["text"].endswith(f" It is in .agents/specs/{path.name}.")
    path.write_text(path.read_text().replace("status: draft", "status: cancelled", 1))
    before = path.read_text()
    assert answer(workspace.aegis(*words), code=3)["error"]["message"] == f"{made['task']} is cancelled"
    assert path.read_text() == before


def check_an_exchange(workspace: Served, backend: Terminal) -> None:
    def say(event: str, code: int = 0, **data: Any) -> dict[str, Any]:
        words = ("broadcast", event, "--data", json.dumps({"feature": "search", **data}), "--json")
        return answer(workspace.aegis(*words), code)

    say("plan:proposed", files=["src/app.py"])
    assert backend.type("""broadcast event=plan:acknowledged data='{"feature": "search"}'""")["ok"]
    refused = say("review:completed", 3, status="APPROVED")["error"]
    assert (refused["code"], refused["expected"]) == ("exchange.order", ["code:writing"])
    say("plan:amendment", suggestion="use an index")
    as_instance = ("broadcast", "plan:acknowledged", "--data", '{"feature": "search"}', "--instance", "frontend")
    assert workspace.aegis(*as_instance).code == 0
    log = [(item["agent_id"], item["data"]["event"]) for item in workspace.events() if item["type"] == "broadcast"]
    assert log[-1] == ("CODEX-frontend", "plan:acknowledged")
    assert answer(workspace.aegis("broadcast", "plan:proposed", "--data", "[]", "--json"), 2)["error"]["hint"]
    assert answer(workspace.aegis("broadcast", "plan:nothing", "--json"), 2)["error"]["hint"]
