"""A spec file that is dropped into a checkout becomes a commit; nobody types in a run (SPEC-3, SPEC-4, SPEC-6)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.application.spec_text import load_spec
from aegis_tui.domain.spec.document import Spec
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, Served

ACTIVE = Path(".agents/specs/active")
TEXT = """\
# Kim's spec
id: {name}
status: {status}   # when it is ready
priority: {priority}
metadata:
  title: 'Add {name}'
  description: |
    FILE src/{name}.py: X = 1\\n
requirements:
  - id: R1
    description: There is a module {name}.
    acceptanceCriteria: [It can be imported.]
tasks:
  - id: T1
    title: Write it
    files: [src/{name}.py]
"""


@pytest.fixture
def workspace(other_server: str) -> Iterator[ScratchWorkspace]:
    scratch = Served()
    try:
        scratch.init(SHOP)
        (scratch.folder / "config" / "aegis-tui").mkdir()
        (scratch.folder / "config" / "aegis-tui" / "config.toml").write_text(f'base_url = "{other_server}"\n')
        yield scratch
        scratch.aegis("hub", "stop")
        left = scratch.leftovers()
    finally:
        scratch.close()
    assert left == []


def drop(workspace: ScratchWorkspace, name: str, *, status: str = "approved", priority: str = "medium") -> Path:
    path = workspace.root / ACTIVE / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT.format(name=name, status=status, priority=priority), "utf-8")
    return path


def await_spec(workspace: ScratchWorkspace, path: Path, is_there: Callable[[Spec], bool]) -> Spec:
    workspace.until(lambda: is_there(load_spec(path).spec), what=f"{path.name} is there: {path.read_text()}")
    return load_spec(path).spec


def pings(workspace: ScratchWorkspace, spec_id: str) -> list[dict[str, Any]]:
    return [event for event in workspace.events() if event["data"].get("specId") == spec_id]


def test_files_that_are_dropped_become_a_commit_together_and_a_later_one_another(workspace: ScratchWorkspace) -> None:
    before = workspace.git("status", "--porcelain"), workspace.git("rev-parse", "HEAD")
    assert workspace.aegis("init").code == 0
    low, high = drop(workspace, "low", priority="low"), drop(workspace, "high", priority="high")
    low.write_text(f"{low.read_text()}dependencies: [high]\n")
    assert workspace.aegis("hub", "start").code == 0
    draft = drop(workspace, "later", status="draft")
    first = await_spec(workspace, high, lambda spec: spec.status in ("completed", "failed"))
    second = await_spec(workspace, low, lambda spec: spec.status in ("completed", "failed"))
    assert (first.status, first.error) == (second.status, second.error) == ("completed", "")
    assert [entry.change.partition(",")[0] for entry in first.changeLog][-1].endswith("-> completed")
    assert first.progress is not None and first.progress.completed == 1 and first.tasks[0].status == "completed"
    text = high.read_text()
    assert "# Kim's spec" in text and "# when it is ready" in text and "title: 'Add high'" in text
    kinds = [event["type"] for event in pings(workspace, "high")]
    assert kinds == ["specs.created", "specs.updated", "specs.in-progress", "specs.updated", "specs.completed"]
    assert workspace.git("show", "aegis/run1/result:src/high.py") == "X = 1"
    assert workspace.git("show", "aegis/run1/result:src/low.py") == "X = 1"
    assert workspace.git("rev-list", "--count", "HEAD..aegis/run1/result") == "1"
    assert second.result == first.result and second.diffPath == ".agents/diffs/low.diff"
    assert load_spec(draft).spec.status == "draft"
    assert workspace.git("rev-parse", "HEAD") == before[1]
    seen = workspace.aegis("spec", "ping", "high", "--json").json
    assert [(item["status"], item["run"]) for item in seen["specs"]] == [("completed", "run1")]
    for _ in range(3):
        workspace.aegis("spec", "rescan")
    assert len([event for event in workspace.events() if event["type"] == "run:started"]) == 1
    assert first.diffPath == ".agents/diffs/high.diff"
    assert workspace.git("apply", "--check", "--verbose", first.diffPath) == ""
    assert "+X = 1" in (workspace.root / first.diffPath).read_text().splitlines()
    listed = workspace.aegis("spec", "list").out
    assert f"aegis/run1/result {workspace.git('rev-parse', 'aegis/run1/result')[:10]}" in listed
    done = workspace.aegis("inbox", "--json").json["items"]
    assert [(item["kind"], item["key"]) for item in done] == [("done", "run1")]
    assert "run1 has completed" in done[0]["words"] and "and 1 more spec" in done[0]["words"]
    assert workspace.aegis("inbox", "answer", "run1", "seen").code == 0
    workspace.until(lambda: not (high.exists() or low.exists()), what="the files are in the archive")
    assert workspace.aegis("spec", "show", "high", "--json").json["path"].startswith(".agents/specs/archive/")
    assert workspace.aegis("spec", "approve", "later").code == 0
    assert await_spec(workspace, draft, lambda spec: spec.status == "completed").error == ""


def test_a_spec_that_cannot_be_started_fails_with_the_reason_and_can_be_approved_again(
    workspace: ScratchWorkspace,
) -> None:
    assert workspace.aegis("hub", "start").code == 0
    path = drop(workspace, "odd")
    path.write_text(path.read_text().replace("files: [src/odd.py]", "files: [.git/config]"))
    failed = await_spec(workspace, path, lambda spec: spec.status == "failed")
    assert ".git" in failed.error
    path.write_text(path.read_text().replace("files: [.git/config]", "files: [src/odd.py]"))
    assert workspace.aegis("spec", "approve", "odd").code == 0
    done = await_spec(
        workspace, path, lambda spec: spec.status in ("completed", "failed") and spec.error != failed.error
    )
    assert (done.status, done.error) == ("completed", "")


def test_a_hub_that_is_killed_while_a_spec_is_worked_on_finishes_it_once(workspace: ScratchWorkspace) -> None:
    assert workspace.aegis("hub", "start").code == 0
    path = drop(workspace, "held")
    await_spec(workspace, path, lambda spec: spec.status == "in-progress")
    os.kill(workspace.hub_pid(), signal.SIGKILL)
    drop(workspace, "next")
    assert workspace.aegis("spec", "rescan").code == 0
    assert await_spec(workspace, path, lambda spec: spec.status in ("completed", "failed")).status == "completed"
    later = await_spec(workspace, workspace.root / ACTIVE / "next.yaml", lambda spec: spec.status == "completed")
    assert later.error == ""
    claims = [event for event in workspace.events() if event["data"].get("by_run")]
    assert [event["data"]["specId"] for event in claims] == ["held", "next"]
