"""`aegis-tui run` on a repository that is not ours, with a model server that is not ours."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain.event import event_from_wire
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.run.report_model import CommitSeen, Report
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

SDIST = Path(__file__).with_name("vendored") / "cachetools-5.5.2.tar.gz"
QA = "PYTHONPATH=src python3 -m unittest discover -t . -s tests"
NOTES = "".join(f"line {number}\n" for number in range(1, 41))
STAGES = ["DESIGN", "FOUNDATION", "DISPATCH", "MONITORING", "INTEGRATE", "FINAL-QA", "DONE"]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of a public package, from its sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(SDIST, folder)
    return next(folder.iterdir())


@pytest.fixture
def workspace(sdist: Path) -> Iterator[ScratchWorkspace]:
    scratch = Served()
    files = {
        str(path.relative_to(sdist)): path.read_text("utf-8")
        for path in sorted(sdist.rglob("*"))
        if path.is_file() and "egg-info" not in str(path)
    }
    scratch.init({**files, "NOTES.txt": NOTES, "한글/노트.txt": "안녕\n", ".gitignore": "__pycache__/\n*.pyc\n"})
    yield scratch
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def file_line(path: str, text: str) -> str:
    escaped = text.replace("\n", "\\n")
    return f"FILE {path}: {escaped}"


def feature(name: str, *files: tuple[str, str], **more: Any) -> dict[str, Any]:
    lines = [file_line(path, text) for path, text in files]
    own = [path for path, _ in files if path != "NOTES.txt"]
    return {"id": name, "title": f"Add {name}", "brief": "\n".join(lines), "partition": own, **more}


def three_features(*, joint: bool = False, broken: bool = False) -> dict[str, Any]:
    changed = "def test() -> None:\n    return None\n"
    first = [("src/cachetools/size.py", "SIZE = 1\n"), ("tests/test_size.py", changed)]
    second = [("src/cachetools/age.py", "AGE = 2\n")]
    third = [("한글/검색.py", "찾기 = 3\n")]
    if joint:
        first.append(("NOTES.txt", NOTES.replace("line 2\n", "line 2, with sizes\n")))
        second.append(("NOTES.txt", NOTES.replace("line 38\n", "line 38, with ages\n")))
    if broken:
        third.append(("src/cachetools/keys.py", "raise RuntimeError('broken on purpose')\n"))
    design: dict[str, Any] = {
        "goal": "Keep sizes and ages",
        "features": [feature("size", *first), feature("age", *second), feature("search", *third)],
        "shared": ["README.rst"],
        "qa": {"commands": [QA]},
    }
    if joint:
        design["joint"] = ["NOTES.txt"]
    return design


def write_design(workspace: ScratchWorkspace, design: dict[str, Any]) -> str:
    path = workspace.folder / "design.yaml"
    path.write_text(json.dumps(design, ensure_ascii=False, indent=1), "utf-8")  # JSON is YAML
    return str(path)


def fingerprint(workspace: ScratchWorkspace) -> dict[str, Any]:
    """All that a run must not change of the person's checkout."""
    root = workspace.root
    files = {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git/" not in f"{path.relative_to(root)}/" and ".agents" not in path.parts
    }
    return {
        "files": files,
        "head": (root / ".git" / "HEAD").read_bytes(),
        "index": (root / ".git" / "index").read_bytes(),
        "config": (root / ".git" / "config").read_bytes(),
        "main": workspace.git("rev-parse", "main"),
        "stash": workspace.git("stash", "list"),
        "worktrees": workspace.git("worktree", "list"),
        "status": workspace.git("status", "--porcelain"),
    }


def run(workspace: ScratchWorkspace, url: str, design: dict[str, Any], *more: str) -> tuple[int, dict[str, Any]]:
    answer = workspace.aegis(
        "run",
        "Keep sizes and ages",
        "--design",
        write_design(workspace, design),
        "--base-url",
        url,
        "--headless",
        "--json",
        *more,
    )
    assert answer.out.count("\n") == 1, answer.err
    return answer.code, answer.json


def overlapped(instances: list[dict[str, Any]]) -> int:
    """The most workers that were alive at one instant."""
    from datetime import datetime

    spans = []
    for item in instances:
        if item["role"] == "worker" and item["started_at"]:
            start = datetime.fromisoformat(item["started_at"]).timestamp()
            spans.append((start, start + item["duration_s"]))
    return max((sum(a <= start < b for a, b in spans) for start, _ in spans), default=0)


def test_three_features_at_once_become_one_commit(workspace: ScratchWorkspace, other_server: str) -> None:
    (workspace.root / "README.rst").write_text("the person is writing here\n")
    workspace.git("stash")
    (workspace.root / "docs" / "index.rst").write_text("uncommitted\n")
    workspace.git("add", "docs/index.rst")
    before = fingerprint(workspace)
    base = workspace.git("rev-parse", "HEAD")

    code, report = run(workspace, other_server, three_features())

    assert (code, report["ok"]) == (0, True), report.get("error")
    assert [item["name"] for item in report["stages"]] == STAGES
    assert all(item["state"] == "passed" for item in report["stages"])
    assert overlapped(report["instances"]) == 3
    assert report["locks"] == {
        "requested": 0,
        "granted": 0,
        "waited": 0,
        "failed": 0,
        "expired": 0,
        "deadlocks": 0,
    }
    assert report["conflicts"] == []
    assert report["scripted"] is False
    commit = report["commit"]
    assert commit["branch"] == "aegis/run1/result"
    assert workspace.git("rev-list", "--parents", "-1", commit["branch"]) == f"{commit['oid']} {base}"
    changed = workspace.git("-c", "core.quotePath=false", "diff", "--name-only", base, commit["branch"]).splitlines()
    assert sorted(changed) == sorted(
        ["src/cachetools/age.py", "src/cachetools/size.py", "tests/test_size.py", "한글/검색.py"]
    )
    assert commit["files"] == 4
    assert set(commit["trailers"]) == {"Aegis-Run", "Aegis-Instance", "Co-Authored-By"}
    assert fingerprint(workspace) == before
    workspace.git("fsck", "--strict")
    heads = workspace.git("for-each-ref", "--format=%(refname)", "refs/heads").splitlines()
    assert heads == ["refs/heads/aegis/run1/result", "refs/heads/main"]


