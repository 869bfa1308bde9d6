"""Replays what the scenarios do, step by step, in real worktrees: the planned troubles must be real ones."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.application.design import load_design
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.run.brief import qa_brief, rebase_brief
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import UsageError
from aegis_tui.testing.sample_repository import COMMIT_DATE, create_sample_repository, scenario_directory
from aegis_tui.testing.scenario import Scenario, load_scenario

ROUTES = "src/shop/routes.py"
INTEGRATION = "aegis/r1/integration"
QA = [sys.executable, "-m", "unittest", "discover", "-t", ".", "-s", "tests"]
RUN = Run(
    run="r1",
    goal="the sample",
    options=RunOptions(),
    facts=RunFacts(workspace="w", base_oid="0" * 40, base_branch="main"),
    working_oid="0" * 40,
)
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    "AEGIS_INTEGRATION_REF": INTEGRATION,
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def run(directory: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)


def git(directory: Path, *argv: str) -> str:
    done = run(directory, "git", *argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def told_to_rebase(piece: str, other: str) -> str:
    return rebase_brief(RUN, piece, [Overlapping(a=other, b=piece, path=ROUTES, kind="hot", hunks=2)])


def told_of_failure(piece: str, output: str) -> str:
    check = QaCheck(
        check="tests",
        command=" ".join(QA),
        status="failed",
        ok=False,
        passed=None,
        failed=1,
        new_failures=("a test",),
        duration_s=1.0,
        output_tail=output,
    )
    return qa_brief(RUN, piece, [check])


@dataclass
class Worker:
    """Does what the scripted model says, as the built-in agent would; locks and gates are not its business."""

    scenario: Scenario
    worktree: Path
    scope: PartitionTable
    name: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """The exit codes of its commands since the last prompt."""

    def work(self, prompt: str) -> None:
        self.messages.append({"role": "user", "content": prompt})
        self.codes.clear()
        for _ in range(30):
            step = self.scenario.reply(self.messages, with_tools=True).step
            calls = step.tool_calls
            self.messages.append({"role": "assistant", "content": step.content, "tool_calls": [{} for _ in calls]})
            for call in calls:
                self.messages.append({"role": "tool", "content": self.call(call.tool, call.args)})
            if calls and calls[-1].tool == "report":
                return
        raise AssertionError(f"{self.name} never reports")

    def call(self, tool: str, args: Mapping[str, Any]) -> str:
        if tool in ("read", "signatures"):
            return Path(self.worktree, args["path"]).read_text()
        if tool in ("edit", "write"):
            return self.change(args)
        if tool == "bash":
            done = run(self.worktree, "bash", "-c", args["command"])
            self.codes.append(done.returncode)
            return done.stdout + done.stderr
        if tool == "report":
            git(self.worktree, "add", "-A")
            if git(self.worktree, "status", "--porcelain"):
                git(self.worktree, "commit", "-q", "-m", args["summary"])
        return "ok"

    def change(self, args: Mapping[str, Any]) -> str:
        verdict = self.scope.verdict(self.name, args["path"])
        assert verdict.allowed, verdict.message
        path = self.worktree / args["path"]
        if "content" in args:
            path.write_text(args["content"])
            return "written"
        text = path.read_text()
        assert text.count(args["old"]) == 1, f"{args['old']!r} is not once in {path}"
        path.write_text(text.replace(args["old"], args["new"]))
        return "edited"


class Job:
    """A scenario's workers on one sample repository, and the tree that their pieces are composed on."""

    def __init__(self, directory: Path, scenario: str) -> None:
        self.repository = directory / "shop"
        self.base = create_sample_repository(self.repository)
        self.design = load_design(scenario_directory(scenario) / "design.yaml")
        self._scenario = load_scenario(scenario_directory(scenario))
        self.composed = directory / "composed"
        git(self.repository, "worktree", "add", "-q", "-b", INTEGRATION, str(self.composed), "HEAD")
        self.briefs = {feature.id: feature.brief for feature in self.design.features}
        self._scope = PartitionTable()
        self._scope.set_scope(shared=self.design.shared, joint=self.design.joint)
        for feature in self.design.features:
            self._scope.set(feature.id, feature.partition)
        if self.design.foundation:
            self.briefs["foundation"] = self.design.foundation.brief

    def open(self, name: str) -> Worker:
        """A worker in a new worktree on what is composed now."""
        worktree = self.repository.parent / name
        git(self.repository, "worktree", "add", "-q", "-b", f"aegis/r1/{name}", str(worktree), INTEGRATION)
        scope = self._scope
        if name == "foundation" and self.design.foundation:
            scope = PartitionTable()
            scope.set(name, self.design.foundation.partition)
        return Worker(self._scenario, worktree, scope, name)

    def build(self, name: str) -> Worker:
        """A worker that has done its task, all of whose commands went well."""
        worker = self.open(name)
        worker.work(self.briefs[name])
        assert not any(worker.codes), worker.messages[-2]["content"]
        assert self.qa(worker.worktree).returncode == 0
        return worker

    def compose(self, worker: Worker) -> bool:
        merged = run(self.composed, "git", "merge", "-q", "--no-edit", f"aegis/r1/{worker.name}")
        if merged.returncode:
            assert git(self.composed, "diff", "--name-only", "--diff-filter=U") == ROUTES
            git(self.composed, "merge", "--abort")
        return merged.returncode == 0

    def qa(self, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
        return run(directory or self.composed, *QA)


def test_the_sample_repository_is_the_same_everywhere_and_its_tests_pass(tmp_path: Path) -> None:
    oids = {create_sample_repository(tmp_path / name) for name in ("one", "two")}
    assert len(oids) == 1
    one = tmp_path / "one"
    assert run(one, *QA).returncode == 0
    assert git(one, "status", "--porcelain") == ""
    assert git(one, "log", "--format=%an %aI", "main") == f"Sam Sample {COMMIT_DATE}"
    assert not [path for path in one.rglob("*cache*") if path.name == ".mypy_cache"]
    assert (one / ".gitignore").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        create_sample_repository(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("first", "second"), [("discounts", "wishlist"), ("wishlist", "discounts")])
def test_the_default_scenario_has_one_hot_conflict_and_one_failure_of_the_whole(
    first: str, second: str, tmp_path: Path
) -> None:
    job = Job(tmp_path, "default")
    assert job.compose(job.build("foundation"))
    workers = {name: job.build(name) for name in ("discounts", "wishlist", "search")}

    assert job.compose(workers[first])
    assert job.compose(workers["search"])
    assert not job.compose(workers[second])
    workers[second].work(told_to_rebase(second, first))
    assert [code == 0 for code in workers[second].codes] == [False, True, True]
    assert job.compose(workers[second])
    report = job.open("report")
    report.work(job.briefs["report"])
    assert report.codes == [0]
    assert job.compose(report)

    failed = job.qa()
    assert failed.returncode != 0
    assert "test_checkout_says_what_the_order_costs" in failed.stderr
    assert "FAILED (failures=1)" in failed.stderr
    workers["wishlist"].work(told_of_failure("wishlist", failed.stderr))
    git(job.repository, "merge-base", "--is-ancestor", INTEGRATION, "aegis/r1/wishlist")
    assert [code == 0 for code in workers["wishlist"].codes] == [False, True]
    assert job.compose(workers["wishlist"])
    assert job.qa().returncode == 0
    assert git(job.repository, "rev-parse", "main") == job.base


def test_the_report_stands_without_the_discounts(tmp_path: Path) -> None:
    job = Job(tmp_path, "default")
    assert job.compose(job.build("foundation"))
    job.build("report")


def test_the_calm_scenario_has_no_trouble(tmp_path: Path) -> None:
    job = Job(tmp_path, "calm")
    workers = [job.build(name) for name in job.briefs]
    assert all(job.compose(worker) for worker in workers)
    assert job.qa().returncode == 0
    assert load_scenario(scenario_directory("calm")).gates == set()


def test_in_the_partial_scenario_one_piece_breaks_what_the_others_keep_whole(tmp_path: Path) -> None:
    job = Job(tmp_path, "partial")
    for name in ("search", "labels"):
        assert job.compose(job.build(name))
    assert job.qa().returncode == 0


@pytest.mark.parametrize("scenario", ["broken", "partial"])
def test_the_broken_scenario_is_never_repaired_though_it_says_so(tmp_path: Path, scenario: str) -> None:
    job = Job(tmp_path, scenario)
    assert job.compose(job.build("search"))
    receipt = job.open("receipt")
    receipt.work(job.briefs["receipt"])
    for _ in range(2):
        head = git(receipt.worktree, "rev-parse", "HEAD")
        assert job.compose(receipt)
        failed = job.qa().stderr
        assert "FAILED (failures=1)" in failed
        receipt.work(told_of_failure("receipt", failed))
        assert git(receipt.worktree, "rev-parse", "HEAD") != head
