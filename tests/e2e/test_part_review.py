"""Work that goes on is reviewed in a real run: a snapshot, a reviewer of its own, and a suggestion between turns."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace

FINDING = {"file": "src/part.py", "line": 1, "msg": "the name says nothing", "severity": "warning", "confidence": 0.9}
CRITERIA = [{"id": "brief", "pass": False, "evidence": "src/part.py:1"}]


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.2)


def write_scenario(folder: Path) -> None:
    """A worker that writes and then waits for a file, and a reviewer that waits too and rejects unfinished work."""
    wait = "for n in $(seq 300); do test -e go && break; sleep 0.1; done; rm -f go"
    judge = {"tool": "bash", "args": {"command": "for n in $(seq 300); do test -e judge && break; sleep 0.1; done"}}
    scripts = {
        "part": [
            {"tool": "write", "args": {"path": "src/part.py", "content": "part = 1\n"}},
            {"tool": "request_review", "args": {}},
            {"tool": "bash", "args": {"command": wait}},
            {"tool": "report", "args": {"status": "done", "summary": "feat(part): add part"}},
        ],
        "reviewer": [
            {"tool": "read", "args": {"path": "src/part.py"}},
            judge,
            {"tool": "verdict", "args": {"decision": "reject", "criteria": CRITERIA, "findings": [FINDING]}},
        ],
    }
    for name, steps in scripts.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}), "utf-8")


def start(workspace: ScratchWorkspace, base_url: str) -> None:
    """Start a run of one feature, which goes on by itself."""
    workspace.init({"README.md": "# Shop\n", "src/app.py": "x = 1\n"})
    feature = {
        "id": "part",
        "title": "Add part",
        "brief": "Write it. [[script:part]]",
        "partition": ["src/part.py"],
    }
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps({"goal": "Parts", "features": [feature], "qa": {"commands": ["true"]}}))
    options = ["--base-url", base_url, "--headless", "--json", "--detach", "--yes"]
    started = workspace.aegis(
        "run", "Parts", "--design", str(design), *options, "--note", "reviewer=[[script:reviewer]]"
    )
    assert started.code == 0, started.err


def change_while_it_is_read(
    seen: Callable[[str], list[dict[str, Any]]], workspace: ScratchWorkspace, path: Path
) -> None:
    """Change a file of which the reviewer holds the blob, and then let it judge."""
    (lock,) = [item["data"] for item in seen("lock:acquired") if item["data"]["lock_type"] == "REVIEW"]
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    assert (lock["path"], lock["review_blob"]) == ("src/part.py", blob)
    path.write_text("part = 2\n")
    until(lambda: bool(seen("review:stale")))
    assert seen("review:stale")[0]["data"]["blob"] == blob
    instances = workspace.aegis("status", "--json").json["instances"]
    (reviewer,) = [item for item in instances if item["role"] == "reviewer"]
    (Path(reviewer["worktree"]) / "judge").touch()
    until(lambda: bool(seen("review:completed")))
    assert seen("review:completed")[0]["data"]["stale"] == {"src/part.py": blob}
    (end,) = [item["data"] for item in seen("lock:released") if item["data"]["token"] == lock["token"]]
    assert end["reason"] == "verdict"


def test_unfinished_work_is_reviewed_and_its_author_goes_on_with_the_suggestion(tmp_path: Path) -> None:
    write_scenario(tmp_path)
    server, workspace = RecordedLLM(tmp_path), ScratchWorkspace()
    try:
        start(workspace, server.base_url)

        def workers() -> list[dict[str, Any]]:
            return [item for item in workspace.aegis("status", "--json").json["instances"] if item["role"] == "worker"]

        until(lambda: any((Path(item["worktree"] or "/none") / "src/part.py").exists() for item in workers()))
        (worker,) = workers()

        def seen(kind: str) -> list[dict[str, Any]]:
            lines = workspace.aegis("events", "--json").out.splitlines()
            return [item for item in map(json.loads, lines) if item["type"].startswith(kind)]

        until(lambda: bool(seen("review:in_progress")))
        refused = workspace.aegis("review", "request", "part", "--json")
        assert refused.code == 3 and "is in progress" in refused.out
        change_while_it_is_read(seen, workspace, Path(worker["worktree"]) / "src/part.py")
        until(lambda: bool(seen("fix:suggested")))
        (event,) = seen("fix:suggested")
        assert event["data"]["to"] == worker["agent_id"] and not event["data"]["prompted"]
        reviews = seen("review:")
        assert [item["type"] for item in reviews] == [
            "review:requested",
            "review:in_progress",
            "review:stale",
            "review:completed",
        ]
        assert reviews[0]["data"]["files"] == ["src/part.py"] and reviews[0]["data"]["part"]
        (Path(worker["worktree"]) / "go").touch()
        until(lambda: any("the name says nothing" in str(item) for item in server.conversation("part")))
    finally:
        workspace.aegis("cancel")
        workspace.aegis("hub", "stop", "--force")
        workspace.close()
        server.close()
