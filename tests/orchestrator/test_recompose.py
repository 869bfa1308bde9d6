"""A run that ends without its bad pieces, over ports in memory (FLOW-7, FLOW-10, PERF-22)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain import command as commands
from aegis_tui.domain.composition.commands import MergeApply
from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.domain.need import needs
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.report_model import Report
from aegis_tui.errors import GitError, Refused
from aegis_tui.orchestrator import reconcile
from aegis_tui.ports.program import ProgramResult
from tests.orchestrator.run_bench import CHECK, PASSED, Bench

FAILED = "test_{0} ... FAIL\n\n" + "=" * 70 + "\nFAIL: test_{0} (tests.T.test_{0})\n" + "-" * 70 + "\nE\n"
ENDED = f"{'-' * 70}\nRan 1 test in 0.001s\n\nFAILED (failures=1)\n"


class Checked:
    """QA that fails on each tree that has the new file of a bad piece; it counts the trees."""

    def __init__(self, bench: Bench, *bad: str) -> None:
        self.bench, self.bad = bench, bad
        self.trees: list[frozenset[str]] = []

    async def run(self, argv: list[str], *, cwd: Path, **_: Any) -> ProgramResult:
        files = self.bench.repository.files(self.bench.repository.worktrees[cwd].base_oid)
        self.trees.append(frozenset(files))
        guilty = [name for name in self.bad if f"src/{name}/new.py" in files]
        if not guilty:
            return ProgramResult(0, PASSED, 0.1)
        return ProgramResult(1, "".join(FAILED.format(name) for name in guilty) + ENDED, 0.1)


def design(names: str, **needs: list[str]) -> dict[str, Any]:
    features = [
        {"id": name, "title": name, "brief": name, "partition": [f"src/{name}/**"], "depends_on": needs.get(name, [])}
        for name in names
    ]
    return {"goal": "Some things", "features": features, "qa": {"commands": [CHECK]}}


def make(folder: Path, names: str, bad: str, needs: Mapping[str, list[str]] | None = None, **options: Any) -> Bench:
    bench = Bench(
        folder, design(names, **(needs or {})), **{"max_rounds": 0, "partial": True, "piece_checks": False, **options}
    )
    bench.programs = Checked(bench, *bad)  # type: ignore[assignment]  # a runner of its own
    return bench


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "FIRST_PAUSE_S", 0.001)


def report_of(bench: Bench) -> Report:
    (finished,) = bench.events("run:finished")
    report: Report = finished.data.model_dump()["report"]
    return report


def kept_files(bench: Bench) -> list[str]:
    result = bench.repository.refs["refs/heads/aegis/run1/result"]
    assert bench.repository.parents(result) == (bench.repository.head,)
    return sorted(path for path in bench.repository.files(result) if path.endswith("new.py"))


def test_a_bad_piece_is_left_out_and_the_others_are_the_result(tmp_path: Path) -> None:
    bench = make(tmp_path, "abcdefgh", "c")
    ended = asyncio.run(bench.run())
    assert ended.ok is False and ended.commit is not None
    assert kept_files(bench) == [f"src/{name}/new.py" for name in "abdefgh"]
    report = report_of(bench)
    assert [item["piece"] for item in report["left_out"]] == ["c"]
    assert "test_c" in report["left_out"][0]["reason"]
    assert report["left_out"][0]["ref"] == "refs/aegis/runs/run1/c"
    assert bench.repository.refs["refs/aegis/runs/run1/c"] == ended.pieces["c"].head_oid
    assert report["error"]["code"] == "left_out"
    assert report["commit"] is not None and report["stages"][-1]["state"] == "passed"
    subject, kept, missing, *_ = bench.repository.message(ended.commit.oid).split("\n\n")
    assert subject == "feat: some things (incomplete)"
    assert "- c: c" not in kept and missing == "Not included:\n- c: c"


def test_no_tree_is_checked_twice_and_the_runs_stay_within_the_bound(tmp_path: Path) -> None:
    bench = make(tmp_path, "abcdefgh", "cf")
    ended = asyncio.run(bench.run())
    assert kept_files(bench) == [f"src/{name}/new.py" for name in "abdegh"]
    trees: Counter[frozenset[str]] = Counter(bench.programs.trees)  # type: ignore[attr-defined]
    base, whole = bench.repository.files(bench.repository.head), max(trees, key=len)
    assert trees.pop(frozenset(base)) == 1
    assert trees.pop(whole) == 2, "QA of the whole batch looks once whether it fails by chance"
    assert set(trees.values()) == {1} and len(trees) <= 2 * 3 + 1
    assert ended.qa is not None and ended.qa.ok
    assert ended.qa.tree == ended.commit.tree if ended.commit else False


def test_what_builds_on_a_bad_piece_is_left_out_too_and_nothing_is_lost(tmp_path: Path) -> None:
    bench = make(tmp_path, "abcd", "b", {"c": ["b"], "d": ["a"]})
    asyncio.run(bench.run())
    assert kept_files(bench) == ["src/a/new.py", "src/d/new.py"]
    reasons = {item["piece"]: item["reason"] for item in report_of(bench)["left_out"]}
    assert set(reasons) == {"b", "c"} and reasons["c"] == "it builds on b, which is left out"
    assert {"refs/aegis/runs/run1/b", "refs/aegis/runs/run1/c"} <= set(bench.repository.refs)


def test_a_run_whose_pieces_are_all_bad_has_no_result(tmp_path: Path) -> None:
    bench = make(tmp_path, "ab", "ab")
    ended = asyncio.run(bench.run())
    assert ended.ok is False and ended.commit is None and ended.error is not None
    assert ended.error["code"] == "qa_passed"
    assert report_of(bench)["left_out"] == []


def test_without_the_option_a_bad_piece_ends_the_run_as_before(tmp_path: Path) -> None:
    bench = make(tmp_path, "ab", "b", partial=False)
    ended = asyncio.run(bench.run())
    assert ended.commit is None and ended.error is not None and ended.error["code"] == "qa_passed"
    assert not bench.events("piece:left-out")


def test_a_piece_that_no_worker_can_finish_is_left_out(tmp_path: Path) -> None:
    bench = make(tmp_path, "abc", "", max_attempts=1)
    bench.plays["w02"] = lambda item: False
    spoil = bench.repository.add_worktree

    async def refuse(spec: Any) -> Any:
        if spec.instance == "w02":
            raise GitError("index.lock is there", "look who works in the repository")
        return await spoil(spec)

    bench.repository.add_worktree = refuse  # type: ignore[method-assign]  # for one instance only
    asyncio.run(bench.run())
    assert kept_files(bench) == ["src/a/new.py", "src/c/new.py"]
    (left,) = report_of(bench)["left_out"]
    assert left["piece"] == "b" and "index.lock" in left["reason"]


def test_a_hub_that_starts_again_in_the_search_runs_no_tree_twice(tmp_path: Path) -> None:
    bench = make(tmp_path, "abcdefgh", "c")
    checked: Any = bench.programs
    run_check, hung = checked.run, asyncio.Event()

    async def hang_once(argv: list[str], **fields: Any) -> ProgramResult:
        if len(checked.trees) == 5 and not hung.is_set():
            hung.set()
            await asyncio.Event().wait()
        result: ProgramResult = await run_check(argv, **fields)
        return result

    checked.run = hang_once

    async def main() -> None:
        engine = bench.open_engine()
        await engine.open()
        try:
            await bench.start(engine)
            going = asyncio.create_task(bench.go_on(engine))
            await asyncio.wait_for(hung.wait(), 20)
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            await bench.go_on(engine)
        finally:
            await engine.close()

    asyncio.run(main())
    assert kept_files(bench) == [f"src/{name}/new.py" for name in "abdefgh"]
    trees: Counter[frozenset[str]] = Counter(checked.trees)
    assert trees.pop(max(trees, key=len)) == 2, "QA of the whole batch looks once whether it fails by chance"
    assert set(trees.values()) == {1}


@pytest.mark.parametrize("kind", ["run:cancel", "run:halt"])
def test_a_search_ends_with_a_cancel_and_rests_while_the_run_is_halted(tmp_path: Path, kind: str) -> None:
    bench = make(tmp_path, "abcdefgh", "c")
    checked: Any = bench.programs
    run_check = checked.run

    async def main() -> tuple[int, Run]:
        engine = bench.open_engine()
        await engine.open()

        async def stop_once(argv: list[str], **fields: Any) -> ProgramResult:
            result: ProgramResult = await run_check(argv, **fields)
            if len(checked.trees) == 5 and not bench.events("run:halted"):
                await engine.submit(commands.parse_command({"type": kind}), THE_PERSON)
            return result

        checked.run = stop_once
        try:
            await bench.start(engine)
            stopped = await bench.go_on(engine, lambda run: run.status in (RunStatus.HALTED, RunStatus.COMPLETED))
            seen = len(checked.trees)
            if stopped.is_open:
                await engine.submit(commands.parse_command({"type": "run:resume"}), THE_PERSON)
                stopped = await bench.go_on(engine)
            return seen, stopped
        finally:
            await engine.close()

    seen, ended = asyncio.run(main())
    assert seen == 5
    if kind == "run:halt":
        assert kept_files(bench) == [f"src/{name}/new.py" for name in "abdefgh"]
    else:
        assert ended.commit is None and len(checked.trees) == seen


def test_a_hub_that_is_killed_in_the_search_goes_on_with_the_same_result(tmp_path: Path) -> None:
    bench = make(tmp_path, "abcdefgh", "c")

    async def main() -> Run:
        engine = bench.open_engine()
        await engine.open()
        try:
            await bench.start(engine)
            await bench.go_on(engine, lambda run: run.is_splitting)
            await bench.go_on(engine, lambda run: run.needs_rebuild)
            return await bench.go_on(engine)
        finally:
            await engine.close()

    ended = asyncio.run(main())
    assert ended.ok is False and ended.commit is not None
    assert kept_files(bench) == [f"src/{name}/new.py" for name in "abdefgh"]


@pytest.mark.parametrize("method", ["compose_all", "merges", "commit"])
def test_a_step_that_fails_once_is_repeated(tmp_path: Path, method: str) -> None:
    bench = make(tmp_path, "abcd", "c")
    bench.faults["composing"].fail(method, GitError("index.lock is there", "look"))
    asyncio.run(bench.run())
    assert kept_files(bench) == ["src/a/new.py", "src/b/new.py", "src/d/new.py"]


def test_a_run_that_a_person_watches_waits_for_their_key(tmp_path: Path) -> None:
    bench = make(tmp_path, "abcd", "c", partial=False, attended=True)

    async def main() -> Run:
        engine = bench.open_engine()
        await engine.open()
        try:
            await bench.start(engine)
            waiting = await bench.go_on(engine, lambda run: run.waits_for_partial)
            assert waiting.is_open and waiting.stage is Stage.FINAL_QA
            (need,) = await engine.read(needs)
            assert need.kind == "partial"
            with pytest.raises(Refused, match="no feature would be kept"):
                await engine.submit(MergeApply(leave_out=("a", "b", "c", "d")), THE_PERSON)
            await engine.submit(MergeApply(), THE_PERSON)
            return await bench.go_on(engine)
        finally:
            await engine.close()

    ended = asyncio.run(main())
    assert ended.partial_by == THE_PERSON.agent_id
    assert kept_files(bench) == ["src/a/new.py", "src/b/new.py", "src/d/new.py"]


def test_a_person_can_leave_out_a_piece_that_is_merged_already(tmp_path: Path) -> None:
    bench = make(tmp_path, "abc", "", partial=False)

    async def main() -> Run:
        engine = bench.open_engine()
        await engine.open()
        try:
            await bench.start(engine)
            await bench.go_on(engine, lambda run: run.stage is Stage.INTEGRATE)
            await engine.submit(MergeApply(leave_out=("b",)), THE_PERSON)
            return await bench.go_on(engine)
        finally:
            await engine.close()

    asyncio.run(main())
    assert kept_files(bench) == ["src/a/new.py", "src/c/new.py"]
    (left,) = report_of(bench)["left_out"]
    assert left == {"piece": "b", "reason": "left out by the person", "ref": "refs/aegis/runs/run1/b"}
