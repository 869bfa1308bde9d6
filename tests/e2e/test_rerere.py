"""A conflict that a worker has resolved is resolved in the same way when it comes again in a later run (GIT-3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import clean_workspace

FILES = {
    "src/table.py": "".join(f"LINE_{number} = {number}\n" for number in range(30)),
    "tests/__init__.py": "",
    "tests/test_it.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".gitignore": "__pycache__/\n",
}
NAMES = ("alpha", "beta")
DESIGN: dict[str, Any] = {
    "goal": "Two things at once",
    "features": [
        {"id": name, "title": name, "brief": f"Do. [[script:{name}]]", "partition": [f"src/{name}/**"]}
        for name in NAMES
    ],
    "joint": ["src/table.py"],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}
BOTH = 'LINE_7 = "alpha", "beta"'
RESOLVE = (
    'git rebase "$AEGIS_INTEGRATION_REF"; '
    f"sed -i -e '/^<<<<<<</,/^>>>>>>>/c {BOTH}' src/table.py && git add -A && GIT_EDITOR=true git rebase --continue"
)


def bash(command: str, **more: str) -> dict[str, Any]:
    return {"tool": "bash", "args": {"command": command}, **more}


def scripts() -> dict[str, Any]:
    """Both change one line, beta after alpha; alpha is merged first; beta resolves the conflict if it is sent back."""
    verdict = {"decision": "approve", "criteria": [{"id": "works", "pass": True, "evidence": "read it"}]}
    change = "mkdir -p src/{0} && echo 'A = 1' > src/{0}/a.py && sed -i 's/^LINE_7 = 7/LINE_7 = \"{0}\"/' src/table.py"
    done = {"tool": "report", "args": {"status": "done", "summary": "Add it"}}
    alpha = [bash(change.format("alpha")), {**done, "gate": "clash"}]
    beta = [bash(change.format("beta"), gate="written"), {**done, "gate": "merged"}]
    again = {"on": "\\brebase\\b", "on_role": "user", "steps": [bash(RESOLVE), done]}
    reviewer = {"steps": [{"tool": "verdict", "args": verdict}]}
    return {"alpha": {"steps": alpha}, "beta": {"scripts": [{"steps": beta}, again]}, "reviewer": reviewer}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def run(workspace: ScratchWorkspace, folder: Path) -> dict[str, Any]:
    """Run the design to its end, and return the report."""
    folder.mkdir()
    for name, script in scripts().items():
        (folder / f"{name}.json").write_text(json.dumps(script), "utf-8")

    assert workspace.aegis("hub", "start").code == 0
    before = len(workspace.events())

    def seen(event_type: str, **fields: str) -> list[dict[str, Any]]:
        """What this run, not an earlier one, has seen."""
        data = [event["data"] for event in workspace.events()[before:] if event["type"] == event_type]
        return [item for item in data if all(item.get(name) == value for name, value in fields.items())]

    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN), "utf-8")
    with closing(RecordedLLM(folder)) as model:
        options = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
        process = workspace.start("run", "Two things", *options, "--note", "reviewer=[[script:reviewer]]")
        try:
            workspace.until(lambda: seen("code:written", file="src/table.py"), what="the change of alpha")
            model.open_gate("written")
            workspace.until(lambda: seen("conflict:detected", kind="hot"), what="the conflict")
            model.open_gate("clash")
            workspace.until(lambda: seen("merge:applied", piece="alpha"), what="the merge of alpha")
            model.open_gate("merged")
            out, err = process.communicate(timeout=160)
        finally:
            process.kill()
            process.communicate()
            workspace.aegis("hub", "stop")
    report: dict[str, Any] = json.loads(out)
    assert report["ok"], (report.get("error"), err)
    return report


def test_a_resolution_is_recorded_and_proposed_in_the_next_run(workspace: ScratchWorkspace, tmp_path: Path) -> None:
    first = run(workspace, tmp_path / "first")
    (conflict,) = first["conflicts"]
    assert (conflict["resolution"], conflict["strategy"], conflict["label"]) == ("rebased", "agent", "verified")
    person = Path(workspace.git("rev-parse", "--absolute-git-dir").strip())
    assert not (person / "rr-cache").exists()

    second = run(workspace, tmp_path / "second")
    (conflict,) = second["conflicts"]
    assert (conflict["resolution"], conflict["strategy"], conflict["label"]) == ("merged", "rerere", "verified")
    assert BOTH in workspace.git("show", f"{second['commit']['oid']}:src/table.py")
    assert not (person / "rr-cache").exists()
