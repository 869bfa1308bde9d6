"""The person's hooks on the commit of a result: real git, real hooks, in the sandbox of QA (GIT-6)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.environment.caches import CacheFinder
from aegis_tui.adapters.git.commit_hooks import GitCommitHooks
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.result_files import LocalResultFiles
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.config import Limits
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.rules import parse_design
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.orchestrator.qa_run import QaRunner
from aegis_tui.orchestrator.result_hooks import ResultHooks
from aegis_tui.ports.surroundings import Surroundings
from aegis_tui.testing.memory_machine import BareEnvironment

GREEN = QaCheck(check="1 true", command="true", status="passed", ok=True)


class Lab:
    """A repository with a base, and what a run has merged on top of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "repo"
        self.root.mkdir()
        self.timeout_s, self.round = 30.0, 0
        self.environ = {"PATH": os.environ["PATH"]}
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "P")
        self.git("config", "user.email", "p@example.org")
        self.commit({"a.txt": "a\n", "b.txt": "b\n"}, "feat: start\n\nTicket: 1")

    def git(self, *arguments: str) -> str:
        argv = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "feat: next\n\nTicket: 1") -> str:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
                path.chmod(0o755 if text.startswith("#!") else 0o644)
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def result(self, files: dict[str, str | None], message: str = "feat: the piece\n\nTicket: 7") -> tuple[str, str]:
        """The base, and a commit on it that the person's checkout does not have."""
        base = self.git("rev-parse", "HEAD")
        oid = self.commit(files, message)
        self.git("reset", "-q", "--hard", base)
        return base, oid

    def hook(self, name: str, script: str, *, folder: str = ".git/hooks", mode: int = 0o755) -> None:
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)

    def judge(self, base: str, oid: str, *, sandbox: str = "auto", checks: tuple[QaCheck, ...] = (GREEN,)) -> Judged:
        async def work() -> dict[str, Any]:
            repository = await open_repository(self.root)
            environ = self.environ
            runner = QaRunner(
                repository=repository,
                sandbox=BubblewrapSandbox({**environ, "HOME": os.environ["HOME"]}),
                programs=SubprocessRunner(),
                scratch_dir=self.folder,
                environ=environ,
                surroundings=CachedEnvironment(self.root, self.environ),
                result_files=LocalResultFiles(),
                limits=Limits(),
            )
            hooks = ResultHooks(
                repository=repository,
                hooks=GitCommitHooks(repository.root, repository.common_dir),
                runner=runner,
                timeout_s=lambda: self.timeout_s,
            )
            table = PartitionTable(ignore_case=False)
            run = self._run(base, oid, sandbox)
            return await hooks.judge(run, oid, {"checks": checks, "blamed": ()}, table=table, instances=())

        before = self._state()
        judged = asyncio.run(work())
        assert self._state() == before, "something of the person's changed"
        assert [path.name for path in self.folder.iterdir()] == ["repo"]
        assert self.git("worktree", "list").count("\n") == 0
        return Judged(judged)

    def _run(self, base: str, oid: str, sandbox: str) -> Run:
        features = [{"id": "one", "title": "One", "brief": "b", "partition": ["**"]}]
        design = parse_design({"goal": "Improve it", "features": features, "qa": {"commands": ["true"]}})
        facts = RunFacts(workspace="k", base_oid=base, base_branch="main", started_unix=1)
        run = Run(
            run="run1",
            goal="Improve it",
            options=RunOptions.model_validate({"sandbox": sandbox}),
            facts=facts,
            working_oid=oid,
            design=design,
            round=self.round,
        )
        files = tuple(self.git("diff", "--name-only", base, oid).splitlines())
        run.pieces["one"] = Piece(name="one", spec_id="one", files=files, applied_head=oid)
        return run

    def _state(self) -> tuple[str, ...]:
        index = (self.root / ".git/index").read_bytes().hex()
        refs, config = self.git("for-each-ref"), (self.root / ".git/config").read_text()
        return index, refs, config, self.git("status", "--porcelain", "--ignored")


class CachedEnvironment(BareEnvironment):
    """The surroundings without an environment of the project, but with what tools keep in the person's home."""

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        super().__init__()
        self._root, self._finder = root, CacheFinder(environ)

    async def prepare(self, worktree: Path, home: Path, *arguments: Any, **options: Any) -> Surroundings:
        around = await super().prepare(worktree, home, *arguments, **options)
        caches = await asyncio.to_thread(self._finder.prepare, self._root, home)
        return replace(around, read_only=(*around.read_only, *caches.read_only))


