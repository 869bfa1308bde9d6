"""A forked command is the command of a fresh process, for whoever looks at its answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.workspace import Served


@pytest.fixture(scope="module")
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    scratch.init({"a.py": "x = 1\n", "인/b.py": ""})
    yield scratch
    scratch.close()


def run_fresh(workspace: ScratchWorkspace, *arguments: str, folder: Path | None = None) -> CommandResult:
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
    return CommandResult(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("run", "goal", "--headless", "--json"),
        ("config", "list", "--json"),
        ("partition", "check", "a/**", "**/b", "--json"),
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
