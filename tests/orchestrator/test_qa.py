"""QA of real commands on real trees: the base is known, outputs are kept, what did not run is no pass (FLOW-7)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.result_files import LocalResultFiles
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.config import Limits
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.rules import parse_design
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import UsageError
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.orchestrator.qa_outputs import QaOutputs
from aegis_tui.orchestrator.qa_run import QaRunner
from aegis_tui.testing.memory_machine import BareEnvironment

UNITTEST = f"{sys.executable} -m unittest discover"
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"
CASE = "import unittest\nclass T(unittest.TestCase):\n"


def case_with(count: int, *bad: int) -> str:
    lines = [f"    def test_{n}(self): self.assertEqual({n}, {-1 if n in bad else n})\n" for n in range(count)]
    return CASE + "".join(lines)


class Lab:
    """A repository with two commits: the base, and what a run has merged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "repo"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.outputs = QaOutputs(folder / "qa")
        self.ran: list[str] = []

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        argv = ["git", "-C", str(self.root), "-c", "user.name=P", "-c", "user.email=p@example.org", *arguments]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, files: dict[str, str | None]) -> str:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "c")
        return self.git("rev-parse", "HEAD")

    async def quality(self) -> Quality:
        repository = await open_repository(self.root)
        environ = {"PATH": os.environ["PATH"]}
        runner = QaRunner(
            repository=repository,
            sandbox=BubblewrapSandbox({**environ, "HOME": os.environ["HOME"]}),
            programs=SubprocessRunner(),
            scratch_dir=self.folder,
            environ=environ,
            surroundings=BareEnvironment(),
            result_files=LocalResultFiles(),
            limits=Limits(),
        )
        return Quality(repository=repository, runner=runner, outputs=self.outputs, timeout_s=lambda: 30.0)

    def run(self, base: str, *commands: str, **qa: Any) -> Run:
        features = [{"id": "a", "title": "A", "brief": "b", "partition": ["a/**"]}]
        design = parse_design({"goal": "g", "features": features, "qa": {"commands": list(commands), **qa}})
        facts = RunFacts(workspace="k", base_oid=base, base_branch="main", started_unix=1)
        options = RunOptions(sandbox="off")
        return Run(run="run1", goal="g", options=options, facts=facts, working_oid="w", design=design)

    def judge(self, base: str, merged: str, command: str, **qa: Any) -> QaCheck:
        return self.judge_all(base, merged, command, **qa)[0]

    def judge_all(self, base: str, merged: str, *commands: str, **qa: Any) -> tuple[QaCheck, ...]:
        async def work() -> Any:
            table = PartitionTable(ignore_case=False)
            judged = await (await self.quality()).judge(self.run(base, *commands, **qa), merged, table)
            return judged["checks"]

        checks: tuple[QaCheck, ...] = asyncio.run(work())
        return checks


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "command", "status", "ok", "words"),
    [
        ({"test_a.py": case_with(3)}, {"test_a.py": case_with(4)}, UNITTEST, "passed", True, ""),
        ({"test_a.py": case_with(3, 1)}, {"x": "1"}, UNITTEST, "failed", True, ""),
        ({"test_a.py": case_with(3, 1)}, {"test_a.py": case_with(3, 2)}, UNITTEST, "failed", False, "1 new failure"),
        ({"test_a.py": case_with(10)}, {"test_a.py": case_with(3)}, UNITTEST, "failed", False, "3 tests ran, 10"),
        ({"test_a.py": case_with(2), "test_b.py": case_with(2)}, {"test_b.py": None}, PYTEST, "failed", False, "gone"),
        ({"test_a.py": "def test(): assert 1"}, {"x": "1"}, UNITTEST, "empty", False, "executed no test"),
        ({"test_a.py": "import nowhere"}, {"x": "1"}, UNITTEST, "not_run", False, "could not load test_a"),
        ({"x": ""}, {"x": "1"}, "go-that-is-nowhere test ./...", "not_run", False, "is missing"),
        ({"x": ""}, {"x": "1"}, "test -f x", "passed", True, ""),
        ({"x": ""}, {"x": "1"}, "exit 3", "failed", False, "neither output names or counts"),
        ({"package.json": "{}"}, {"x": "1"}, "npm test --silent", "not_run", False, "no script test"),
    ],
)
def test_each_way_of_running_nothing_or_less_shuts_the_gate(
    lab: Lab,
    before: dict[str, str | None],
    after: dict[str, str | None],
    command: str,
    status: str,
    ok: bool,
    words: str,
) -> None:
    base = lab.commit(before)
    check = lab.judge(base, lab.commit(after), command)
    assert (check.status, check.ok) == (status, ok), check
    assert words in (check.reason or "")


