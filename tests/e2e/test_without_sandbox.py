"""Runs where nothing holds the agents: refused when that was asked for, else done and said (SEC-1)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
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
    for folder in reversed(workspace.environ["PATH"].split(":")):
        for found in Path(folder).glob("*"):
            link = farm / found.name
            link.unlink(missing_ok=True)
            if found.name != program:
                link.symlink_to(found)
    return str(farm)


def calm_run(model: RecordedLLM, *more: str) -> list[str]:
    design = str(scenario_directory("calm") / "design.yaml")
    notes = ("--note", "reviewer=[[script:reviewer]]")
    return ["run", "g", "--design", design, "--base-url", model.base_url, "--headless", *notes, *more]


def test_strict_without_bubblewrap_is_exit_five_and_auto_says_that_nothing_holds(
    workspace: ScratchWorkspace, calm: RecordedLLM
) -> None:
    workspace.environ["PATH"] = path_without(workspace, "bwrap")
    strict = workspace.aegis(*calm_run(calm, "--sandbox", "strict", "--json"))
    assert strict.code == 5
    assert strict.json["error"]["code"] == "sandbox.unavailable", strict.json
    assert "bubblewrap is not installed" in strict.json["error"]["message"]
    assert "apt install bubblewrap" in strict.json["error"]["hint"]
    assert "aegis" not in workspace.git("for-each-ref")
    auto = workspace.aegis(*calm_run(calm))
    assert auto.code == 0, auto.err
    assert "NO SANDBOX" in auto.err
    workspace.aegis("hub", "start")
    boundary = workspace.aegis("report", "--json").json["boundary"]
    assert boundary["level"] == "none"
    assert boundary["layers"]["filesystem"] == "none: bubblewrap is not installed"


def test_without_a_sandbox_the_run_works_and_the_report_says_so(workspace: ScratchWorkspace, calm: RecordedLLM) -> None:
    done = workspace.aegis(*calm_run(calm, "--sandbox", "off", "--json"))
    assert done.code == 0, done.err
    boundary = done.json["boundary"]
    assert boundary["level"] == "none"
    assert set(boundary["layers"].values()) == {"off: --sandbox off"}


@pytest.mark.boundary(
    layer="hub files",
    tried="modules in the repository named like ours or like the standard library",
    refused="our processes do not import them",
)
def test_no_module_of_the_repository_is_imported_by_our_own_processes(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    mark = workspace.folder / "imported"
    trap = f"import sys\nfrom pathlib import Path\nPath({str(mark)!r}).write_text(repr(sys.orig_argv))\n"
    for name in ("json", "aegis_tui", "pydantic"):
        (workspace.root / f"{name}.py").write_text(trap)
    workspace.git("add", ".")
    workspace.git("commit", "-qm", "traps")
    feature = {"id": "one", "title": "One", "brief": "One. [[script:one]]", "partition": ["one/**"]}
    design = {"goal": "One", "features": [feature], "qa": {"commands": ["true"]}}
    (tmp_path / "design.yaml").write_text(json.dumps(design))
    steps = [{"tool": "write", "args": {"path": "one/a.txt", "content": "a\n"}}, DONE]
    (tmp_path / "one.json").write_text(json.dumps({"steps": steps}))
    shutil.copy(scenario_directory("calm") / "reviewer.json", tmp_path)
    with closing(RecordedLLM(tmp_path)) as model:
        argv = [*("run", "g", "--design", str(tmp_path / "design.yaml"), "--base-url", model.base_url, "--headless")]
        argv += ["--sandbox", "off", "--note", "reviewer=[[script:reviewer]]"]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "aegis_tui", *argv],
            cwd=workspace.root,
            env=workspace.environ,
            capture_output=True,
            text=True,
            timeout=160,
            check=False,
        )
    assert not mark.exists(), mark.read_text()
    assert done.returncode == 0, done.stderr
