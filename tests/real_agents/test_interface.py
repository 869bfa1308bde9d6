"""In the programs' own interfaces: an interrupt ends a turn, a person types, and an ended program goes on (PANE-4)."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.real_agents.test_kinds import brief, log_of, write_design

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PROGRAMS = {
    "claude-code": "claude",
    "codex": "codex",
    "opencode": "opencode",
    "qwen-code": "qwen",
    "gemini-cli": "gemini",
}


def write(number: int, **more: Any) -> dict[str, Any]:
    return {"tool": "cli:write", "args": {"path": "src/worker.py", "content": f"worker = {number}\n"}, **more}


DONE = {"text": "feat(worker): add the file"}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Any]:
    """Starts a model whose reviewer waits at the gate `review`; its worker has sections of steps.

    Each later section is also a script of its own, by its name.
    """
    servers: list[RecordedLLM] = []

    def start(first: Sequence[dict[str, Any]], **later: Sequence[dict[str, Any]]) -> RecordedLLM:
        reviewer = json.loads((scenario_directory("calm") / "reviewer.json").read_text("utf-8"))
        text = json.dumps(reviewer).replace("src/shop/routes.py", "src/app.py")
        reviewer = json.loads(text)
        section = reviewer if "steps" in reviewer else reviewer["scripts"][0]
        section["steps"][0]["gate"] = "review"
        (tmp_path / "reviewer.json").write_text(json.dumps(reviewer), "utf-8")
        sections: list[dict[str, Any]] = [{"steps": list(first), "side": "scripted"}]
        for words, steps in later.items():
            (tmp_path / f"{words}.json").write_text(json.dumps({"steps": list(steps), "side": "scripted"}), "utf-8")
            sections.append({"on": words.replace("_", " "), "on_role": "user", "steps": list(steps)})
        (tmp_path / "worker.json").write_text(json.dumps({"scripts": sections}), "utf-8")
        servers.append(RecordedLLM(tmp_path))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def start(workspace: ScratchWorkspace, server: RecordedLLM, kind: str, mode: str = "terminal") -> str:
    """Start a run with one worker, by default in its own interface; return the id of the run."""
    named = ["--design", write_design(workspace, {"worker": kind}), "--base-url", server.base_url, "--json", "--detach"]
    options = ["--note", "reviewer=[[script:reviewer]]", "--agent-mode", mode]
    started = workspace.aegis("run", "Files", *named, *options)
    assert started.code == 0, started.err
    return str(started.json["run"])


def end(workspace: ScratchWorkspace, server: RecordedLLM, run: str, number: int) -> None:
    """Let the reviewers go on, and check that the run ends with this number in the worker's file."""
    server.open_gate("review")
    ended = workspace.aegis("wait", run, "--json", timeout_s=400)
    assert ended.code == 0, (ended.out, log_of(workspace, "w01"))
    assert workspace.git("show", f"{ended.json['commit']['oid']}:src/worker.py") == f"worker = {number}"
    assert len([item for item in ended.json["instances"] if item["role"] == "worker"]) == 1


def reports(workspace: ScratchWorkspace, state: str) -> list[dict[str, Any]]:
    events = [event for event in workspace.events() if event["type"] == "agent:state"]
    return [event["data"] for event in events if event["agent_id"].endswith("-w01") and event["data"]["state"] == state]


def processes(workspace: ScratchWorkspace, name: str) -> list[psutil.Process]:
    """The processes of w01 whose command line ends with a name, or whose program has it, the oldest first."""
    found = []
    for item in workspace.processes():
        with contextlib.suppress(psutil.Error):
            words = item.cmdline()
            if item.environ().get("AEGIS_INSTANCE") == "w01" and (
                words[-1:] == [name] or any(Path(word).name == name for word in words[:2])
            ):
                found.append(item)
    return sorted(found, key=lambda item: item.create_time())


def session_of(program: psutil.Process) -> list[str]:
    """The session id among the arguments of a program, of which only some have one."""
    return [word for word in program.cmdline() if UUID.fullmatch(word)]


def submissions(workspace: ScratchWorkspace) -> list[dict[str, Any]]:
    return [event["data"] for event in workspace.events() if event["type"] == "specs.diff-submitted"]


def say(workspace: ScratchWorkspace, words: str) -> None:
    """Type words into the program in the pane of w01, and press Enter."""
    type_keys(workspace, words)
    time.sleep(1.0)  # as a person: some programs take keys that come at once for a paste, Enter included
    type_keys(workspace, "Enter")


def type_keys(workspace: ScratchWorkspace, *keys: str) -> None:
    """Press keys in the pane of w01, as a person who has attached to it; each is a text or the name of a key."""
    for key in keys:
        argv = ["tmux", "-L", f"aegis-{workspace_key_of(workspace.root)}", "send-keys", "-t", "=aegis:w01", key]
        subprocess.run(argv, env=workspace.environ, check=True, capture_output=True, timeout=10)