def test_a_failing_check_names_the_lock_files_that_its_environment_does_not_know(lab: Lab) -> None:
    base = lab.commit({"a.py": "", "requirements.txt": "x==1\n"})
    merged = lab.commit({"a.py": "1", "requirements.txt": "x==2\n", "uv.lock": "2"})
    words = "it ran in the environment of the base, and requirements.txt, uv.lock changed since"
    assert words in lab.judge(base, merged, "exit 3").note
    assert "environment" not in lab.judge(base, merged, "true").note


def test_a_design_names_the_tests_that_go(lab: Lab) -> None:
    base = lab.commit({"test_a.py": case_with(2), "test_b.py": case_with(2)})
    merged = lab.commit({"test_b.py": None})
    assert lab.judge(base, merged, PYTEST, removes=["test_b.py"]).ok


def test_a_hang_on_a_failing_base_is_no_known_failure(lab: Lab) -> None:
    base = lab.commit({"run": "echo starting; exit 1"})
    merged = lab.commit({"run": "echo starting; sleep 60"})
    check = lab.judge(base, merged, "sh run", timeout_s=1.0)
    assert (check.status, check.ok) == ("not_run", False)
    assert check.reason == "it was ended after 1 s; its last lines: starting"


def test_the_output_of_every_check_is_kept_for_both_trees(lab: Lab) -> None:
    base = lab.commit({"x": "old"})
    lab.judge(base, lab.commit({"x": "new"}), "cat x")
    for name in ("1", "cat", "cat x", "1 cat"):
        assert lab.outputs.find(None, name).output == "new"
    kept = lab.outputs.find("run1", "1", tree="base", round_number=0)
    assert (kept.output, kept.status, kept.command) == ("old", "passed", "cat x")
    for run, check in (("run9", "1"), ("run1", "2"), ("../qa", "1")):
        with pytest.raises(UsageError):
            lab.outputs.find(run, check)


def test_the_base_runs_once_and_a_merged_tree_is_the_next_base(lab: Lab) -> None:
    trace = lab.folder / "trace"
    command = f"cat x >> {trace}"
    base, merged, later = (lab.commit({"x": text}) for text in ("base ", "merged ", "later "))
    lab.judge(base, merged, command)
    assert sorted(trace.read_text().split()) == ["base", "merged"]
    lab.judge(base, merged, command)
    lab.judge(merged, later, command)
    assert sorted(trace.read_text().split()) == ["base", "later", "merged", "merged"]


def test_each_check_runs_on_what_is_committed_whatever_the_one_before_it_changed(lab: Lab) -> None:
    outside = lab.folder / "outside"
    outside.mkdir()
    base = lab.commit({"value": "1", "sub/kept": "k", "fix": "true"})
    merged = lab.commit({"value": "2", "fix": f"echo 1 > value; rm -r sub; ln -s {outside} sub; mkdir built"})
    fixed, checked, built = lab.judge_all(base, merged, "sh fix", "grep -q 1 value", "test -f sub/kept -a -d built")
    assert fixed.ok and "it changed sub/kept, value; the changes were undone before the next check" in fixed.note
    assert (checked.ok, checked.status) == (False, "failed")
    assert built.ok, "new files stay for the next check"
    assert list(outside.iterdir()) == []


def test_a_base_that_could_not_run_is_tried_again(lab: Lab) -> None:
    trace = lab.folder / "trace"
    base = lab.commit({"x": "base "})
    command = f"cat x >> {trace}; no-such-program"
    for _ in range(2):
        lab.judge(base, lab.commit({"x": "merged "}), command)
    assert trace.read_text().split().count("base") == 2


def test_looking_ahead_leaves_nothing_to_do_for_the_base(lab: Lab) -> None:
    trace = lab.folder / "trace"
    base, merged = lab.commit({"x": "base "}), lab.commit({"x": "merged "})
    told: list[tuple[QaCheck, ...]] = []

    async def tell(checks: tuple[QaCheck, ...]) -> None:
        told.append(checks)

    async def work() -> None:
        quality, run = await lab.quality(), lab.run(base, f"cat x >> {trace}; no-such-program")
        quality.look_ahead(run, tell)
        assert quality.has_looked_ahead("run1")
        await quality.judge(run, merged, PartitionTable(ignore_case=False))
        await quality.leave("run1")

    asyncio.run(work())
    assert trace.read_text().split() == ["base", "merged"]
    ((check,),) = told
    assert (check.ok, check.status, "no-such-program" in str(check.reason)) == (False, "not_run", True)
    assert not list(lab.folder.glob("run1-*")), "the scratch worktrees are gone"


