"""Nothing that a real program started survives its stop, its kill or the hub's (PANE-8, AGENT-1)."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import psutil
import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_survivors import PROGRAM
from tests.real_agents.test_kinds import KINDS, write_design

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(600)]

ALL = {f"head{number}": kind for number, kind in enumerate(KINDS)}


def sleepers(numbers: dict[str, str]) -> dict[psutil.Process, str]:
    """Processes that the programs started and that have left their sessions, each with the kind; no zombies."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if words[:1] == ["sleep"] and words[1][:-1] in numbers and words[1][-1] in "23":
                found[process] = numbers[words[1][:-1]]
    return found


def wrappers(workspace: ScratchWorkspace) -> list[psutil.Process]:
    """The innermost process of each wrapper: those around it have its command line, too."""
    found = [item for item in workspace.processes() if item.cmdline()[-1:] == ["aegis_tui.agent.hosted"]]
    parents = {item.ppid() for item in found}
    return [item for item in found if item.pid not in parents]


@pytest.mark.parametrize("how", ["stop", "kill the wrappers", "kill the hub"])
def test_nothing_that_a_program_started_outlives_its_end(workspace: ScratchWorkspace, serve: Any, how: str) -> None:
    folder = workspace.folder / "config" / "aegis-tui"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("orphan_s = 10\n" if how == "kill the hub" else "", "utf-8")
    (workspace.root / "hydra.py").write_text(PROGRAM, "utf-8")
    workspace.git("add", ".")
    workspace.git("commit", "-qm", "Add a program that leaves others behind")
    numbers = {f"8{os.getpid()}{place}": kind for place, kind in enumerate(KINDS)}
    steps = {
        name: [
            {"tool": "cli:shell", "args": {"command": f"python3 hydra.py {number} 1; echo started"}},
            {"text": "feat: never", "gate": "held"},
        ]
        for name, number in zip(ALL, numbers, strict=True)
    }
    server = serve(steps)
    options = ["--design", write_design(workspace, ALL), "--base-url", server.base_url, "--detach", "--json"]
    assert workspace.aegis("run", "Files", *options).code == 0
    with contextlib.suppress(TimeoutError):
        workspace.until(lambda: len(sleepers(numbers)) == 2 * len(KINDS), what="the sleepers", timeout_s=200)
    started = sleepers(numbers)
    assert sorted(started.values()) == sorted([*KINDS, *KINDS]), "two of each kind"
    if how == "stop":
        for number in range(1, len(KINDS) + 1):
            assert workspace.aegis("stop", f"w{number:02d}").code == 0
    elif how == "kill the wrappers":
        found = wrappers(workspace)
        assert len(found) == len(KINDS)
        for wrapper in found:
            wrapper.kill()
    else:
        psutil.Process(workspace.hub_pid()).kill()
    _, left = psutil.wait_procs(started, timeout=90)  # others may come meanwhile, of who takes a killed one's place
    assert [started[process] for process in left] == []
