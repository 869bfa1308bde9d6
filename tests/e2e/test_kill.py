"""kill -9 on real processes: the hub in three stages, a worker with unsaved work (HUB-5, HUB-8, PERF-3)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import clean_workspace

TABLE = "".join(f"{name} = None\n" for name in ("one", "two", "three", "four", "five", "six", "seven", "eight"))
FILES = {
    "src/app.py": "APP = 1\n",
    "src/table.py": TABLE,
    "src/lib/base.py": "BASE = 1\n",
    "tests/__init__.py": "",
    "tests/test_app.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".gitignore": "__pycache__/\n",
}
DESIGN: dict[str, Any] = {
    "goal": "Two things at once",
    "foundation": {"brief": "A shared constant. [[script:foundation]]", "partition": ["src/lib/**"]},
    "features": [
        {"id": "alpha", "title": "Alpha", "brief": "Alpha. [[script:alpha]]", "partition": ["src/alpha/**"]},
        {"id": "beta", "title": "Beta", "brief": "Beta. [[script:beta]]", "partition": ["src/beta/**"]},
    ],
    "shared": ["src/lib/**"],
    "joint": ["src/table.py"],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


DONE = call("report", status="done", summary="Add it")
SCRIPTS: dict[str, Any] = {
    "foundation": [call("write", path="src/lib/more.py", content="MORE = 2\n"), DONE],
    "alpha": [
        call("write", path="src/alpha/a.py", content="A = 1\n"),
        call("lock", action="acquire", path="src/table.py"),
        call("edit", path="src/table.py", old="one = None", new="one = 1"),
        call("lock", action="release", path="src/table.py"),
        DONE,
    ],
    "beta": [
        call("write", path="src/beta/b.py", content="B = 1\n"),
        call("edit", path="src/table.py", old="eight = None", new="eight = 8"),
        DONE,
    ],
    "reviewer": [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])],
}


def serve(folder: Path, scripts: dict[str, Any]) -> RecordedLLM:
    """The scripted server with scripts of this test: steps, or sections that have steps."""
    folder.mkdir()
    for name, steps in scripts.items():
        kind = "scripts" if "steps" in steps[0] else "steps"
        (folder / f"{name}.json").write_text(json.dumps({kind: steps}))
    return RecordedLLM(folder)


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def gated(name: str, step: int, gate: str) -> dict[str, Any]:
    steps = [dict(item) for item in SCRIPTS[name]]
    steps[step]["gate"] = gate
    return {**SCRIPTS, name: steps}


def start_run(
    workspace: ScratchWorkspace, model: RecordedLLM, design: dict[str, Any] = DESIGN
) -> subprocess.Popen[str]:
    place = workspace.folder / "design.yaml"
    place.write_text(json.dumps(design))
    arguments = ["--design", str(place), "--base-url", model.base_url, "--headless", "--json"]
    return workspace.start("run", "Two things", *arguments, "--note", "reviewer=[[script:reviewer]]")


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=160)
    assert out, err
    report: dict[str, Any] = json.loads(out)
    assert report["ok"], (report.get("error"), err)
    return report


def assert_nothing_twice(workspace: ScratchWorkspace, events: list[dict[str, Any]], report: dict[str, Any]) -> None:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_type.setdefault(event["type"], []).append(event)
    pinned = {event["data"]["lock_id"] for event in by_type["lock:acquired"] if event["data"]["lock_type"] == "REVIEW"}
    events = [event for event in events if event["data"].get("lock_id") not in pinned]
    tokens = [event["data"]["token"] for event in events if event["type"] == "lock:acquired"]
    # Who waited locks again what it wants to write, if the content has changed meanwhile.
    assert len(set(tokens)) == len(tokens) and len(tokens) in (2, 3)
    held: dict[str, str] = {}
    for event in events:
        if event["type"] == "lock:acquired":
            assert held.setdefault(event["data"]["path"], event["agent_id"]) == event["agent_id"]
        elif event["type"] == "lock:released":
            held.pop(event["data"]["path"])
    for once in ("merge:applied", "specs.diff-submitted", "specs.task-assigned"):
        names = Counter(event["data"].get("piece") or event["data"]["specId"] for event in by_type[once])
        assert len(names) == 3 and set(names.values()) == {1}, once
    assert [len(by_type[name]) for name in ("run:started", "run:committed", "run:finished", "qa:finished")] == [1] * 4
    assert "instance:lost" not in by_type
    workers = [item for item in report["instances"] if item["role"] == "worker"]
    assert sorted(item["feature"] for item in workers) == ["alpha", "beta"]
    assert workspace.git("rev-list", "--count", "main..aegis/run1/result") == "1"


def held_in_each_stage() -> dict[str, Any]:
    """Scripts that wait in FOUNDATION, in MONITORING with a lock and somebody behind it, and in INTEGRATE."""
    foundation, alpha = gated("foundation", 1, "foundation"), gated("alpha", 2, "alpha")
    beta, (verdict,) = gated("beta", 1, "beta"), SCRIPTS["reviewer"]
    reviewer = [
        {"on": "Review (?!the merged result)", "on_role": "user", "steps": [verdict]},
        {"on": "Review the merged result", "on_role": "user", "steps": [{**verdict, "gate": "composition"}]},
    ]
    return {
        "foundation": foundation["foundation"],
        "alpha": alpha["alpha"],
        "beta": beta["beta"],
        "reviewer": reviewer,
    }


def kill_hub(workspace: ScratchWorkspace) -> None:
    os.kill(workspace.hub_pid(), signal.SIGKILL)


def test_a_hub_killed_in_every_stage_goes_on_with_a_held_and_a_waited_for_lock(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    model = serve(tmp_path / "scripts", held_in_each_stage())
    try:
        process = start_run(workspace, model)
        workspace.until(lambda: model.held("foundation"), what="FOUNDATION")
        assert workspace.status()["stage"] == "FOUNDATION"
        kill_hub(workspace)
        assert workspace.aegis("hub", "start").code == 0
        model.open_gate("foundation")

        seen = workspace.until(
            lambda: (found := workspace.status()).get("stage") == "MONITORING" and found["locks"] and found,
            what="a held lock in MONITORING",
        )
        assert [lock["path"] for lock in seen["locks"]] == ["src/table.py"]
        model.open_gate("beta")
        workspace.until(
            lambda: any(event["type"] == "lock:queued" for event in workspace.events()), what="the other to wait"
        )
        kill_hub(workspace)
        workspace.until(workspace.status, what="the command that follows the run to bring the hub back")
        model.open_gate("alpha")

        workspace.until(lambda: model.held("composition"), what="the review of the composition")
        assert workspace.status()["stage"] == "INTEGRATE"
        kill_hub(workspace)
        assert workspace.aegis("hub", "start").code == 0
        model.open_gate("composition")

        report = finish(process)
        assert report["locks"]["waited"] == 1 and report["locks"]["failed"] == 0
        workspace.aegis("hub", "start")
        assert_nothing_twice(workspace, workspace.events(), report)
        workspace.aegis("hub", "stop")
        table = workspace.git("show", "aegis/run1/result:src/table.py")
        assert "one = 1" in table and "eight = 8" in table
    finally:
        model.close()


def agent_process(workspace: ScratchWorkspace, instance: str) -> psutil.Process | None:
    for process in workspace.processes():
        try:
            words, environ = process.cmdline(), process.environ()
        except psutil.Error:
            continue
        is_agent = words[-2:] == ["-m", "aegis_tui.agent"]
        if is_agent and environ.get("AEGIS_INSTANCE") == instance:
            return process
    return None


def test_a_killed_workers_tree_is_rescued_and_another_finishes(workspace: ScratchWorkspace, tmp_path: Path) -> None:
    model = serve(tmp_path / "scripts", gated("alpha", 1, "hold"))
    try:
        process = start_run(workspace, model, {**DESIGN, "foundation": None})

        def wrote() -> dict[str, Any] | None:
            for item in workspace.status().get("instances", ()):
                mine = item["piece"] == "alpha" and item["role"] == "worker" and item["worktree"]
                if mine and (Path(item["worktree"]) / "src" / "alpha" / "a.py").exists():
                    return dict(item)
            return None

        worker = workspace.until(wrote, what="alpha to have written")
        victim = agent_process(workspace, worker["instance_id"])
        assert victim is not None
        victim.send_signal(signal.SIGKILL)
        workspace.until(
            lambda: any(
                item["piece"] == "alpha" and item["agent_id"] != worker["agent_id"] and item["phase"] == "joined"
                for item in workspace.status().get("instances", ())
            ),
            what="a fresh instance",
        )
        model.open_gate("hold")
        report = finish(process)
        lost = next(item for item in report["instances"] if item["agent_id"] == worker["agent_id"])
        assert lost["state"] == "lost"
        assert workspace.git("show", f"{lost['rescue_ref']}:src/alpha/a.py") == "A = 1"
        assert lost["rescue_ref"].startswith(f"refs/aegis/rescue/run1/{worker['instance_id']}/")
        assert "A = 1" in workspace.git("show", "aegis/run1/result:src/alpha/a.py")
        applied = [item for item in report["instances"] if item["feature"] == "alpha" and item["role"] == "worker"]
        assert len(applied) == 2
    finally:
        model.close()
