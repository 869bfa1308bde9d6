"""What failed in one run is told to the agents of the next, and changes what they do (MEM-1, MEM-4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_regions import call
from tests.workspace import SHOP, clean_workspace

pytestmark = pytest.mark.timeout(300)
PASSWORD = "hunter2" + "hunter2"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
FEATURE = {
    "id": "formula",
    "title": "Add formulas",
    "brief": "Formulas. [[script:worker]]",
    "partition": ["src/formula.py"],
}
DESIGN: dict[str, Any] = {
    "goal": "Compute formulas",
    "features": [FEATURE],
    "qa": {"commands": ["python3 -m unittest discover -s tests"]},
}
UNSAFE, SAFE = "def run(text):\n    return eval(text)\n", "def run(text):\n    return int(text)\n"
WRITE_UNSAFE, WRITE_SAFE = (call("write", path="src/formula.py", content=text) for text in (UNSAFE, SAFE))
DONE = call("report", status="done", summary="Parse formulas with int instead")
FINDING = {
    "type": "security",
    "file": "src/formula.py",
    "line": 2,
    "msg": f"text is evaluated as code, which password = {PASSWORD} and {TOKEN} are within reach of",
    "severity": "error",
}
CRITERION = {"id": "safe", "pass": True, "evidence": "read it"}
SCRIPTS = {
    "worker": [
        {
            "on": "Earlier attempts at similar work failed[^$]*evaluated as code",
            "on_role": "user",
            "steps": [WRITE_SAFE, DONE],
        },
        {"on": "sent back by", "on_role": "user", "steps": [WRITE_SAFE, DONE]},
        {
            "on": "Formulas",
            "on_role": "user",
            "steps": [WRITE_UNSAFE, call("report", status="done", summary="Evaluate")],
        },
    ],
    "reviewer": [
        {"steps": [call("bash", command="cat src/formula.py")]},
        {
            "on": r"eval\(",
            "on_role": "tool",
            "steps": [call("verdict", decision="reject", criteria=[{**CRITERION, "pass": False}], findings=[FINDING])],
        },
        {"on": r"int\(", "on_role": "tool", "steps": [call("verdict", decision="approve", criteria=[CRITERION])]},
    ],
}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        yield scratch


def two_runs(workspace: ScratchWorkspace, tmp_path: Path) -> list[dict[str, Any]]:
    """The reports of two runs with the same goal and the same scripts."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name, sections in SCRIPTS.items():
        (scripts / f"{name}.json").write_text(json.dumps({"scripts": sections}))
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN))
    model = RecordedLLM(scripts)
    words = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    words += ["--note", "reviewer=[[script:reviewer]]"]
    try:
        return [workspace.aegis("run", "Compute formulas", *words).json for _ in range(2)]
    finally:
        model.close()


def test_a_failure_of_one_run_is_advice_in_the_next_and_changes_what_the_worker_does(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    reports = two_runs(workspace, tmp_path)
    assert [report.get("error") for report in reports] == [None, None]
    verdicts = [[item["verdict"] for item in report["reviews"]] for report in reports]
    assert verdicts[0][0] == "CHANGES_REQUESTED" and "CHANGES_REQUESTED" not in verdicts[1]

    (failure,) = workspace.aegis("memory", "last", "--json").json["failures"]
    assert (failure["run"], failure["piece"], failure["code"]) == ("run1", "formula", "sent-back")
    assert "text is evaluated as code" in failure["error"]
    assert "Parse formulas with int instead" in failure["resolution"]
    advice = {item["role"]: item["advice"] for item in reports[1]["instances"]}["worker"]
    assert [item["failure"] for item in advice] == [failure["id"]]
    assert "evaluated as code" in advice[0]["line"] and "Resolved by: Parse formulas" in advice[0]["line"]
    assert advice[0]["reason"] == "that attempt changed src/formula.py"
    assert not [item for item in reports[0]["instances"] if item["advice"]]

    assert reports[0]["quality"] == {
        "names_used": 2,
        "names_unknown": 0,
        "unknown_name_rate": 0.0,
        "first_pass_qa_rate": 1.0,
    }

    (memory,) = workspace.folder.glob("state/aegis-tui/*/memory.db")
    stored = memory.read_bytes()
    assert b"evaluated" in stored and PASSWORD.encode() not in stored and TOKEN.encode() not in stored
    (counts,) = workspace.aegis("memory", "by-agent", "--json").json["agents"]
    assert (counts["kind"], counts["failures"], counts["resolved"]) == ("native", 1, 1)
    assert workspace.aegis("memory", "forget", failure["id"]).code == 0
    assert workspace.aegis("memory", "similar", "evaluated code", "--json").json["failures"] == []
    assert b"evaluated" not in memory.read_bytes()
