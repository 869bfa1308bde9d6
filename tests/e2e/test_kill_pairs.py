"""kill -9 of tmux server, hub, gateway and agent, alone and in pairs: what is shown is right again, no work is lost.

Generous bounds, for machines with much else to do; 3 s are wanted, and what it took is printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_kill import DESIGN, SCRIPTS, agent_process, finish, serve, start_run
from tests.workspace import clean_workspace

pytestmark = pytest.mark.timeout(180)
BOUND_S = 15.0
VICTIMS = ("tmux", "hub", "gateway", "agent")
CASES = [(victim,) for victim in VICTIMS] + list(combinations(VICTIMS, 2))
FILES = {
    "src/app.py": "APP = 1\n",
    "src/table.py": "one = None\neight = None\n",
    "tests/__init__.py": "",
    "tests/test_app.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".gitignore": "__pycache__/\n",
}
WROTE = {"alpha": "src/alpha/a.py", "beta": "src/beta/b.py"}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def model_of(folder: Path) -> RecordedLLM:
    """Workers that write a file, and then wait at the gate `hold`."""
    scripts = dict(SCRIPTS)
    for name in WROTE:
        first, *others = (dict(step) for step in SCRIPTS[name])
        others[0]["gate"] = "hold"
        scripts[name] = [first, *others]
    return serve(folder, scripts)


def workers(workspace: ScratchWorkspace) -> dict[str, dict[str, Any]]:
    """The workers as `status` shows them, by their short id; empty while no hub answers."""
    return {item["instance_id"]: item for item in workspace.status().get("instances", ()) if item["role"] == "worker"}


def process_of(workspace: ScratchWorkspace, victim: str) -> psutil.Process | None:
    if victim == "agent":
        return agent_process(workspace, "w01")
    for item in workspace.processes():
        with suppress(psutil.Error):
            words = item.cmdline()
            is_server = item.name().startswith("tmux: server")
            if is_server if victim == "tmux" else f"aegis_tui.{victim}" in words or words[-2:] == ["hub", "run"]:
                return item
    return None


def victim_of(workspace: ScratchWorkspace, victim: str) -> psutil.Process:
    found = psutil.Process(workspace.hub_pid()) if victim == "hub" else process_of(workspace, victim)
    assert found is not None, victim
    return found


def is_right(workspace: ScratchWorkspace, victims: tuple[str, ...], gateway: int) -> bool:
    """Whether those that died with a victim are shown as lost, the others as at work, and a gateway runs."""
    shown = workers(workspace)
    dead = {"w01", "w02"} if "tmux" in victims else {"w01"} if "agent" in victims else set()
    if not all(name in shown and shown[name]["lost"] is (name in dead) for name in ("w01", "w02")):
        return False
    if not all(shown[name]["phase"] == "joined" for name in {"w01", "w02"} - dead):
        return False
    serving = process_of(workspace, "gateway")
    return serving is not None and (serving.pid != gateway or "gateway" not in victims)


@pytest.mark.parametrize("victims", CASES, ids="+".join)
def test_what_is_shown_is_right_after_a_kill_and_no_work_is_lost(
    workspace: ScratchWorkspace, tmp_path: Path, victims: tuple[str, ...]
) -> None:
    model = model_of(tmp_path / "scripts")
    try:
        run = start_run(workspace, model, {**DESIGN, "foundation": None})

        def have_written() -> bool:
            there = [item for item in workers(workspace).values() if item["worktree"]]
            return len(there) == 2 and all((Path(item["worktree"]) / WROTE[item["piece"]]).exists() for item in there)

        workspace.until(have_written, what="both workers to have written")
        gateway = victim_of(workspace, "gateway").pid
        killed = [victim_of(workspace, victim) for victim in victims]
        for process in killed:
            process.kill()
        since = time.monotonic()
        if "hub" in victims:
            assert workspace.aegis("hub", "start").code == 0
        workspace.until(lambda: is_right(workspace, victims, gateway), what="the truth", timeout_s=BOUND_S)
        print(f"kill -9 of {' and '.join(victims)}: right after {time.monotonic() - since:.2f} s")
        model.open_gate("hold")
        report = finish(run)
        for item in report["instances"]:
            if item["state"] == "lost" and item["role"] == "worker":
                saved = workspace.git("show", f"{item['rescue_ref']}:{WROTE[item['feature']]}")
                assert saved.endswith("= 1"), "what it had written is in a ref"
        assert workspace.git("rev-list", "--count", "main..aegis/run1/result") == "1"
    finally:
        model.close()
