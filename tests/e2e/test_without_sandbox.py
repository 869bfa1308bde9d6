"""Runs where nothing holds the agents: refused when that was asked for, else done and said (SEC-1)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace

DONE = {"tool": "report", "args": {"status": "done", "summary": "Add a file"}}


def path_without(workspace: ScratchWorkspace, program: str) -> str:
    """A PATH with every program of this machine but one."""
    farm = workspace.folder / "bin"
    farm.mkdir()
    folders = [Path(folder) for folder in reversed(workspace.environ["PATH"].split(":"))]
    found = {place.name: place for folder in folders if folder.is_dir() for place in folder.iterdir()}
    for name, place in found.items():
        if name != program:
            (farm / name).symlink_to(place)
    return str(farm)


@pytest.fixture
def one_run(tmp_path: Path) -> Iterator[list[str]]:
    """The command for a run with one small feature."""
    feature = {"id": "one", "title": "One", "brief": "One. [[script:one]]", "partition": ["one/**"]}
    design = {"goal": "One", "features": [feature], "qa": {"commands": ["true"]}}
    (tmp_path / "design.yaml").write_text(json.dumps(design))
    steps = [{"tool": "write", "args": {"path": "one/a.txt", "content": "a\n"}}, DONE]
    (tmp_path / "one.json").write_text(json.dumps({"steps": steps}))
    shutil.copy(scenario_directory("calm") / "reviewer.json", tmp_path)
    with closing(RecordedLLM(tmp_path)) as model:
        argv = ["run", "g", "--design", str(tmp_path / "design.yaml"), "--base-url", model.base_url, "--headless"]
        yield [*argv, "--note", "reviewer=[[script:reviewer]]"]


def test_strict_without_bubblewrap_is_exit_five_and_auto_says_that_nothing_holds(
    workspace: ScratchWorkspace, one_run: list[str]
) -> None:
    workspace.environ["PATH"] = path_without(workspace, "bwrap")
    assert workspace.aegis("hub", "start").code == 0
    strict = workspace.aegis(*one_run, "--sandbox", "strict", "--json")
    assert strict.code == 5
    assert strict.json["error"]["code"] == "sandbox.unavailable", strict.json
    assert "bubblewrap is not installed" in strict.json["error"]["message"]
    assert "apt install bubblewrap" in strict.json["error"]["hint"]
    assert "aegis" not in workspace.git("for-each-ref")
    auto = workspace.aegis(*one_run)
    assert auto.code == 0, auto.err
    assert "NO SANDBOX" in auto.err
    boundary = workspace.aegis("report", "--json").json["boundary"]
    assert boundary["level"] == "none"
    assert boundary["layers"]["filesystem"] == "none: bubblewrap is not installed"


@pytest.mark.boundary(
    layer="hub files",
    tried="modules in the repository with the names of our modules or the standard library's",
    refused="our processes do not import them",
)
def test_without_a_sandbox_the_report_says_so_and_our_processes_import_nothing_of_the_repository(
    workspace: ScratchWorkspace, one_run: list[str]
) -> None:
    mark = workspace.folder / "imported"
    trap = f"import sys\nfrom pathlib import Path\nPath({str(mark)!r}).write_text(repr(sys.orig_argv))\n"
    for name in ("json", "aegis_tui", "pydantic"):
        (workspace.root / f"{name}.py").write_text(trap)
    workspace.git("add", ".")
    workspace.git("commit", "-qm", "traps")
    process = workspace.start(*one_run, "--sandbox", "off", "--json")
    out, err = process.communicate(timeout=160)
    assert not mark.exists(), mark.read_text()
    assert process.returncode == 0, err
    boundary = json.loads(out)["boundary"]
    assert boundary["level"] == "none"
    assert set(boundary["layers"].values()) == {"off, as --sandbox or the setting sandbox says"}
