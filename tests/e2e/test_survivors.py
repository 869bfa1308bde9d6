"""Nothing that an agent started survives its stop, its kill or the hub's, in a sandbox and without one (PANE-8)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

PROGRAM = """
import os, signal, subprocess, sys, time

number, null = sys.argv[1], subprocess.DEVNULL
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)  # those who come after it ignore them, too
subprocess.Popen(["sleep", number + "1"], stdin=null, stdout=null, stderr=null)
subprocess.Popen(["sleep", number + "2"], stdin=null, stdout=null, stderr=null, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 64)
    os.chdir("/")
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", number + "3"], {})  # nothing says any more where it comes from
    os._exit(0)
time.sleep(int(sys.argv[2]))
"""
KIND = """
title = "a hydra"
programs = ["python3"]

[headless]
argv = ["python3", "hydra.py", "%s", "600"]
prompt = "stdin"

[terminal]
argv = ["python3", "hydra.py", "%s", "600"]
"""
NUMBERS = {kind: f"{digit}{os.getpid()}" for kind, digit in (("hydra", 5), ("native", 6))}
"""How long the processes of each kind sleep, but for the last digit: by that they are found."""


def sleepers() -> list[psutil.Process]:
    """What is left of the started processes, whoever their parent is and whatever their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if words[:1] == ["sleep"] and words[1][:-1] in NUMBERS.values() and process.status() != "zombie":
                found.append(process)
    return found


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RecordedLLM]:
    folder = tmp_path / "scenario"
    folder.mkdir()
    starts = {"tool": "bash", "args": {"command": f"python3 hydra.py {NUMBERS['native']} 1"}}
    steps = [starts, {"text": "never said", "gate": "held"}]
    (folder / "native.json").write_text(json.dumps({"steps": steps}), "utf-8")
    server = RecordedLLM(folder)
    yield server
    server.open_gate("held")
    server.close()


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    scratch.init({"README.md": "# Shop\n", "hydra.py": PROGRAM})
    config = scratch.folder / "config" / "aegis-tui"
    (config / "agents").mkdir(parents=True)
    (config / "agents" / "hydra.toml").write_text(KIND % (NUMBERS["hydra"], NUMBERS["hydra"]), "utf-8")
    yield scratch
    scratch.aegis("hub", "stop", "--force")
    left = scratch.leftovers()
    scratch.close()
    for process in sleepers():
        process.kill()
    assert left == []


def start(
    workspace: ScratchWorkspace, model: RecordedLLM, *, sandbox: str, agent_mode: str = "headless"
) -> dict[psutil.Process, str]:
    """Start one worker of each kind; return the processes that they start, with how long these sleep."""
    features = [
        {
            "id": kind,
            "title": kind,
            "brief": f"Start them. [[script:{kind}]]",
            "partition": [f"src/{kind}/**"],
            "kind": kind,
        }
        for kind in NUMBERS
    ]
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps({"goal": "Many heads", "features": features, "qa": {"commands": ["true"]}}), "utf-8")
    options = ["--design", str(design), "--base-url", model.base_url, "--sandbox", sandbox, "--agent-mode", agent_mode]
    answer = workspace.aegis("run", "Many heads", *options, "--detach", "--json")
    assert answer.code == 0, answer.err
    workspace.until(lambda: len(sleepers()) == 5, what="three processes of the hydra, two of the other", timeout_s=60)
    return {process: process.cmdline()[1] for process in sleepers()}


def agents(workspace: ScratchWorkspace) -> Sequence[psutil.Process]:
    """The innermost process of each agent: the built-in agent, and the wrapper of the other."""
    mine = ("aegis_tui.agent", "aegis_tui.agent.hosted")
    found = {}
    for process in workspace.processes():
        with contextlib.suppress(psutil.Error):
            if (last := process.cmdline()[-1]) in mine:
                found[last] = process
    assert len(found) == 2
    return list(found.values())


@pytest.mark.parametrize("how", ["stop", "kill the agents", "kill the hub"])
@pytest.mark.parametrize(("sandbox", "mode"), [("auto", "headless"), ("off", "headless"), ("off", "terminal")])
def test_nothing_that_an_agent_started_survives_it(
    workspace: ScratchWorkspace, model: RecordedLLM, sandbox: str, mode: str, how: str
) -> None:
    if how == "kill the hub":
        (workspace.folder / "config" / "aegis-tui" / "config.toml").write_text("orphan_s = 3\n", "utf-8")
    started = start(workspace, model, sandbox=sandbox, agent_mode=mode)
    hidden = {f"{number}3" for number in NUMBERS.values()} if (sandbox, how) == ("off", "kill the agents") else set()
    must_end = {process: length for process, length in started.items() if length not in hidden}
    if how == "stop":
        for name in ("w01", "w02"):
            assert workspace.aegis("stop", name).code == 0
    elif how == "kill the agents":
        for process in agents(workspace):
            process.kill()
    else:
        psutil.Process(workspace.hub_pid()).kill()
    _, left = psutil.wait_procs(must_end, timeout=60)  # others may come meanwhile, of who takes a killed one's place
    assert [must_end[process] for process in left] == [], "docs/security.md says which may survive"
