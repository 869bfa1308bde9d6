"""An agent that tries to get out (GIT-6, PART-3, SEC-1, SEC-3): one real run, one attempt after the other.

The worker's script is a list of attempts; what its tools answered is read from the requests that the model server got.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.attempts import ATTEMPTS, boundary

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="missing: bwrap")

MEND = "rm src/attempts/out; git reset -q --soft main && git restore -q --staged --worktree --source=main README.md"
DESIGN = {
    "goal": "Try to get out",
    "features": [
        {"id": "attempts", "title": "A", "brief": "Try. [[script:attempts]]", "partition": ["src/attempts/**"]},
        {"id": "neighbour", "title": "N", "brief": "Wait. [[script:neighbour]]", "partition": ["src/neighbour/**"]},
    ],
    "shared": ["src/shop/**"],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}
DONE = {"tool": "report", "args": {"status": "done", "summary": "Add a file"}}


@dataclass
class Seen:
    """What was seen of the run, from outside."""

    workspace: ScratchWorkspace
    refs_before: str
    answers: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    """Every user message of the worker's conversation."""
    pane: str = ""
    tokens: set[str] = field(default_factory=set)
    public: dict[str, str] = field(default_factory=dict)
    """What other programs of this machine can see: argv, environments, tmux."""
    subjects: list[str] = field(default_factory=list)
    """Every ref with the subject of its commit, after the attempts."""
    open_files: list[str] = field(default_factory=list)
    connections: int = 0
    report: dict[str, Any] = field(default_factory=dict)


