"""Runs in repositories that are not plain: what can work works, what cannot is said first (FLOW-2, FLOW-10)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.e2e.test_kill import call, serve
from tests.workspace import Served

WRITE = call("write", path="out/x.txt", content="made\n")
DONE = call("report", status="done", summary="feat: make it")
REVIEWER = [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])]


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    scratch.init({"README.md": "hello\n", ".gitignore": "out/\n"})
    yield scratch
    scratch.aegis("hub", "stop")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def run(
    workspace: ScratchWorkspace, steps: list[dict[str, Any]], *more: str, partition: str
) -> tuple[CommandResult, RecordedLLM]:
    """One feature, built by a worker that takes these steps."""
    model = serve(workspace.folder / "scripts", {"one": steps, "reviewer": REVIEWER})
    design = {
        "goal": "Make a file",
        "features": [{"id": "one", "title": "One", "brief": "Make it. [[script:one]]", "partition": [partition]}],
        "qa": {"commands": ["test -f out/x.txt"]},
    }
    place = workspace.folder / "design.yaml"
    place.write_text(json.dumps(design))
    try:
        arguments = ["--design", str(place), "--base-url", model.base_url, "--headless", "--json"]
        return workspace.aegis("run", "Make a file", *arguments, *more, "--note", "reviewer=[[script:reviewer]]"), model
    finally:
        model.close()


def test_borrowed_objects_ignored_files_a_filter_outside_the_path_and_a_folder_that_is_not_utf_8_work(
    workspace: ScratchWorkspace,
) -> None:
    origin = workspace.root
    tool = workspace.folder / "rot"
    tool.write_text("#!/bin/sh\ntr a-z n-za-m\n")
    tool.chmod(0o755)
    (origin / ".gitattributes").write_text("*.txt filter=rot\n")
    (origin / "k.txt").write_text("frperg\n")
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "feat: secrets")
    workspace.root = workspace.folder / os.fsdecode(b"borrow\xe9r")
    workspace.root.mkdir()
    workspace.git("clone", "-q", "--shared", str(origin), ".")
    for name, value in {
        "user.name": "P",
        "user.email": "p@example.org",
        "commit.gpgSign": "true",
        "filter.rot.clean": str(tool),
        "filter.rot.smudge": str(tool),
        "filter.rot.required": "true",
    }.items():
        workspace.git("config", name, value)
    answer, _ = run(workspace, [WRITE, DONE], partition="out/**")
    assert answer.code == 0, (answer.out, answer.err)
    assert answer.json["commit"]["files"] == 1
    assert workspace.git("show", "aegis/run1/result:out/x.txt") == "znqr"
    assert "the result is not signed" in answer.err and "DONE" in answer.err


def test_a_hook_that_always_refuses_ends_the_run_after_one_worker(workspace: ScratchWorkspace) -> None:
    hook = workspace.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho 'lint: x.txt has no licence' >&2; exit 1\n")
    hook.chmod(0o755)
    answer, model = run(workspace, [WRITE, *[DONE] * 30], partition="out/**")
    assert answer.code == 1, (answer.out, answer.err)
    error = answer.json["error"]
    assert "lint: x.txt has no licence" in error["message"] and "lint: x.txt has no licence" in error["cause"]
    assert (error["code"], error["instance"], error["feature"]) == ("worker.failed", "NATIVE-w01", "one")
    assert "lint: x.txt has no licence" in Path(error["log"]).read_text("utf-8")
    assert [item["id"] for item in answer.json["instances"]] == ["w01"]
    assert model.requests <= 5
    assert workspace.git("for-each-ref", "refs/aegis/rescue/run1/w01") != ""
    assert "lint: x.txt has no licence" in answer.err


def test_the_result_gets_the_form_that_the_persons_hooks_want(workspace: ScratchWorkspace) -> None:
    """The usual message is refused; that of the worker, who found the form, is taken and changed as a commit is."""
    workspace.git("commit", "-q", "--amend", "-m", "ABC-1: start")
    for name, script in {
        "commit-msg": 'grep -q "^ABC-[0-9]*: " "$1" || { echo "say ABC-7: first" >&2; exit 1; }',
        "prepare-commit-msg": 'printf "\\nSigned-off-by: P <p@example.org>\\n" >> "$1"',
    }.items():
        hook = workspace.root / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)
    commit = call("bash", command="git add -A -f && git commit -qm 'ABC-7: make it'")
    answer, _ = run(workspace, [WRITE, DONE, commit, DONE], partition="out/**")
    assert answer.code == 0, (answer.out, answer.err)
    assert answer.json["commit"]["subject"] == "ABC-7: make it"
    shown = ("show", "-s", "--format=%s|%(trailers:key=Aegis-Run)|%(trailers:key=Signed-off-by)", "aegis/run1/result")
    assert workspace.git(*shown).replace("\n", "") == (
        "ABC-7: make it|Aegis-Run: run1|Signed-off-by: P <p@example.org>"
    )
    assert [item["ok"] for item in answer.json["qa"] if "commit-msg" in item["command"]] == [True, True]


def test_a_hook_that_refuses_the_result_alone_is_a_task_for_its_worker(workspace: ScratchWorkspace) -> None:
    hook = workspace.root / ".git/hooks/pre-commit"
    hook.write_text(
        "#!/bin/sh\n"
        'test "$(git symbolic-ref --short HEAD)" != aegis/run1/result || ! grep -n bad out/x.txt /dev/null >&2\n'
    )
    hook.chmod(0o755)
    bad = call("write", path="out/x.txt", content="bad\n")
    answer, _ = run(workspace, [bad, DONE, WRITE, DONE], partition="out/**")
    assert answer.code == 0, (answer.out, answer.err)
    assert workspace.git("show", "aegis/run1/result:out/x.txt") == "made"
    assert "your hook pre-commit refuses the result: out/x.txt:1:bad" in answer.err


def test_a_message_that_no_worker_can_repair_is_for_the_person(workspace: ScratchWorkspace) -> None:
    """It refuses our trailer: the worker gets the task once, and the person has accepted what it cannot do."""
    hook = workspace.root / ".git/hooks/commit-msg"
    hook.write_text('#!/bin/sh\n! grep -q "^Aegis-Run" "$1" || test "$(git symbolic-ref HEAD)" != $(cat .result)\n')
    hook.chmod(0o755)
    (workspace.root / ".result").write_text("refs/heads/aegis/run1/result\n")
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "chore: name the branch")
    answer, _ = run(workspace, [WRITE, DONE, DONE, DONE], "--accept-base-failures", partition="out/**")
    assert answer.code == 0, (answer.out, answer.err)
    assert "QA FAILED, round 1" in answer.err and "refuses each message that was tried" in answer.err
    assert answer.json["commit"]["subject"] == "feat: make a file"
    (check,) = [item for item in answer.json["qa"] if "commit-msg" in item["command"] and item["ok"]]
    assert check["accepted_by"]


def test_new_files_outside_the_partition_are_kept_in_a_rescue_ref(workspace: ScratchWorkspace) -> None:
    stray = call("bash", command="echo stray > notes.md")
    answer, _ = run(workspace, [WRITE, stray, DONE, DONE], partition="out/**")
    assert answer.code == 0, (answer.out, answer.err)
    (worker,) = [item for item in answer.json["instances"] if item["role"] == "worker"]
    assert workspace.git("show", f"{worker['rescue_ref']}:notes.md") == "stray"
    assert "notes.md" not in workspace.git("ls-tree", "-r", "--name-only", "aegis/run1/result")


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root, who may give a file to another user")
def test_a_repository_of_another_user_is_refused_with_the_command_that_helps(workspace: ScratchWorkspace) -> None:
    subprocess.run(["chown", "-R", "65534", str(workspace.root)], check=True)
    answer, model = run(workspace, [WRITE, DONE], partition="out/**")
    subprocess.run(["chown", "-R", "0", str(workspace.root)], check=True)
    assert answer.code == 5 and model.requests == 0, answer
    assert answer.json["error"]["code"] == "git.ownership"
    assert "git config --global --add safe.directory" in answer.json["error"]["hint"]
    assert workspace.git("for-each-ref", "refs/heads/aegis") == ""


@pytest.mark.parametrize("kind", ["filter", "alternates"])
def test_what_cannot_work_is_refused_before_the_model_is_asked(workspace: ScratchWorkspace, kind: str) -> None:
    objects = workspace.root / ".git/objects"
    if kind == "filter":
        (workspace.root / ".gitattributes").write_text("*.md filter=gone\n")
        workspace.git("add", "-A")
        workspace.git("commit", "-qm", "chore: attributes")
        workspace.git("config", "filter.gone.clean", "no-such-program")
        workspace.git("config", "filter.gone.required", "true")
    else:
        (objects / "info").mkdir(exist_ok=True)
        (objects / "info/alternates").write_text("/nowhere/objects\n")
    answer, model = run(workspace, [WRITE, DONE], partition="out/**")
    assert answer.json["error"]["code"] == f"preflight.{kind}", answer
    assert answer.code in (3, 5) and model.requests == 0
    assert workspace.git("for-each-ref", "refs/heads/aegis") == ""