class Judged:
    """What the hooks say of a result."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.checks: tuple[QaCheck, ...] = fields["checks"][1:]
        self.blamed, self.message = fields["blamed"], fields.get("message", "")

    @property
    def only(self) -> QaCheck:
        (check,) = self.checks
        return check


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_without_hooks_nothing_is_run(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "b\n"})
    lab.hook("pre-commit", "exit 1", mode=0o644)
    lab.hook("commit-msg.sample", "exit 1")
    judged = lab.judge(base, oid)
    assert (judged.checks, judged.message) == ((), "")


def test_hooks_wait_for_what_else_closes_the_gate(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "b\n"})
    lab.hook("pre-commit", "exit 1")
    assert lab.judge(base, oid, checks=(GREEN.model_copy(update={"ok": False}),)).checks == ()


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_a_hook_sees_the_whole_result_staged_on_the_base_for_its_branch(lab: Lab, sandbox: str) -> None:
    base, oid = lab.result({"a.txt": "changed\n", "new.txt": "new\n", "b.txt": None})
    lab.hook(
        "pre-commit",
        'test "$(git diff --cached --name-status | tr "\\t\\n" "  ")" = "M a.txt D b.txt A new.txt " || exit 1\n'
        'test "$(git symbolic-ref --short HEAD)" = aegis/run1/result || exit 2\n'
        f'test "$(git rev-parse HEAD)" = {base} || exit 3\n'
        'test -z "$(git diff)" && test "$(cat a.txt)" = changed || exit 4\n'
        'test -z "$CI" || exit 5',
    )
    check = lab.judge(base, oid, sandbox=sandbox).only
    assert (check.check, check.status, check.ok, check.reason) == ("hook pre-commit", "passed", True, None)


def test_a_refusal_of_files_goes_to_the_piece_that_it_names(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "a bad word\n"})
    lab.hook("pre-commit", 'if git diff --cached | grep -q "^+.*bad"; then echo "a.txt:1: bad word" >&2; exit 1; fi')
    judged = lab.judge(base, oid)
    check = judged.only
    assert (check.ok, check.status, check.is_acceptable) == (False, "failed", False)
    assert check.reason == "your hook pre-commit refuses the result: a.txt:1: bad word"
    assert judged.blamed == ("one",) and "a.txt:1: bad word" in check.output_tail


def test_a_formatter_that_stages_its_change_makes_the_change_a_task(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "UPPER\n"})
    lab.hook("pre-commit", "tr A-Z a-z < a.txt > t && cat t > a.txt && rm t && git add a.txt")
    judged = lab.judge(base, oid)
    assert not judged.only.ok and judged.blamed == ("one",)
    assert "changes a.txt" in (judged.only.reason or "")
    assert "-UPPER" in judged.only.output_tail and "+upper" in judged.only.output_tail


def test_a_formatter_that_refuses_shows_what_it_would_change(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "UPPER\n"})
    lab.hook("pre-commit", "tr A-Z a-z < a.txt > t && cat t > a.txt && rm t; git diff --quiet || exit 1")
    check = lab.judge(base, oid).only
    assert not check.ok and "+upper" in check.output_tail


def test_what_a_formatter_does_to_other_files_is_told_and_closes_nothing(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook("pre-commit", "echo more >> b.txt; git add -u")
    check = lab.judge(base, oid).only
    assert check.ok and "would also change b.txt" in check.note


def test_a_hook_that_cannot_judge_the_base_either_is_told_and_closes_nothing(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook("pre-commit", "no-such-linter --all")
    check = lab.judge(base, oid).only
    assert check.ok and check.status == "not_run"
    assert "refuses the last commit of the base here too" in check.note and "no-such-linter" in check.note


@pytest.mark.parametrize("where", ["result", "everywhere"])
def test_a_hook_that_hangs_is_ended(lab: Lab, where: str) -> None:
    lab.timeout_s = 1.0
    base, oid = lab.result({"hang": "x\n"})
    lab.hook("pre-commit", "sleep 600" if where == "everywhere" else "test ! -f hang || sleep 600")
    check = lab.judge(base, oid).only
    assert "did not end within 1 s" in (check.note or check.reason or "")
    assert check.ok is (where == "everywhere")


def test_the_message_is_what_the_hooks_make_of_it_with_our_trailers_at_its_end(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook("prepare-commit-msg", 'test "$2" = message || exit 1\nprintf "\\nTicket: 7\\n" >> "$1"')
    lab.hook("commit-msg", 'grep -q "^feat: " "$1" && grep -q "^Ticket: " "$1"')
    judged = lab.judge(base, oid)
    assert [check.check for check in judged.checks] == ["hook prepare-commit-msg", "hook commit-msg"]
    assert all(check.ok for check in judged.checks)
    assert judged.message == "feat: improve it\n\n- one: One\n\nTicket: 7\nAegis-Run: run1\n"


def test_a_form_that_the_author_of_a_piece_found_is_taken_for_the_result(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"}, "ABC-7: the piece\n\nMore.\n\nAegis-Instance: w01")
    lab.git("commit", "-q", "--amend", "--allow-empty", "-m", "ABC-1: start")
    base = lab.git("rev-parse", "HEAD")
    oid = lab.git("commit-tree", f"{oid}^{{tree}}", "-p", base, "-m", "ABC-7: the piece\n\nAegis-Instance: w01")
    lab.hook("commit-msg", 'grep -Eq "^[A-Z]+-[0-9]+: " "$1" || { echo "no ticket" >&2; exit 1; }')
    judged = lab.judge(base, oid)
    assert judged.message == "ABC-7: the piece\n\n- one: One\n\nAegis-Run: run1\n"
    assert judged.only.ok and "no ticket" in judged.only.note


def test_a_message_in_no_form_is_a_task_first_and_may_be_accepted_then(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook("commit-msg", 'grep -q "^Ticket: 1$" "$1" || { echo "say Ticket: 1" >&2; exit 1; }')
    judged = lab.judge(base, oid)
    assert (judged.only.ok, judged.only.is_acceptable, judged.only.remedy) == (False, False, "")
    lab.round = 1
    judged = lab.judge(base, oid)
    check = judged.only
    assert (check.ok, check.is_acceptable, judged.message) == (False, True, "")
    assert check.reason == "your hook commit-msg refuses each message that was tried: say Ticket: 1"
    assert "feat: improve it" in check.output_tail and "git commit --amend" in check.output_tail
    assert "--accept-base-failures" in check.remedy


def test_a_message_hook_that_refuses_the_persons_own_message_closes_nothing(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook("commit-msg", "exit 9")
    judged = lab.judge(base, oid)
    assert judged.only.ok and "exit code 9" in judged.only.note and judged.message == ""


@pytest.mark.parametrize(
    "script", ["> $1", "rm $1", "rm $1; ln -s /etc/passwd $1", "rm $1; mkfifo $1", "head -c 99999 /dev/zero > $1"]
)
def test_a_message_that_is_no_text_any_more_is_not_committed(lab: Lab, script: str) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook("commit-msg", f'if grep -q Aegis "$1"; then {script}; fi')
    judged = lab.judge(base, oid)
    assert not judged.only.ok and judged.message == ""
    assert "no message that can be committed" in (judged.only.reason or "")


@pytest.mark.parametrize("change", ["weakened", "deleted"])
def test_a_piece_cannot_loosen_a_hook_that_is_tracked(lab: Lab, change: str) -> None:
    lab.commit({".husky/pre-commit": "#!/bin/sh\n. ./.husky/rule\n", ".husky/rule": "! grep bad a.txt\n"})
    lab.git("config", "core.hooksPath", ".husky")
    text = {"weakened": "#!/bin/sh\n", "deleted": None}[change]
    base, oid = lab.result({".husky/pre-commit": text, ".husky/rule": "true\n", "a.txt": "bad\n"})
    check = lab.judge(base, oid).only
    assert not check.ok and check.reason == "your hook pre-commit refuses the result: bad"


def test_hooks_that_husky_writes_and_git_does_not_track_are_run(lab: Lab) -> None:
    lab.commit({".husky/pre-commit": "grep -q good a.txt || { echo not good; exit 1; }\n", ".gitignore": "_\n"})
    lab.hook("pre-commit", '. "${0%/*}/h"', folder=".husky/_")
    lab.hook("h", 'sh -e "$(dirname "$(dirname "$0")")/${0##*/}"', folder=".husky/_", mode=0o644)
    lab.git("config", "core.hooksPath", ".husky/_")
    lab.commit({"a.txt": "good\n"})
    base, oid = lab.result({"a.txt": "bad\n"})
    assert "not good" in (lab.judge(base, oid).only.reason or "")
    base, oid = lab.result({"b.txt": "x\n"})
    assert lab.judge(base, oid).only.status == "passed"


@pytest.mark.parametrize("where", ["a folder elsewhere", "a link into the checkout"])
def test_hooks_in_other_places_are_found_and_can_be_started(lab: Lab, where: str) -> None:
    script = '#!/bin/sh\n. "$(dirname "$0")/words"\n! grep "$WORD" a.txt\n'
    if where == "a folder elsewhere":
        place = lab.root / ".git/elsewhere"
        place.mkdir()
        (place / "pre-commit").write_text(script)
        (place / "words").write_text("WORD=bad\n")
        (place / "pre-commit").chmod(0o755)
        lab.git("config", "core.hooksPath", str(place))
    else:
        lab.commit({"tools/check": script, "tools/words": "WORD=bad\n"})
        (lab.root / ".git/hooks").mkdir(exist_ok=True)
        (lab.root / ".git/hooks/pre-commit").symlink_to("../../tools/check")
    base, oid = lab.result({"a.txt": "bad\n"})
    assert lab.judge(base, oid).only.reason == "your hook pre-commit refuses the result: bad"


def test_a_hook_that_stashes_commits_and_configures_changes_nothing_of_the_persons(lab: Lab) -> None:
    base, oid = lab.result({"a.txt": "x\n"})
    lab.hook(
        "pre-commit",
        "echo dirt > b.txt; git stash -q && git stash drop -q || exit 1\n"
        "git config user.name evil; git commit -q --no-verify -m x; git tag evil; git branch -f main HEAD\n"
        "git reset -q --soft HEAD~1",
    )
    lab.judge(base, oid)
