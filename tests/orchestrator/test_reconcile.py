"""The reconciler over ports in memory: what it does, tries again and gives up (FLOW-2, FLOW-8, FLOW-11)."""

from __future__ import annotations

import asyncio
import errno
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import DiskFull, GitError, TerminalError
from aegis_tui.orchestrator import reconcile
from aegis_tui.ports.repository import RescueRef, Worktree, WorktreeSpec
from tests.orchestrator.run_bench import Bench

PASSING = GitError("index.lock is there", "look who works in the repository")
FULL = OSError(errno.ENOSPC, "No space left on device", "/disk/x")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(reconcile, "FIRST_PAUSE_S", 0.001)
    return Bench(tmp_path)


def run(bench: Bench, **fields: Any) -> Run:
    return asyncio.run(bench.run(**fields))


def test_a_run_ends_with_one_commit_on_its_base_and_nothing_left(bench: Bench) -> None:
    ended = run(bench)
    assert ended.ok is True
    result = bench.repository.refs["refs/heads/aegis/run1/result"]
    assert bench.repository.parents(result) == (bench.repository.head,)
    assert sorted(bench.repository.files(result)) == ["README.md", "src/a/new.py", "src/a/x.py", "src/b/new.py"]
    left = [name for name in bench.repository.refs if name.startswith("refs/heads/aegis/")]
    assert left == ["refs/heads/aegis/run1/result"]
    assert bench.repository.worktrees == {}
    assert bench.terminal.panes == {} and not bench.terminal.is_running
    assert bench.gateway.served is None


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("repository", "update_ref"),
        ("repository", "add_worktree"),
        ("repository", "changed_paths"),
        ("repository", "compose"),
        ("repository", "is_ancestor"),
        ("repository", "add_scratch"),
        ("repository", "squash"),
        ("repository", "delete_ref"),
        ("repository", "remove_worktree"),
        ("terminal", "open_pane"),
        ("terminal", "close_pane"),
    ],
)
def test_a_step_that_fails_once_is_done_again(bench: Bench, port: str, method: str) -> None:
    """Whatever it is: nothing is lost, nothing is there twice."""
    bench.faults[port].fail(method, PASSING)
    ended = run(bench)
    assert ended.ok is True
    assert len(bench.events("merge:applied")) == 2
    assert len(bench.events("run:committed")) == 1
    (finished,) = bench.events("run:finished")
    assert "problems" not in finished.data.model_dump()["report"]


def test_a_step_that_never_succeeds_ends_the_run_with_its_reason(bench: Bench) -> None:
    bench.faults["repository"].fail("compose", *[PASSING] * reconcile.TRIES)
    ended = run(bench)
    assert ended.ok is False and ended.error is not None
    assert ended.error["code"] == "effect.failed"
    assert "could not be merged: index.lock is there" in ended.error["message"]
    assert "refs/heads/aegis/run1/result" not in bench.repository.refs


def test_a_step_that_would_fail_in_the_same_way_is_not_done_again(bench: Bench) -> None:
    bench.faults["repository"].fail("compose", FULL)
    ended = run(bench)
    assert ended.ok is False and ended.error is not None
    assert "/disk/x: No space left on device" in ended.error["message"]
    assert "free space" in ended.error["hint"]
    assert bench.faults["repository"].calls.count("compose") == 1


def test_an_instance_that_cannot_be_made_is_told_and_another_takes_its_piece(bench: Bench) -> None:
    add = bench.repository.add_worktree

    async def refuse_w01(spec: WorktreeSpec) -> Worktree:
        if spec.instance == "w01":
            raise PASSING
        return await add(spec)

    bench.repository.add_worktree = refuse_w01  # type: ignore[method-assign]  # for one instance only
    ended = run(bench)
    assert ended.ok is True
    (lost,) = bench.events("instance:lost")
    assert "its worktree and files could not be created: index.lock is there" in lost.data.model_dump()["reason"]
    assert len(bench.events("merge:applied")) == 2