def test_a_base_that_was_mended_since_it_was_tried_ahead_is_run_again(lab: Lab) -> None:
    missing = lab.folder / "missing"
    base = lab.commit({"bad": "assert 1 == 2, 'old'\n", "x": "1"})
    merged = lab.commit({"x": "2"})
    command = f"test -e {missing} || exit 127; {sys.executable} bad"
    told: list[tuple[QaCheck, ...]] = []

    async def tell(checks: tuple[QaCheck, ...]) -> None:
        told.append(checks)
        kept = lab.outputs.find("run1", "1", tree="base")
        assert (kept.run, kept.status) == ("run1", "not_run"), "what it printed can be read at once"
        missing.touch()

    async def work() -> Any:
        quality, run = await lab.quality(), lab.run(base, command)
        quality.look_ahead(run, tell)
        judged = await quality.judge(run, merged, PartitionTable(ignore_case=False))
        await quality.leave("run1")
        return judged["checks"]

    (check,) = asyncio.run(work())
    assert told[0][0].status == "not_run" and not told[0][0].is_acceptable
    assert check.base.status == "failed" and check.is_acceptable, "the base that is compared is the mended one"


FLAKY = """
    def test_now_and_then(self):
        import pathlib
        mark = pathlib.Path("{mark}")
        first = not mark.exists()
        mark.touch()
        self.assertFalse(first)
"""


def flaky_case(lab: Lab, *bad: int) -> str:
    return case_with(2, *bad) + FLAKY.format(mark=lab.folder / "mark")


def test_a_test_that_passes_when_it_runs_again_is_named_and_closes_nothing(lab: Lab) -> None:
    base = lab.commit({"test_a.py": case_with(2)})
    merged = lab.commit({"test_a.py": flaky_case(lab)})
    check = lab.judge(base, merged, f"{UNITTEST} -v")
    assert (check.status, check.ok, check.executed) == ("passed", True, 3)
    assert check.flaky == ("test_now_and_then (test_a.T.test_now_and_then)",) and "flaky: test_now" in check.note


def test_a_failure_that_stays_closes_the_gate_beside_a_flaky_test(lab: Lab) -> None:
    base = lab.commit({"test_a.py": case_with(2)})
    merged = lab.commit({"test_a.py": flaky_case(lab, 1)})
    check = lab.judge(base, merged, f"{UNITTEST} -v")
    assert (check.status, check.ok, len(check.flaky)) == ("failed", False, 1)
    assert "test_1 (test_a.T.test_1)" in check.new_failures


def test_a_rerun_has_what_the_commands_before_it_built(lab: Lab) -> None:
    base = lab.commit({"test_a.py": case_with(2)})
    needs = "    def test_needs(self): open('built').close()\n"
    merged = lab.commit({"test_a.py": case_with(2) + needs + FLAKY.format(mark=lab.folder / "mark")})
    build, check = lab.judge_all(base, merged, "touch built", f"{UNITTEST} -v")
    assert build.ok and check.ok and len(check.flaky) == 1


def test_what_a_person_named_is_remembered_for_the_next_run(lab: Lab) -> None:
    base = lab.commit({"a": "1"})
    assert lab.outputs.find_choice() == ()

    async def work() -> None:
        async def tell(_: object) -> None:
            return

        quality, run = await lab.quality(), lab.run(base, "true")
        named = run.model_copy(update={"options": run.options.model_copy(update={"checks": ("make ci",)})})
        quality.look_ahead(named, tell)
        await quality.leave()

    asyncio.run(work())
    assert lab.outputs.find_choice() == ("make ci",)
    (lab.folder / "qa/choice.json").write_text("[")
    assert lab.outputs.find_choice() == ()


def test_a_linter_that_nobody_asked_for_and_that_is_not_here_closes_nothing_and_never_passes(lab: Lab) -> None:
    base = lab.commit({"test_a.py": case_with(1)})
    merged = lab.commit({"test_a.py": case_with(2)})

    async def work() -> Any:
        run = lab.run(base, UNITTEST)
        facts = run.facts.model_copy(update={"qa_commands": (UNITTEST,), "qa_extra": ("no-such-linter .",)})
        bare = run.model_copy(update={"design": None, "facts": facts})
        return (await (await lab.quality()).judge(bare, merged, PartitionTable(ignore_case=False)))["checks"]

    test, linter = asyncio.run(work())
    assert test.ok and linter.ok and linter.status == "not_run" and "not required" in linter.note
    asked = lab.judge_all(base, merged, UNITTEST, "no-such-linter .")[1]
    assert not asked.ok, "one that the design names has to run"
