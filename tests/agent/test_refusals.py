"""A refusal that another try does not change ends the task, with its words, after three calls (FLOW-10)."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.refusals import MAX_IN_ALL, Refusals
from aegis_tui.domain.git_refusal import read_commit_refusal, read_refusal
from aegis_tui.errors import AegisError, LockHeld, ModelRefused, Refused, UsageError
from aegis_tui.testing.canned_llm import calls

Play = Callable[..., None]
WRITE = calls(("write", {"path": "src/a/n.py", "content": "x\n"}))
DONE = calls(("report", {"status": "done", "summary": "feat(a): add a"}))
READ = calls(("read", {"path": "src/a/app.py"}))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def hook(worktree: Path, name: str, script: str) -> None:
    path = Path(git(worktree, "rev-parse", "--git-path", f"hooks/{name}"))
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def cause_of_end(bench: Any, failed: Any) -> dict[str, Any]:
    assert len(bench.hub.of_type("diff:submit")) == 0
    cause: dict[str, Any] = failed.fields["cause"]
    return cause


@pytest.mark.parametrize("name", ["pre-commit", "commit-msg"])
def test_a_hook_that_always_refuses_ends_the_task_after_three_reports(worktree: Path, play: Play, name: str) -> None:
    hook(worktree, name, 'echo "lint: took 0.$$ s, no tabs in n.py" >&2; exit 1')

    async def scenario(bench: Any) -> None:
        bench.server.will(WRITE, *[DONE] * 20)
        await bench.work()
        failed = await bench.ends("failed")
        cause = cause_of_end(bench, failed)
        assert len(bench.server.requests) == 4
        assert "no tabs in n.py" in cause["message"] and "no tabs in n.py" in failed.fields["note"]
        assert (cause["code"], cause["outlook"]) == ("commit.hook", "certain")

    play(scenario)


def test_a_missing_filter_program_ends_the_task_at_the_first_report(worktree: Path, play: Play) -> None:
    (worktree / ".gitattributes").write_text("*.py filter=rot\n")
    git(worktree, "add", ".gitattributes")
    git(worktree, "commit", "-qm", "attributes")
    git(worktree, "config", "filter.rot.clean", "/nowhere/rot")
    git(worktree, "config", "filter.rot.required", "true")

    async def scenario(bench: Any) -> None:
        bench.server.will(WRITE, *[DONE] * 20)
        await bench.work()
        cause = cause_of_end(bench, await bench.ends("failed"))
        assert len(bench.server.requests) <= 3
        assert "clean filter 'rot' failed" in cause["message"] and "git config" in cause["hint"]
        assert (cause["code"], cause["outlook"]) == ("git.filter", "certain")

    play(scenario)


def test_nothing_changed_three_times_ends_the_attempt_and_leaves_the_task_to_another(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(DONE, READ, DONE, READ, DONE, *[DONE] * 20)
        await bench.work()
        failed = await bench.ends("failed")
        assert failed.fields["cause"]["outlook"] == "repeated"
        assert "nothing was changed" in failed.fields["note"]
        assert len(bench.server.requests) == 5

    play(scenario)


def test_a_commander_that_reports_instead_of_proposing_ends_after_three(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(*[DONE] * 20)
        await bench.work("Plan.", task="design", spec_id=None)
        failed = await bench.ends("failed")
        assert "the design is not proposed yet" in failed.fields["cause"]["message"]
        assert len(bench.server.requests) == 3

    play(scenario, role="commander")


def test_a_typed_line_to_a_finished_worker_is_worked_on_and_ends(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(WRITE, DONE)
        await bench.work()
        await bench.ends("done")
        for changes in (False, True):
            bench.hub.refuse_next("diff:submit", Refused("a is applied", "wait", code="spec.status"))
            bench.server.will(*[calls(("write", {"path": "src/a/more.py", "content": "y\n"}))] * changes, DONE)
            seen, said = len(bench.hub.of_type("agent:report")), len(bench.server.requests)
            bench.session.person_says("thank you")
            await bench.until(
                lambda seen=seen: any(
                    item.fields["state"] == "done" for item in bench.hub.of_type("agent:report")[seen:]
                )
            )
            assert len(bench.server.requests) == said + 1 + changes
        assert "stands" in bench.results()[-1]
        note = bench.hub.of_type("agent:report")[-1].fields["note"]
        assert "only on the branch" in note
        assert not [item for item in bench.hub.of_type("agent:report") if item.fields["state"] == "failed"]

    play(scenario)


def test_a_worker_whose_piece_was_taken_back_submits_it_again_without_a_change(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(WRITE, DONE, DONE)
        await bench.work()
        await bench.ends("done")
        await bench.hub.prompt("w01", "Why this way?", task="free")
        await bench.until(lambda: len(bench.hub.of_type("diff:submit")) == 2)
        first, second = (item.fields for item in bench.hub.of_type("diff:submit"))
        assert first == second

    play(scenario)


def error(text: str, **options: Any) -> AegisError:
    return Refused(text, **options)


def test_a_change_in_between_gives_another_chance_and_not_for_ever() -> None:
    refusals = Refusals()
    ends = []
    for number in itertools.count(1):
        cause = refusals.refused("report", "{}", error(f"failed {number}"), finishes=True)
        refusals.accepted("edit")
        if cause:
            ends.append(number)
            break
    assert ends == [MAX_IN_ALL]


def test_reading_in_between_gives_no_other_chance() -> None:
    refusals = Refusals()
    for _ in range(2):
        assert refusals.refused("report", "{}", error("no"), finishes=True) is None
        refusals.accepted("read")
    assert refusals.refused("report", '{"other": 1}', error("no"), finishes=True) is not None


def test_other_arguments_are_another_refusal_of_a_tool_that_ends_nothing() -> None:
    refusals = Refusals()
    said = [refusals.refused("edit", f"{{{number}}}", UsageError("not in it"), finishes=False) for number in range(9)]
    assert said == [None] * 9
    same = [refusals.refused("edit", "{}", UsageError("not in it"), finishes=False) for _ in range(3)]
    assert same[:2] == [None, None] and same[2] is not None


def test_a_held_lock_is_waited_for_and_what_is_certain_is_not_tried_again() -> None:
    refusals = Refusals()
    assert [refusals.refused("lock", "{}", LockHeld("held"), finishes=False) for _ in range(9)] == [None] * 9
    cause = refusals.refused("report", "{}", ModelRefused("400: no such parameter"), finishes=True)
    assert cause is not None and cause.is_certain


@pytest.mark.parametrize(
    ("output", "code", "certain"),
    [
        ("error: external filter '/x/rot' failed 127\nfatal: k.sec: clean filter 'rot' failed", "git.filter", True),
        ("error: insufficient permission for adding an object to repository database objects", "git.store", True),
        ("fatal: unable to create temporary file: Read-only file system", "git.store", True),
        ("error: file write error: No space left on device\nfatal: unable to write", "disk.full", True),
        ("fatal: unable to read tree 0123456789012345678901234567890123456789", "git.objects", True),
        ("fatal: Unable to create '/r/.git/index.lock': File exists.", "git.locked", False),
    ],
)
def test_what_git_says_tells_what_may_pass(output: str, code: str, certain: bool) -> None:
    meaning = read_refusal(output)
    assert meaning is not None and (meaning.code, meaning.is_certain) == (code, certain)


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("aegis-tui: refused: b.py belongs to NATIVE-w02", "commit.guard"),
        ("hook: cannot open cache: Read-only file system", "commit.hook"),
        ("rule 7 failed", "commit.hook"),
    ],
)
def test_the_guard_of_the_instance_is_no_hook_of_the_repository(output: str, code: str) -> None:
    assert read_commit_refusal(output).code == code
    assert not read_commit_refusal(output).is_certain
