"""A command forked from a warm interpreter is the command of a fresh one, for whoever looks at its answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aegis_tui.testing.scratch import Answer, ScratchWorkspace
from aegis_tui.testing.warm import WarmInterpreter, warm_interpreter


@pytest.fixture(scope="module")
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    scratch.init({"a.py": "x = 1\n", "인/b.py": ""})
    yield scratch
    scratch.close()


def run_fresh(workspace: ScratchWorkspace, *arguments: str, folder: Path | None = None) -> Answer:
    done = subprocess.run(
        workspace.argv(*arguments),
        cwd=folder or workspace.root,
        env=workspace.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def living_commands() -> list[psutil.Process]:
    """What runs below the warm interpreter of this process; hubs do not, as they have a session of their own."""
    interpreter = psutil.Process(warm_interpreter()._process.pid)
    return [item for item in interpreter.children(recursive=True) if item.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("lock", "list"),
        ("run", "goal", "--headless", "--json"),
        ("run", "--nonsense"),
        ("hub", "status", "--json"),
        ("config", "list", "--json"),
        ("partition", "check", "a/**", "**/b", "--json"),
        ("events", "--help"),
    ],
)
def test_exit_code_and_output_are_those_of_a_fresh_process(
    workspace: ScratchWorkspace, arguments: tuple[str, ...]
) -> None:
    assert workspace.aegis(*arguments) == run_fresh(workspace, *arguments)


def test_each_command_has_its_own_folder_and_environment(workspace: ScratchWorkspace) -> None:
    inside = workspace.root / "인"
    assert workspace.aegis("hub", "status", "--json", folder=inside).json["running"] is False
    assert workspace.aegis("hub", "status", folder=workspace.folder) == run_fresh(
        workspace, "hub", "status", folder=workspace.folder
    )
    workspace.environ["AEGIS_WORKERS"] = "many"
    try:
        wrong = workspace.aegis("run", "g", "--yes", "--headless")
        assert "AEGIS_WORKERS" in wrong.err and wrong == run_fresh(workspace, "run", "g", "--yes", "--headless")
    finally:
        del workspace.environ["AEGIS_WORKERS"]
    assert "AEGIS_WORKERS" not in os.environ
    assert "AEGIS_WORKERS" not in workspace.aegis("run", "g", "--headless").err


def test_a_command_that_does_not_end_is_killed(workspace: ScratchWorkspace) -> None:
    assert workspace.aegis("hub", "start").code == 0
    with pytest.raises(subprocess.TimeoutExpired):
        workspace.aegis("events", "--follow", timeout_s=1.5)
    workspace.until(lambda: not living_commands(), what="the command to be gone")
    workspace.aegis("hub", "stop")
    assert workspace.leftovers() == []


def test_the_interpreter_ends_when_nobody_asks_any_more(workspace: ScratchWorkspace) -> None:
    warm = WarmInterpreter(workspace.environ)
    code, out, _ = warm.run(["--version"], folder=workspace.root, environ=workspace.environ, timeout_s=30)
    assert code == 0 and out.startswith("aegis-tui ")
    warm.close()
    with pytest.raises(OSError, match=r"[Bb]ad file descriptor"):
        warm.run(["--version"], folder=workspace.root, environ=workspace.environ, timeout_s=30)
