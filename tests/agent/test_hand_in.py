from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.errors import DesignRefused, Refused
from aegis_tui.testing.canned_llm import calls

Play = Callable[..., None]
ME, OTHER = "NATIVE-w01", "NATIVE-w02"
DONE = calls(("report", {"status": "done", "summary": "feat(a): add a"}))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def test_a_task_is_explored_implemented_checked_and_handed_in(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(
                ("read", {"path": "src/a/app.py"}), ("search", {"pattern": "def +greet", "glob": "*.py"}), text="Look."
            ),
            calls(
                ("edit", {"path": "src/a/app.py", "old": "'hi'", "new": "'hello'"}),
                ("write", {"path": "tests/a/test_app.py", "content": "assert True\n"}),
            ),
            calls(("bash", {"command": "python3 tests/a/test_app.py && echo passed"})),
            DONE,
        )
        await bench.work()
        report = await bench.ends("done")
        submitted = (await bench.hub.wait_for("diff:submit")).fields
        assert submitted["spec_id"] == "a"
        assert submitted["base_oid"] == bench.base_oid
        assert submitted["head_oid"] == git(worktree, "rev-parse", "HEAD")
        assert git(worktree, "log", "-1", "--format=%s") == "feat(a): add a"
        assert git(worktree, "diff", "--name-only", "HEAD~1").split() == ["src/a/app.py", "tests/a/test_app.py"]
        assert git(worktree, "status", "--porcelain") == ""
        results = bench.results()
        assert "1\tdef greet():" in results[0]
        assert results[1] == "src/a/app.py:1:def greet():"
        assert "passed\n[exit code 0]" in results[4]
        states = [item.fields["state"] for item in bench.hub.of_type("agent:report")]
        assert states == ["idle", "exploring", "implementing", "self-QA", "done"]
        assert report.fields["tokens"] == {"prompt": 400, "completion": 80, "cached": 240}
        assert report.fields["progress"] == 1.0
        for shown in ("● Reading src/a/app.py", "● Editing src/a/app.py", "+    return 'hello'", "$ python3", "✔ done"):
            assert shown in bench.screen

    play(scenario)


def test_nothing_changed_is_not_done(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(DONE, calls(("report", {"status": "failed", "summary": "cannot"})))
        await bench.work()
        await bench.ends("failed")
        assert "nothing was changed" in bench.results()[0]
        assert not bench.hub.of_type("diff:submit")

    play(scenario)


def test_a_refused_commit_and_a_refused_hand_in_go_back_to_the_model(worktree: Path, play: Play) -> None:
    hook = Path(git(worktree, "rev-parse", "--git-path", "hooks/pre-commit"))
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntest -f src/a/fixed || { echo 'src/a/n.py: rule 7' >&2; exit 1; }\n")
    hook.chmod(0o755)

    async def scenario(bench: Any) -> None:
        bench.hub.refuse_next("diff:submit", Refused("the tests of a failed", "Mend them"))
        bench.server.will(
            calls(("write", {"path": "src/a/n.py", "content": "x\n"})),
            DONE,
            calls(("write", {"path": "src/a/fixed", "content": "y\n"})),
            DONE,
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        results = bench.results()
        assert "src/a/n.py: rule 7" in results[1]
        assert "the tests of a failed. Mend them" in results[3]
        assert results[4].startswith("submitted as")

    play(scenario)


def test_an_unfinished_rebase_is_told_and_a_finished_one_moves_the_base(
    worktree: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(worktree, "branch", "integration")
    monkeypatch.setenv("AEGIS_INTEGRATION_REF", "integration")

    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("edit", {"path": "src/a/app.py", "old": "'hi'", "new": "'mine'"})), DONE)
        await bench.work()
        await bench.ends("done")
        repository = worktree.parent / "repository"
        git(repository, "checkout", "-q", "integration")
        (repository / "src/a/app.py").write_text("def greet():\n    return 'theirs'\n")
        git(repository, "commit", "-q", "-am", "theirs")
        bench.server.will(
            calls(("bash", {"command": 'git rebase "$AEGIS_INTEGRATION_REF"'})),
            DONE,
            calls(
                ("write", {"path": "src/a/app.py", "content": "def greet():\n    return 'both'\n"}),
                ("bash", {"command": "git add -A && git rebase --continue"}),
            ),
            calls(("report", {"status": "done", "summary": "rebased"})),
        )
        await bench.work("Please rebase.")
        await bench.hub.wait_for("diff:submit", base_oid=git(worktree, "rev-parse", "integration"))
        assert "a rebase is not finished" in next(text for text in bench.results() if "not finished" in text)

    play(scenario)


def test_a_reviewer_cannot_write_and_ends_with_a_verdict(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        criterion = {"id": "greets", "pass": False, "evidence": "src/a/app.py:2"}
        finding = {"type": "correctness", "file": "src/a/app.py", "line": 2, "msg": "wrong word"}
        bench.server.will(
            calls(("write", {"path": "src/a/app.py", "content": "x"}), ("report", {"status": "done", "summary": "x"})),
            calls(("verdict", {"decision": "reject", "criteria": [criterion]})),
            calls(("verdict", {"decision": "reject", "criteria": [criterion], "findings": [finding]})),
        )
        await bench.hub.prompt(ME, "Review a.", review_id="rev-1", task="review")
        await bench.ends("done")
        assert "no tool 'write' here" in bench.results()[0]
        assert "needs at least one finding" in bench.results()[2]
        sent = bench.hub.of_type("review:verdict")[0].fields
        assert (sent["review_id"], sent["decision"], sent["criteria"]) == ("rev-1", "reject", [criterion])
        assert sent["findings"][0]["msg"] == "wrong word"
        assert git(worktree, "status", "--porcelain") == ""

    play(scenario, role="reviewer")


def test_a_commander_is_told_why_its_design_was_refused(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        issue = {"field": "features[1].partition[0]", "message": "overlaps src/a/**"}
        bench.hub.refuse_next("design:propose", DesignRefused("the design breaks 1 rule", issues=[issue]))
        propose = calls(("propose_design", {"design": {"goal": "g", "features": []}}))
        bench.server.will(calls(("report", {"status": "done", "summary": "x"})), propose, propose)
        await bench.hub.prompt(ME, "Design.", task="design")
        await bench.ends("done")
        assert "not proposed yet" in bench.results()[0]
        assert "features[1].partition[0]: overlaps src/a/**" in bench.results()[1]

    play(scenario, role="commander")