class Listener:
    """A loopback port that counts who connects."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.accepted = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self.server.accept()[0].close()
            except OSError:
                return
            self.accepted += 1

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self._thread.join(5)


def write_scenario(folder: Path, places: dict[str, str]) -> Path:
    steps = [attempt.step(places) for attempt in ATTEMPTS.values()]
    steps[0]["gate"] = "go"
    mended = [
        {"tool": "bash", "args": {"command": MEND}},
        {"tool": "write", "args": {"path": "src/attempts/good.py", "content": "GOOD = True\n"}},
        DONE,
    ]
    attempts = {"scripts": [{"steps": [*steps, DONE]}, {"on": "was sent back by", "on_role": "user", "steps": mended}]}
    neighbour = {
        "steps": [
            {"tool": "write", "args": {"path": "src/neighbour/n.py", "content": "N = 1\n"}, "gate": "rest"},
            DONE,
        ]
    }
    folder.mkdir()
    (folder / "attempts.json").write_text(json.dumps(attempts))
    (folder / "neighbour.json").write_text(json.dumps(neighbour))
    shutil.copy(scenario_directory("calm") / "reviewer.json", folder)
    (folder / "design.yaml").write_text(json.dumps(DESIGN))
    return folder


@pytest.fixture(scope="module")
def seen(boundary_workspace: ScratchWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    workspace = boundary_workspace
    workspace.git("branch", "other")
    remote = workspace.folder / "remote.git"
    workspace.git("init", "-q", "--bare", str(remote))
    workspace.git("remote", "add", "origin", str(remote))
    hub = workspace.aegis("hub", "start", "--json").json
    runtime = Path(hub["socket"]).parent
    state = next((workspace.folder / "state" / "aegis-tui").glob("*/logs")).parent
    with closing(Listener()) as listener:
        places = {
            **{"REMOTE": str(remote), "ROOT": str(workspace.root), "RUNTIME": str(runtime), "STATE": str(state)},
            **{"PORT": str(listener.port), "PID": str(hub["pid"])},
        }
        scenario = write_scenario(tmp_path_factory.mktemp("scenario") / "out", places)
        seen = Seen(workspace, workspace.git("for-each-ref"))
        with closing(RecordedLLM(scenario)) as model:
            watch(seen, model, scenario, runtime, state)
        seen.connections = listener.accepted
    yield seen


def watch(seen: Seen, model: RecordedLLM, scenario: Path, runtime: Path, state: Path) -> None:
    """Run, look from outside while both workers are held, let the attempts happen, look again, and end."""
    workspace = seen.workspace
    process = workspace.start(
        *("run", "g", "--design", str(scenario / "design.yaml"), "--base-url", model.base_url, "--headless", "--json"),
        *("--note", "reviewer=[[script:reviewer]]"),
    )
    try:
        workspace.until(lambda: model.held("go") and model.held("rest"), what="both workers", timeout_s=30)
        seen.tokens = {json.loads((runtime / "hub.json").read_text())["token"]}
        seen.tokens |= {path.read_text().strip() for path in state.glob("instances/*/token")}
        look_around(seen, state)
        model.open_gate("go")
        count = len(ATTEMPTS)
        workspace.until(lambda: len(model.results("attempts")) > count, what="the attempts", timeout_s=40)
        seen.answers = dict(zip(ATTEMPTS, model.results("attempts"), strict=False))
        seen.pane = tmux(workspace, state, "capture-pane", "-p", "-S", "-", "-t", "=aegis:w01")
        look_around(seen, state)
        seen.subjects = workspace.git("for-each-ref", "--format=%(refname) %(contents:subject)").splitlines()
        model.open_gate("rest")
        out, _ = process.communicate(timeout=40)
        seen.report = json.loads(out)
        seen.told = [str(item["content"]) for item in model.conversation("attempts") if item["role"] == "user"]
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()


def tmux(workspace: ScratchWorkspace, state: Path, *arguments: str) -> str:
    argv = ["tmux", "-L", f"aegis-{state.name}", *arguments]
    done = subprocess.run(argv, env=workspace.environ, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout + done.stderr


def look_around(seen: Seen, state: Path) -> None:
    workspace = seen.workspace
    seen.public["tmux environment"] = tmux(workspace, state, "show-environment", "-g")
    seen.public["tmux session"] = tmux(workspace, state, "show-environment", "-t", "=aegis")
    seen.public["tmux panes"] = tmux(workspace, state, "list-panes", "-a", "-F", "#{pane_pid} #{pane_start_command}")
    for process in workspace.processes():
        try:
            seen.public[f"argv of {process.pid}"] = " ".join(process.cmdline())
            seen.public[f"environment of {process.pid}"] = json.dumps(process.environ())
        except psutil.Error:
            continue
    for folder in (state, workspace.folder / "run"):
        for path in folder.rglob("*"):
            if {"worktrees", "scratch"} & {*path.parts} or path.is_symlink():
                continue
            copies = [above for above in path.parents if above.name == "git" or above.name.startswith("ref")]
            if copies and stat.S_IMODE(copies[-1].stat().st_mode) == 0o700:
                continue  # git writes an instance's refs and folders with the person's umask; theirs is closed
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                seen.open_files.append(f"{path} {stat.filemode(path.stat().st_mode)}")


@needs_bwrap
@pytest.mark.parametrize("name", [pytest.param(name, marks=boundary(name)) for name in ATTEMPTS])
def test_the_attempt_is_refused_and_told_so(seen: Seen, name: str) -> None:
    answer = seen.answers[name]
    assert re.search(ATTEMPTS[name].answer, answer, re.MULTILINE), answer
    if "exit code 0" not in ATTEMPTS[name].answer and not ATTEMPTS[name].answer.startswith("^40"):
        assert "[exit code 0]" not in answer


@needs_bwrap
def test_nothing_came_of_all_that(seen: Seen) -> None:
    workspace = seen.workspace
    assert workspace.git("--git-dir", str(workspace.folder / "remote.git"), "for-each-ref") == ""
    ours = [line for line in workspace.git("for-each-ref").splitlines() if "aegis/" not in line]
    assert ours == seen.refs_before.splitlines()
    elsewhere = [line for line in seen.subjects if not line.startswith("refs/heads/aegis/run1/w01 ")]
    assert len(elsewhere) > 3 and not [line for line in elsewhere if line.endswith(" evil")]
    assert not list(workspace.root.rglob("evil*"))
    assert workspace.git("status", "--porcelain") == "" and workspace.git("stash", "list") == ""
    assert "hooksPath" not in (workspace.root / ".git" / "config").read_text()
    assert not list((workspace.root / ".git").glob("hooks/*"))
    assert seen.connections == 0
    workspace.git("fsck", "--full")


@needs_bwrap
def test_what_went_past_the_hooks_does_not_get_past_integration(seen: Seen) -> None:
    [told] = [text for text in seen.told if "was sent back by the hub" in text]
    assert re.search(r"README\.md: .*partition", told)
    assert "src/attempts/out: a link out of the repository" in told
    names = seen.workspace.git("diff", "--name-only", "main", seen.report["commit"]["oid"]).splitlines()
    assert names == ["src/attempts/good.py", "src/neighbour/n.py"]


@needs_bwrap
def test_a_person_reads_the_refusals_in_the_pane(seen: Seen) -> None:
    assert "refused: README.md is not in your partition" in seen.pane
    assert "Read-only file system" in seen.pane


@pytest.mark.boundary(
    layer="namespace",
    tried="reading a token from argv, an environment, tmux, a pane, a log",
    refused="there is no token",
)
@needs_bwrap
def test_no_token_is_in_argv_environment_tmux_or_pane(seen: Seen) -> None:
    assert len(seen.tokens) == 3
    assert len([name for name in seen.public if name.startswith("argv")]) >= 6
    found = [name for name, text in seen.public.items() if any(token in text for token in seen.tokens)]
    assert found == []
    assert not any(token in seen.pane for token in seen.tokens)
    state = next((seen.workspace.folder / "state" / "aegis-tui").glob("*/logs")).parent
    logs = [*(path for path in state.glob("logs/**/*") if path.is_file()), state / "log.db"]
    assert not [path.name for path in logs if any(token.encode() in path.read_bytes() for token in seen.tokens)]


@pytest.mark.boundary(
    layer="namespace",
    tried="reading the state as another user of the machine",
    refused="no file or folder is accessible to other users",
)
@needs_bwrap
def test_no_file_of_the_state_is_open_to_others(seen: Seen) -> None:
    assert seen.open_files == []


@needs_bwrap
def test_the_report_says_what_held(seen: Seen) -> None:
    boundary = seen.report["boundary"]
    assert boundary["level"] == "bubblewrap"
    assert boundary["layers"]["filesystem"].startswith("bubblewrap ")
    assert boundary["layers"]["network"] == "own namespace"
