"""Two workers change the same line and commit nothing: both and the person hear of it while they work (GIT-2)."""

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
    "src/표.py": "".join(f"LINE_{number} = {number}\n" for number in range(30)),
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
    "joint": ["src/표.py"],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}


def steps(name: str) -> list[dict[str, Any]]:
    """Change a line of the joint file, take that back once it is known, add a file, and report."""
    back = f"git checkout -q src/표.py && mkdir src/{name} && echo 'A = 1' > src/{name}/a.py"
    return [
        {"tool": "bash", "args": {"command": f"sed -i 's/^LINE_7 = 7/LINE_7 = \"{name}\"/' src/표.py"}},
        {"tool": "bash", "args": {"command": back}, "gate": "known"},
        {"tool": "report", "args": {"status": "done", "summary": f"Add {name}"}, "gate": "gone"},
    ]


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RecordedLLM]:
    verdict = {"decision": "approve", "criteria": [{"id": "works", "pass": True, "evidence": "read it"}]}
    scripts = {**{name: steps(name) for name in NAMES}, "reviewer": [{"tool": "verdict", "args": verdict}]}
    for name, script in scripts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"steps": script}), "utf-8")
    with closing(RecordedLLM(tmp_path)) as served:
        yield served


def test_a_clash_of_uncommitted_work_is_known_before_anything_is_submitted(
    workspace: ScratchWorkspace, model: RecordedLLM
) -> None:
    def seen(kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in workspace.events() if event["type"] == kind]

    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN), "utf-8")
    options = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    process = workspace.start("run", "Two things", *options, "--note", "reviewer=[[script:reviewer]]")
    try:
        (clash,) = workspace.until(lambda: seen("conflict:detected"), what="the clash")
        assert (clash["a"], clash["b"], clash["path"], clash["kind"]) == (*NAMES, "src/표.py", "hot")
        assert '<<<<<<< alpha\nLINE_7 = "alpha"\n' in clash["text"] and clash["hunks"] == 1
        (pair,) = workspace.aegis("conflicts", "--json").json["pairs"]
        assert [(item["path"], item["kind"]) for item in pair["paths"]] == [("src/표.py", "hot")]
        assert seen("specs.diff-submitted") == []
        model.open_gate("known")
        workspace.until(lambda: seen("conflict:resolved"), what="the end of the clash")
        assert seen("specs.diff-submitted") == []
        model.open_gate("gone")
        out, err = process.communicate(timeout=160)
    finally:
        process.kill()
        process.communicate()
    report = json.loads(out)
    assert report["ok"], (report.get("error"), err)
    assert [(item["kind"], item["resolution"]) for item in report["conflicts"]] == [("hot", "none")]
    for name in NAMES:
        told = json.dumps([str(message) for message in model.conversation(name)], ensure_ascii=False)
        assert "is changing the same lines as you (1 place)" in told, f"{name} was not told"