def start_and_interrupt(
    workspace: ScratchWorkspace, model: Any, kind: str, *, number: int, mode: str = "terminal"
) -> tuple[str, RecordedLLM]:
    """Start a run and interrupt the program's first turn; told to write it now, it writes this number.

    Returns:
        The run, and its model.
    """
    first = [{"tool": "cli:shell", "args": {"command": "echo one"}}, {"text": "feat: never", "gate": "held"}]
    server = model(first, Write_it_now=[write(number), DONE])
    run = start(workspace, server, kind, mode)
    workspace.until(lambda: server.held("held"), what="the program at work", timeout_s=400)
    processes(workspace, "aegis_tui.agent.hosted")[-1].send_signal(signal.SIGINT)
    workspace.until(lambda: len(reports(workspace, "idle")) > 1, what="the interrupt", timeout_s=60)
    workspace.until(lambda: not server.held("held"), what="the end of the call to the model", timeout_s=60)
    return run, server


@pytest.mark.parametrize("kind", PROGRAMS)
def test_an_interrupt_ends_the_turn_and_the_next_prompt_goes_on(
    workspace: ScratchWorkspace, model: Any, kind: str
) -> None:
    run, server = start_and_interrupt(workspace, model, kind, number=2)
    sent = workspace.aegis("send", "w01", "Write it now.", "--wait", "90", "--json")
    assert sent.json["delivery"] == "delivered", (sent.out, log_of(workspace, "w01"))
    if kind == "gemini-cli":  # it forgets the prompt, gets it again, and its scripted model does the same again
        assert [item for item in server.received if b"Write it now" in item.body and b"Add worker" in item.body]
        workspace.aegis("cancel", run)
    else:
        end(workspace, server, run, 2)


def work_as_a_person(workspace: ScratchWorkspace, model: Any, kind: str) -> tuple[str, RecordedLLM]:
    """Start a run, interrupt the first turn, and let the program write by a prompt that is typed into it.

    Returns:
        The run, and its model.
    """
    run, server = start_and_interrupt(workspace, model, kind, number=3)
    words = "Write it now."
    # Gemini CLI forgets the interrupted prompt, which names the script and the folder of the model of these tests.
    say(
        workspace,
        f"{brief(workspace, 'Write_it_now', 1)} {words}".replace("\n", " ") if kind == "gemini-cli" else words,
    )
    workspace.until(lambda: len(reports(workspace, "idle")) > 2, what="the end of the person's turn", timeout_s=120)
    assert "Ctrl-]" in reports(workspace, "idle")[-1]["note"]
    assert "typed into it" in reports(workspace, "exploring")[-1]["note"]
    assert not reports(workspace, "done") and not submissions(workspace)
    return run, server


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_persons_own_prompt_is_a_turn_that_their_key_submits(
    workspace: ScratchWorkspace, model: Any, kind: str
) -> None:
    run, server = work_as_a_person(workspace, model, kind)
    type_keys(workspace, "C-]")
    end(workspace, server, run, 3)
    assert len(submissions(workspace)) == 1


@pytest.mark.parametrize(("kind", "words"), [("claude-code", "/exit"), ("codex", "/quit")])
def test_a_persons_own_work_is_submitted_when_they_quit_the_program(
    workspace: ScratchWorkspace, model: Any, kind: str, words: str
) -> None:
    run, server = work_as_a_person(workspace, model, kind)
    say(workspace, words)
    end(workspace, server, run, 3)
    assert len(submissions(workspace)) == 1


@pytest.mark.parametrize("kind", ["claude-code", "opencode"])
def test_work_that_the_program_reports_as_done_is_submitted_once(
    workspace: ScratchWorkspace, model: Any, kind: str
) -> None:
    said = "feat(worker): as reported"
    server = model([write(5), {"tool": "mcp:report_done", "args": {"summary": said}}, {"text": "bye"}])
    run = start(workspace, server, kind)
    workspace.until(lambda: reports(workspace, "done"), what="the submission", timeout_s=400)
    end(workspace, server, run, 5)
    (submitted,) = submissions(workspace)
    assert workspace.git("log", "-1", "--format=%s", submitted["head_oid"]) == said


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_program_that_died_while_its_hub_did_goes_on_with_its_conversation(
    workspace: ScratchWorkspace, model: Any, kind: str
) -> None:
    # By its shell: some programs overwrite only a file that they have read since their start.
    anew = {"tool": "cli:shell", "args": {"command": "echo worker = 4 > src/worker.py"}}
    server = model([write(1), DONE], Write_it_anew=[anew, DONE])
    run = start(workspace, server, kind)
    workspace.until(lambda: reports(workspace, "done"), what="the first turn", timeout_s=400)
    program = processes(workspace, PROGRAMS[kind])[0]
    session = session_of(program)
    program.kill()
    workspace.until(lambda: not program.is_running() or program.status() == "zombie", what="its end")
    psutil.Process(workspace.hub_pid()).kill()
    assert workspace.aegis("hub", "start").code == 0
    sent = workspace.aegis("send", "w01", "Write it anew.", "--wait", "120", "--json")
    assert sent.json["delivery"] == "delivered", (sent.out, log_of(workspace, "w01"))
    words = (b"[[script:worker]]", b"feat(worker): add the file", b"Write it anew")
    assert [item for item in server.received if all(word in item.body for word in words)], "it is one conversation"
    assert session_of(processes(workspace, PROGRAMS[kind])[0]) == session
    end(workspace, server, run, 4)
