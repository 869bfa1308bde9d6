"""A run of the mode GCC-RT: a review starts while code is written, and its findings reach the worker at once (ROLE-12).

The scripted worker waits in the middle of its work; everything else is the product's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, clean_workspace

FINDING = {"file": "src/dozen.py", "line": 1, "severity": "error", "msg": "a dozen is twelve"}
CRITERIA = [{"id": "brief", "pass": True, "evidence": "scripted"}]
APPROVE = {"tool": "verdict", "args": {"decision": "approve", "criteria": CRITERIA, "findings": []}}
REJECT = {"tool": "verdict", "args": {"decision": "reject", "criteria": CRITERIA, "findings": [FINDING]}}
AMENDMENT = "name it DOZEN in the docs"


def write(value: int, **more: str) -> dict[str, Any]:
    return {"tool": "write", "args": {"path": "src/dozen.py", "content": f"VALUE = {value}\n"}, **more}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RecordedLLM]:
    look = {"tool": "read", "args": {"path": "src/dozen.py"}, "gate": "reviewed"}
    end = {"tool": "report", "args": {"status": "done", "summary": "feat: add a dozen"}}
    seen = {"tool": "bash", "args": {"command": "cat src/dozen.py", "timeout_s": 20}}
    reviewer = [{"steps": [seen]}, {"on": "VALUE = 13", "steps": [REJECT]}, {"on": "VALUE = 12", "steps": [APPROVE]}]
    (tmp_path / "build.json").write_text(json.dumps({"steps": [write(13), look, write(12), end]}))
    (tmp_path / "reviewer.json").write_text(json.dumps({"scripts": reviewer}))
    server = RecordedLLM(tmp_path)
    yield server
    server.close()


def start(workspace: ScratchWorkspace, model: RecordedLLM, mode: str) -> str:
    feature = {"id": "dozen", "title": "Dozen", "brief": "Write it. [[script:build]]", "partition": ["src/dozen.py"]}
    design = {"goal": "Count", "features": [feature]}
    options = {"base_url": model.base_url, "mode": mode, "role_notes": {"reviewer": "[[script:reviewer]]"}}
    assert workspace.aegis("hub", "start").code == 0
    hub = workspace.hub()
    assert hub is not None
    return str(hub.command("run:start", goal="Count", design=design, options=options)["run"])


def of(workspace: ScratchWorkspace, kind: str) -> list[dict[str, Any]]:
    return [event for event in workspace.events() if event["type"] == kind]


def test_a_review_starts_while_code_is_written(model: RecordedLLM) -> None:
    with clean_workspace(SHOP) as workspace:
        run = start(workspace, model, "GCC-RT")
        workspace.until(lambda: of(workspace, "review:completed"), what="there is a verdict", timeout_s=90)
        assert not of(workspace, "specs.diff-submitted")
        hub = workspace.hub()
        assert hub is not None and hub.context()["task"]["mode"] == "GCC-RT"
        words = ("broadcast", "plan:amendment", "--data", json.dumps({"suggestion": AMENDMENT}))
        assert workspace.aegis(*words).code == 0
        model.open_gate("reviewed")
        report = workspace.aegis("wait", run, "--json").json
        assert report["ok"], report["error"]
        (first, *_) = of(workspace, "review:requested")
        (handed_in,) = of(workspace, "specs.diff-submitted")
        (suggested,) = of(workspace, "fix:suggested")
        assert first["data"]["part"] and first["seq"] < suggested["seq"] < handed_in["seq"]
        heard = "\n".join(str(message["content"]) for message in model.conversation("build"))
        assert "a dozen is twelve" in heard and AMENDMENT in heard
        assert workspace.git("show", f"{report['commit']['branch']}:src/dozen.py") == "VALUE = 12"
        assert workspace.aegis("hub", "stop").code == 0


def test_in_other_modes_it_starts_when_the_work_is_handed_in(model: RecordedLLM) -> None:
    with clean_workspace(SHOP) as workspace:
        run = start(workspace, model, "GCC")
        workspace.until(lambda: model.held("reviewed"), what="the worker waits", timeout_s=90)
        model.open_gate("reviewed")
        assert workspace.aegis("wait", run, "--json").json["ok"]
        assert not any(event["data"]["part"] for event in of(workspace, "review:requested"))
        assert workspace.aegis("hub", "stop").code == 0