def test_a_pane_that_cannot_be_closed_does_not_stop_the_run(bench: Bench) -> None:
    bench.faults["terminal"].fail("close_pane", *[TerminalError("tmux says no")] * reconcile.TRIES)
    ended = run(bench)
    assert ended.ok is True
    assert bench.faults["terminal"].calls.count("close_pane") > reconcile.TRIES


def test_a_worktree_that_stays_does_not_stop_the_run_and_is_not_called_removed(bench: Bench) -> None:
    remove = bench.repository.remove_worktree

    async def keep_w01(path: Path, **fields: Any) -> RescueRef | None:
        if path.name == "w01":
            raise PASSING
        return await remove(path, **fields)

    bench.repository.remove_worktree = keep_w01  # type: ignore[method-assign]  # for one instance only
    ended = run(bench)
    assert ended.ok is True
    told = [event.data.model_dump() for event in bench.events("instance:reclaimed")]
    assert [item["reason"] for item in told if not item["removed"]] == ["index.lock is there"]


def test_the_end_of_a_run_is_reached_whatever_cannot_be_cleaned_up_and_the_report_names_it(bench: Bench) -> None:
    bench.faults["repository"].fail("restore_config", *[PASSING] * 50)
    bench.faults["terminal"].fail("stop_server", *[TerminalError("tmux says no")] * 50)
    ended = run(bench)
    assert ended.ok is True
    (finished,) = bench.events("run:finished")
    problems = finished.data.model_dump()["report"]["problems"]
    assert problems == [
        "the run's branches are not cleaned up: index.lock is there",
        "the terminal server is still there: tmux says no",
    ]


@pytest.mark.parametrize("is_given_up", [False, True])
def test_what_a_full_disk_does_not_take_is_logged_once_it_does(bench: Bench, is_given_up: bool) -> None:
    """A step and its word are done again; so is a giving up, which is an event as well."""
    compose = bench.repository.compose

    async def fill_the_disk(*args: Any, **fields: Any) -> Any:
        bench.repository.compose = compose  # type: ignore[method-assign]  # the disk is full once
        bench.faults["log"].fail("append", *[DiskFull("the disk is full", "free space")] * 3)
        if is_given_up:
            # For good: a giving up that the log does not take is followed by one more try.
            bench.faults["repository"].fail("compose", *[FULL] * 50)
            raise FULL
        return await compose(*args, **fields)

    bench.repository.compose = fill_the_disk  # type: ignore[method-assign]  # the disk is full once
    ended = run(bench)
    assert ended.ok is not is_given_up
    assert len(bench.events("merge:applied")) == (0 if is_given_up else 2)


def test_a_working_ref_that_an_agent_moved_is_put_back(bench: Bench) -> None:
    def move(item: Any) -> None:
        bench.repository.refs["refs/heads/aegis/run1/integration"] = bench.repository.head

    bench.plays["w02"] = move
    ended = run(bench)
    assert ended.ok is True
    result = bench.repository.refs["refs/heads/aegis/run1/result"]
    assert {"src/a/new.py", "src/b/new.py"} <= set(bench.repository.files(result))


def _is_at(stage: Stage, run: Run) -> bool:
    return run.stage is stage


def test_a_hub_that_ends_in_the_middle_is_gone_on_from_by_the_next(bench: Bench) -> None:
    """At each stage: the log alone says what is to be done."""

    async def both() -> Run:
        for stage in (Stage.MONITORING, Stage.INTEGRATE, Stage.FINAL_QA):
            engine = bench.open_engine()
            await engine.open()
            if not bench.log.written:
                await bench.start(engine)
            await bench.go_on(engine, partial(_is_at, stage))
            await engine.close()
        engine = bench.open_engine()
        await engine.open()
        try:
            return await bench.go_on(engine)
        finally:
            await engine.close()

    ended = asyncio.run(both())
    assert ended.ok is True
    assert len(bench.events("merge:applied")) == 2
    assert len(bench.events("run:committed")) == 1
