"""Two workers in one joint file at once, each in a function of its own, and both land (LOCK-1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import clean_workspace

TABLE = '''"""A joint file."""

import json


def first(value):
    """The first thing."""
    return value


def between():
    return json.dumps({})


class Second:
    """The second thing."""

    def run(self):
        return 2

    def stop(self):
        return 0
'''
FILES = {
    "src/table.py": TABLE,
    "src/broken.py": "def nothing(:\n    pass\n",
    "src/lib/base.py": "BASE = 1\n",
    "tests/__init__.py": "",
    "tests/test_table.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".gitignore": "__pycache__/\n",
}
DESIGN: dict[str, Any] = {
    "goal": "Two things at once",
    "features": [
        {"id": "alpha", "title": "Alpha", "brief": "Alpha. [[script:alpha]]", "partition": ["src/alpha/**"]},
        {"id": "beta", "title": "Beta", "brief": "Beta. [[script:beta]]", "partition": ["src/beta/**"]},
    ],
    "shared": ["src/lib/**"],
    "joint": ["src/table.py", "src/broken.py"],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}


def call(tool: str, gate: str | None = None, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args, **({"gate": gate} if gate else {})}


DONE = call("report", status="done", summary="Add it")
MORE = '        extra = "more"\n        assert extra\n        return 2\n'
SCRIPTS: dict[str, Any] = {
    "alpha": [
        call("lock", action="acquire", path="src/table.py", symbol="first"),
        call(
            "edit",
            gate="beta-wrote",
            path="src/table.py",
            old="    return value\n",
            new='    if value is None:\n        return "none"\n    return value\n',
        ),
        call("lock", action="release", path="src/table.py"),
        call("edit", path="src/broken.py", old="nothing(:", new="nothing():"),
        DONE,
    ],
    "beta": [
        call("edit", gate="alpha-holds", path="src/table.py", old="        return 2\n", new=MORE),
        DONE,
    ],
    "reviewer": [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])],
}
OLD_LOCKS = {
    "src/table.py": {"agent": "nobody", "type": "read", "ttl": 120},
    "src/lib/base.py": {"agent": "old", "type": "write", "expires": "2001-01-01T00:00:00Z"},
    "src/broken.py": {"holder": "frontend", "lines": [1, 2], "ttl_seconds": 99999},
}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def serve(folder: Path, scripts: dict[str, Any]) -> RecordedLLM:
    """The scripted server with scripts of this test."""
    folder.mkdir()
    for name, steps in scripts.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}))
    return RecordedLLM(folder)


def seen(workspace: ScratchWorkspace, kind: str, **data: Any) -> list[dict[str, Any]]:
    return [e for e in workspace.events() if e["type"] == kind and data.items() <= e["data"].items()]


def test_two_workers_edit_two_functions_of_a_joint_file_at_once_and_both_land(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    model = serve(tmp_path / "scripts", SCRIPTS)
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN))
    arguments = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    process = workspace.start("run", "Two things", *arguments, "--note", "reviewer=[[script:reviewer]]")
    try:
        workspace.until(lambda: seen(workspace, "lock:acquired"), what="alpha to hold its function")
        assert workspace.aegis("lock", "acquire", "src/table.py", "--symbol", "first").code == 4
        held = json.loads(workspace.aegis("lock", "list", "--json").out)["locks"]
        assert [(lock["region"], lock["spans"]) for lock in held] == [("first", [[6, 8]])]
        model.open_gate("alpha-holds")
        workspace.until(lambda: seen(workspace, "code:written"), what="beta to write")
        model.open_gate("beta-wrote")
        out, err = process.communicate(timeout=160)
        report = json.loads(out)
        assert report["ok"], (report.get("error"), err)
        workspace.aegis("hub", "start")
        events = workspace.events()
        workspace.aegis("hub", "stop")
    finally:
        process.kill()
        process.communicate()
        model.close()
    check_the_log(events, report)
    result = workspace.git("show", "aegis/run1/result:src/table.py")
    assert 'return "none"' in result and 'extra = "more"' in result
    assert "nothing()" in workspace.git("show", "aegis/run1/result:src/broken.py")


def check_the_log(events: list[dict[str, Any]], report: dict[str, Any]) -> None:
    """Beta was granted, wrote and released while alpha held the other function; nobody waited."""
    taken = [event["data"] for event in events if event["type"] == "lock:acquired"]
    pinned = {data["lock_id"] for data in taken if data["lock_type"] == "REVIEW"}
    events = [event for event in events if event["data"].get("lock_id") not in pinned]
    story = [
        (event["type"], (event["data"].get("region") or {}).get("symbol"))
        for event in events
        if "src/table.py" in (event["data"].get("path"), event["data"].get("file"))
    ]
    assert [item for item in story if item[0].startswith(("lock:", "code:")) and item[0] != "lock:denied"] == [
        ("lock:acquired", "first"),
        ("lock:acquired", "Second.run"),
        ("code:written", None),
        ("lock:moved", "first"),
        ("lock:moved", "Second.run"),
        ("lock:released", "Second.run"),
        ("code:written", None),
        ("lock:moved", "first"),
        ("lock:released", "first"),
    ]
    assert (report["locks"]["waited"], report["locks"]["deadlocks"]) == (0, 0)
    by_hash = {(e["data"]["file"], e["data"]["token"]) for e in events if e["type"] == "code:written"}
    assert len(by_hash) == 3
    whole = [e for e in events if e["type"] == "lock:acquired" and e["data"]["path"] == "src/broken.py"]
    assert [event["data"]["region"] for event in whole] == [None], "what does not parse is locked as a whole"
    moved = [e["data"] for e in events if e["type"] == "lock:moved" and e["data"]["region"]["symbol"] == "first"]
    assert [item["spans"] for item in moved] == [[[6, 8]], [[6, 10]]]


def test_a_person_locks_by_symbol_and_by_lines_and_is_told_what_there_is(workspace: ScratchWorkspace) -> None:
    assert workspace.aegis("hub", "start").code == 0
    try:
        joined = workspace.aegis("connect", "--agent", "claude", "--instance", "frontend", "--", "true")
        assert joined.code == 0, joined.err
        got = json.loads(workspace.aegis("lock", "acquire", "src/table.py", "--symbol", "Second.run", "--json").out)
        assert (got["locks"][0]["region"], got["locks"][0]["spans"], got["whole"]) == ("Second.run", [[18, 19]], [])
        assert got["locks"][0]["base_oid"] == workspace.git("rev-parse", "HEAD:src/table.py")
        by_lines = json.loads(workspace.aegis("lock", "acquire", "src/table.py", "--lines", "6-8", "--json").out)
        assert by_lines["locks"][0]["region"] == "6-8"
        unknown = workspace.aegis("lock", "acquire", "src/table.py", "--symbol", "Secnd.run")
        assert unknown.code == 2 and "no symbol Secnd.run" in unknown.err and "Second.run" in unknown.err
        beyond = workspace.aegis("lock", "acquire", "src/table.py", "--lines", "20-99")
        assert beyond.code == 2 and "has only 22 lines" in beyond.err
        assert workspace.aegis("lock", "acquire", "src/table.py", "--lines", "0-3").code == 2
        assert workspace.aegis("lock", "acquire", "src/none.py", "--lines", "1-3").code == 2
        whole = workspace.aegis("lock", "acquire", "src/broken.py", "--symbol", "nothing")
        assert whole.code == 0 and "the whole file is locked" in whole.out
        workspace.aegis("lock", "release", "src/table.py")
        workspace.aegis("lock", "release", "src/broken.py")
        old = workspace.folder / "_locks.json"
        old.write_text(json.dumps(OLD_LOCKS))
        taken = json.loads(workspace.aegis("lock", "import", str(old), "--json").out)
        assert [(item["path"], item["lock_type"], item["region"]) for item in taken["imported"]] == [
            ("src/table.py", "SHARED", None),
            ("src/broken.py", "EXCLUSIVE", "1-2"),
        ]
        assert taken["skipped"] == [{"path": "src/lib/base.py", "reason": "it has expired"}]
        assert workspace.aegis("lock", "import", str(workspace.folder / "none.json")).code == 2
    finally:
        workspace.aegis("hub", "stop")


ASKING = {
    "alpha": [
        {"tool": "lock", "args": {"action": "request", "path": "src/beta/keep.py", "reason": "it names alpha"}},
        {"tool": "search", "args": {"pattern": "keep"}, "gate": "answered"},
        {"tool": "edit", "args": {"path": "src/beta/keep.py", "old": "KEEP = 1", "new": "KEEP = 'alpha'"}},
        {"tool": "write", "args": {"path": "src/alpha/a.py", "content": "A = 1\n"}},
        {"tool": "report", "args": {"status": "done", "summary": "Add alpha"}},
    ],
    "beta": [
        {"tool": "write", "args": {"path": "src/beta/b.py", "content": "B = 1\n"}},
        {"tool": "lock", "args": {"action": "grant", "path": "src/beta/keep.py"}, "gate": "asked"},
        {"tool": "report", "args": {"status": "done", "summary": "Add beta"}},
    ],
    "reviewer": SCRIPTS["reviewer"],
}


def test_a_worker_is_granted_a_path_of_anothers_and_lands_it(workspace: ScratchWorkspace, tmp_path: Path) -> None:
    (workspace.root / "src" / "beta").mkdir(parents=True)
    (workspace.root / "src" / "beta" / "keep.py").write_text("KEEP = 1\n")
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "chore: keep")
    features = [
        {"id": name, "title": name, "brief": f"[[script:{name}]]", "partition": [f"src/{name}/**"]}
        for name in ("alpha", "beta")
    ]
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps({"goal": "g", "features": features, "qa": DESIGN["qa"]}))
    model = serve(tmp_path / "asking", ASKING)
    arguments = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    process = workspace.start("run", "Ask", *arguments, "--note", "reviewer=[[script:reviewer]]")
    try:
        workspace.until(lambda: seen(workspace, "scope:requested"), what="alpha to ask")
        model.open_gate("asked")
        workspace.until(lambda: seen(workspace, "scope:granted", to="NATIVE-w01"), what="beta to grant")
        model.open_gate("answered")
        out, err = process.communicate(timeout=160)
        report = json.loads(out)
        assert report["ok"], (report.get("error"), err)
    finally:
        process.kill()
        process.communicate()
        model.close()
    assert "KEEP = 'alpha'" in workspace.git("show", "aegis/run1/result:src/beta/keep.py")
    assert report["locks"]["granted"] == 1