def test_two_features_change_one_joint_file_under_its_lock(workspace: ScratchWorkspace, other_server: str) -> None:
    workspace.aegis("hub", "start")
    lenses = ("--lens", "general", "--lens", "style")
    code, report = run(workspace, other_server, three_features(joint=True), *lenses)
    assert (code, report["ok"]) == (0, True), report.get("error")
    seen = {(item["piece"], item["lens"]) for item in report["reviews"]}
    assert {(piece, "general") for piece in ("age", "size", "search", "composition")} <= seen
    assert {lens for _, lens in seen} == {"general", "style"}
    text = workspace.git("show", "aegis/run1/result:NOTES.txt")
    assert "line 2, with sizes" in text and "line 38, with ages" in text
    assert report["locks"]["granted"] == report["locks"]["requested"] == 2
    (conflict,) = report["conflicts"]
    assert {conflict["a"], conflict["b"]} == {"age", "size"}
    fields = ("path", "kind", "resolution", "label", "strategy")
    assert [conflict[name] for name in fields] == ["NOTES.txt", "soft", "merged", "proven", "text"]
    assert json.loads(json.dumps(folded(workspace))) == report, "the report is a fold over the log and git"
    workspace.aegis("hub", "stop")


def folded(workspace: ScratchWorkspace) -> Report:
    """The report of the first run from what the log and git hold, by nothing else."""
    events = [event_from_wire(item) for item in workspace.events()]
    oid = workspace.git("rev-parse", "aegis/run1/result")
    listed = workspace.git("show", "--no-patch", "--format=%(trailers:only,unfold)", oid)
    trailers: dict[str, list[str]] = {}
    for line in filter(None, listed.splitlines()):
        name, _, value = line.partition(": ")
        trailers.setdefault(name, []).append(value)
    seen: CommitSeen = {
        "subject": workspace.git("show", "--no-patch", "--format=%s", oid),
        "files": len(workspace.git("diff", "--name-only", f"{oid}^", oid).splitlines()),
        "trailers": trailers,
    }
    return fold_report(events, "run1", commit=seen)


def test_code_that_breaks_the_tests_fails_qa_and_commits_nothing(
    workspace: ScratchWorkspace, other_server: str
) -> None:
    code, report = run(workspace, other_server, three_features(broken=True), "--rounds", "0")
    assert code == 3, (report["error"], report["qa"])
    assert report["ok"] is False and report["commit"] is None
    assert report["error"]["code"] == "qa_passed"
    assert report["qa"] and not any(item["ok"] for item in report["qa"])
    assert all(item["new_failures"] for item in report["qa"])
    assert workspace.git("for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"
    kept = workspace.git("for-each-ref", "--format=%(refname)", "refs/aegis/runs/run1")
    assert "refs/aegis/runs/run1/search" in kept
    base, merged = re.findall(r"git diff (\w+) (\S+) shows it", report["error"]["hint"])[0]
    shown = workspace.git("diff", "--name-only", base, merged)
    assert f"git merge --squash {merged} brings it into your branch" in report["error"]["hint"]
    workspace.git("merge", "--squash", merged)
    assert shown and workspace.git("diff", "--cached", "--name-only") == shown


def test_a_piece_that_breaks_the_tests_is_left_out_and_the_others_are_the_result(
    workspace: ScratchWorkspace, other_server: str
) -> None:
    code, report = run(workspace, other_server, three_features(broken=True), "--rounds", "0", "--partial")
    assert (code, report["ok"]) == (3, False), report.get("error")
    assert report["error"]["code"] == "left_out" and "search" in report["error"]["message"]
    (left,) = report["left_out"]
    assert left["piece"] == "search" and QA in left["reason"]
    assert "broken on purpose" in workspace.git("show", f"{left['ref']}:src/cachetools/keys.py")
    result = report["commit"]["branch"]
    assert workspace.git("rev-parse", f"{result}~1") == workspace.git("rev-parse", "main")
    files = workspace.git("diff", "--name-only", "main", result).split()
    assert sorted(files) == ["src/cachetools/age.py", "src/cachetools/size.py", "tests/test_size.py"]
    message = workspace.git("show", "-s", "--format=%B", result)
    assert message.splitlines()[0].endswith(" (incomplete)")
    assert "search" in message.partition("Not included:\n")[2] and "search" not in message.partition("Not included:")[0]
    (round_of_result,) = {item["round"] for item in report["qa"]}
    assert round_of_result == 0 and all(item["ok"] for item in report["qa"]), "QA of the tree that is the result"
