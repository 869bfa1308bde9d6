"""kill -9 of hub and workers at random points: every change stays in a ref (GIT-7, GIT-8)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, clean_workspace

MARK = re.compile(rb"mark-[0-9a-f]{32}")
PIECES = ("alpha", "beta", "gamma")
WRITES = 8
"""How often each worker changes its files before it submits."""

APPEND = (
    "import pathlib, time, uuid; place = pathlib.Path('src/{piece}'); place.mkdir(parents=True, exist_ok=True); "
    "log = place / 'log.txt'; log.open('a').write(f'mark-{{uuid.uuid4().hex}}\\n'); "
    "(place / f'{{uuid.uuid4().hex[:8]}}.txt').write_text(f'mark-{{uuid.uuid4().hex}}\\n'); time.sleep(0.15)"
)
DESIGN: dict[str, Any] = {
    "goal": "Write in three folders",
    "features": [
        {"id": name, "title": name.title(), "brief": f"[[script:{name}]]", "partition": [f"src/{name}/**"]}
        for name in PIECES
    ],
    "qa": {"commands": ["python3 -m unittest discover -s tests"]},
}
REVIEWER = {
    "tool": "verdict",
    "args": {"decision": "approve", "criteria": [{"id": "a", "pass": True, "evidence": "b"}]},
}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        yield scratch
        scratch.aegis("hub", "stop", "--force")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RecordedLLM]:
    folder = tmp_path / "scripts"
    folder.mkdir()
    for piece in PIECES:
        write = {"tool": "bash", "args": {"command": f'python3 -c "{APPEND.format(piece=piece)}"'}}
        steps = [write] * WRITES + [{"tool": "report", "args": {"status": "done", "summary": f"Add {piece}"}}]
        (folder / f"{piece}.json").write_text(json.dumps({"steps": steps}))
    (folder / "reviewer.json").write_text(json.dumps({"steps": [REVIEWER]}))
    server = RecordedLLM(folder)
    yield server
    server.close()


def leave_work(workspace: ScratchWorkspace) -> None:
    """Leave what a person has lying about: a stash, something staged, a change and a new file."""
    (workspace.root / "README.md").write_text("# Stashed\n")
    workspace.git("stash", "-q")
    (workspace.root / "src/app.py").write_text("x = 2\n")
    workspace.git("add", "src/app.py")
    (workspace.root / "README.md").write_text("# Unfinished\n")
    (workspace.root / "new file.txt").write_text("new\n")


def persons_own(workspace: ScratchWorkspace) -> dict[str, str]:
    """What must stay byte for byte: the files of the checkout, its index, HEAD, the stash and the person's branches."""
    root = workspace.root
    top = [path for path in root.iterdir() if path.name != ".git"]
    files = [path for place in top for path in (place, *place.rglob("*")) if path.is_file()]
    own = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in [*files, root / ".git/index"]}
    listed = workspace.git("for-each-ref", "refs/heads/main", "refs/stash", "refs/tags")
    return {**own, "HEAD": workspace.git("rev-parse", "HEAD"), "refs": listed}


def marks_in_worktrees(workspace: ScratchWorkspace) -> set[bytes]:
    """The marks that are now in files of any worktree."""
    marks: set[bytes] = set()
    for folder, _, names in os.walk(workspace.folder / "state"):  # folders that go away meanwhile are passed over
        if "/worktrees/" in folder and "/src/" in folder:
            for name in names:
                with contextlib.suppress(OSError):  # taken away meanwhile, which the refs make up for
                    marks.update(MARK.findall(Path(folder, name).read_bytes()))
    return marks


def marks_in_refs(workspace: ScratchWorkspace) -> set[bytes]:
    """The marks in any content that a ref reaches."""
    listed = workspace.git("rev-list", "--objects", "--all", "--filter=object:type=blob").splitlines()
    ids = "\n".join(line.split()[0] for line in listed)
    argv = ["git", "cat-file", "--batch"]
    done = subprocess.run(argv, cwd=workspace.root, input=ids.encode(), capture_output=True, check=True, timeout=60)
    return set(MARK.findall(done.stdout))


def agents(workspace: ScratchWorkspace) -> list[psutil.Process]:
    """The processes of agents that run now."""
    found = []
    for process in workspace.processes():
        try:
            if process.cmdline()[-2:] == ["-m", "aegis_tui.agent"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def start_run(workspace: ScratchWorkspace, model: RecordedLLM) -> subprocess.Popen[str]:
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN))
    options = ["--base-url", model.base_url, "--headless", "--json", "--note", "reviewer=[[script:reviewer]]"]
    return workspace.start("run", "Write in three folders", "--design", str(design), *options)


def has_agent_or_end(workspace: ScratchWorkspace, run: subprocess.Popen[str]) -> bool:
    return run.poll() is not None or bool(agents(workspace))


def kill_something(workspace: ScratchWorkspace, chance: random.Random) -> str:
    """Kill the hub or an agent, and bring the hub back; what was killed. Empty when no agent ran."""
    if chance.random() < 0.4:
        os.kill(workspace.hub_pid(), signal.SIGKILL)
        return "hub"
    if not (running := agents(workspace)):
        return ""
    chance.choice(running).kill()
    return "agent"


def run_rounds(workspace: ScratchWorkspace, model: RecordedLLM, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    leave_work(workspace)
    before = persons_own(workspace)
    seen: set[bytes] = set()
    killed: list[str] = []
    process, runs = start_run(workspace, model), 1
    while len(killed) < rounds:
        workspace.until(partial(has_agent_or_end, workspace, process), what="an agent")
        if process.poll() is not None:
            process.communicate()
            process, runs = start_run(workspace, model), runs + 1
            continue
        for _ in range(chance.randrange(12)):
            time.sleep(0.1)
            seen |= marks_in_worktrees(workspace)
        if victim := kill_something(workspace, chance):
            killed.append(victim)
            seen |= marks_in_worktrees(workspace)
            assert workspace.aegis("hub", "start").code == 0
            assert persons_own(workspace) == before, (killed, seed)
    out, err = process.communicate(timeout=160)
    seen |= marks_in_worktrees(workspace)
    assert workspace.aegis("hub", "stop", "--force").code == 0
    print(
        f"{killed.count('hub')} hubs and {killed.count('agent')} agents, {runs} runs, {len(seen)} changes, seed {seed}"
    )
    assert {"hub", "agent"} <= set(killed) and seen, (out, err)
    assert seen <= marks_in_refs(workspace), f"{len(seen - marks_in_refs(workspace))} of {len(seen)} changes are lost"
    assert persons_own(workspace) == before


@pytest.mark.parametrize(
    ("rounds", "seed"),
    [(10, 7), pytest.param(200, 11, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)])],
)
def test_no_change_is_lost_by_kills_and_the_persons_own_stays(
    workspace: ScratchWorkspace, model: RecordedLLM, rounds: int, seed: int
) -> None:
    run_rounds(workspace, model, rounds, seed)
