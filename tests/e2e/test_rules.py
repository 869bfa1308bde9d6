"""A run whose agents commit secrets and leftovers: nothing of it is merged until it is repaired or allowed (FLOW-9)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_regions import call, seen
from tests.workspace import clean_workspace

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
KEY = "-----BEGIN RSA PRIVATE " + "KEY-----"
FILES = {
    "src/__init__.py": "",
    ".github/workflows/ci.yml": "on: push\n",
    "tests/__init__.py": "",
    "tests/test_it.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".gitignore": "__pycache__/\n",
}
DESIGN: dict[str, Any] = {
    "goal": "Two things at once",
    "features": [
        {"id": "alpha", "title": "Alpha", "brief": "Alpha. [[script:alpha]]", "partition": ["src/alpha/**"]},
        {"id": "beta", "title": "Beta", "brief": "Beta. [[script:beta]]", "partition": [".github/**"]},
    ],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}
DONE = call("report", status="done", summary="Add it")
EXCUSE = "# pragma: allowlist secret gitleaks:allow"
BAD = f"import os\n\nKEY = '{AWS}'  {EXCUSE}\n\n\ndef run():\n    breakpoint()\n    return os\n"
ADD = "git add -f . && git commit -qm 'Add it'"
SCRIPTS: dict[str, Any] = {
    "alpha": [
        call("write", path="src/alpha/a.py", content=BAD),
        call("write", path="src/alpha/deploy.pem", content=f"{KEY}\nMIIEowIBAAKCAQEA\n"),
        call("write", path="src/alpha/merged.txt", content="<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> other\n"),
        call("bash", command=f"printf 'A=1\\n' > src/alpha/.env && {ADD}"),
        DONE,
    ],
    "alpha again": [
        call("bash", command="git rm -qf src/alpha/deploy.pem src/alpha/.env"),
        call("write", path="src/alpha/merged.txt", content="one\ntwo\n"),
        call("write", path="src/alpha/a.py", content="import os\n\n\ndef run():\n    return os.environ['KEY']\n"),
        call("bash", command=ADD),
        DONE,
    ],
    "beta": [call("write", path=".github/workflows/ci.yml", content="on: [push, pull_request]\n"), DONE],
    "reviewer": [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])],
}


def serve(folder: Path) -> RecordedLLM:
    """The scripted server with the scripts of this test; alpha's second one begins when its piece is sent back."""
    folder.mkdir()
    again = {"on": "was sent back", "steps": SCRIPTS["alpha again"]}
    for name in ("alpha", "beta", "reviewer"):
        scripts = [{"steps": SCRIPTS[name]}, *([again] if name == "alpha" else [])]
        (folder / f"{name}.json").write_text(json.dumps({"scripts": scripts}))
    return RecordedLLM(folder)


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def test_secrets_and_leftovers_go_back_and_a_change_of_ci_waits_for_the_person(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    model = serve(tmp_path / "scripts")
    assert workspace.aegis("hub", "start").code == 0
    hub = workspace.hub()
    assert hub
    options = {"base_url": model.base_url, "attended": True, "role_notes": {"reviewer": "[[script:reviewer]]"}}
    hub.reply(RunReply, "run:start", goal="Two things", design=DESIGN, options=options)
    process = workspace.start("wait", "--json")
    try:
        workspace.until(lambda: seen(workspace, "piece:held"), what="beta to wait for the person")
        gates = {item["name"]: item for item in json.loads(workspace.aegis("status", "--json").out)["gates"]}
        held = seen(workspace, "piece:held")[0]["data"]["broken"][0]
        if "rules_allowed" in gates:  # from MONITORING on
            assert gates["rules_allowed"]["command"] == f"aegis-tui rules allow {held['key']}"
        listed = json.loads(workspace.aegis("rules", "findings", "--json").out)["findings"]
        assert ("beta", "waits") in {(item["piece"], item["outcome"]) for item in listed}
        workspace.until(lambda: seen(workspace, "merge:applied", piece="alpha"), what="alpha to be merged")
        assert not seen(workspace, "merge:applied", piece="beta")
        assert workspace.aegis("rules", "allow", held["key"], "--reason", "wanted").code == 0
        out, err = process.communicate(timeout=160)
    finally:
        process.kill()
        process.communicate()
        workspace.aegis("hub", "stop")
        model.close()
    report = json.loads(out)
    assert report["ok"], (report.get("error"), err)
    check_the_report(report)
    shown = workspace.git("show", "aegis/run1/result")
    assert AWS not in shown and KEY not in shown and "breakpoint" not in shown and "pull_request" in shown
    assert AWS not in out and AWS not in err


def test_a_run_that_nobody_watches_ends_at_a_change_of_ci_and_keeps_the_work(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    model = serve(tmp_path / "scripts")
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps({**DESIGN, "features": DESIGN["features"][1:]}))
    arguments = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    try:
        done = workspace.aegis("run", "One thing", *arguments, timeout_s=160)
    finally:
        model.close()
    assert done.code == 3, done.problems
    error = done.json["error"]
    assert error["code"] == "rules_allowed"
    assert all(word in error["message"] for word in ("beta", "continuous-integration", ".github/workflows/ci.yml"))
    key = done.json["rules"]["findings"][0]["key"]
    assert f"aegis-tui rules allow {key}" in error["hint"] and f"aegis-tui rules allow {key}" in done.err
    assert "refs/aegis/runs/run1/beta" in error["hint"]
    assert "pull_request" in workspace.git("show", "refs/aegis/runs/run1/beta:.github/workflows/ci.yml")


def check_the_report(report: dict[str, Any]) -> None:
    outcomes = {(item["piece"], item["rule"], item["line"], item["outcome"]) for item in report["rules"]["findings"]}
    assert outcomes == {
        ("alpha", "secret", 3, "repaired"),
        ("alpha", "access-key", 3, "repaired"),
        ("alpha", "python-debugger", 7, "repaired"),
        ("alpha", "secret", 1, "repaired"),
        ("alpha", "private-key", 1, "repaired"),
        ("alpha", "conflict-marker", 1, "repaired"),
        ("alpha", "conflict-marker", 5, "repaired"),
        ("alpha", "env-file", None, "repaired"),
        ("beta", "continuous-integration", None, "allowed"),
    }
    assert report["rules"]["scanners"][0].startswith("detect-secrets ")
