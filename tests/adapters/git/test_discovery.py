from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.discovery import discover, workspace_key
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.errors import AegisError, GitError, GitUnavailable, Refused
from aegis_tui.ports.repository import Repository, RepositoryFacts

Shell = Any


def facts_of(path: Path) -> RepositoryFacts:
    async def run() -> RepositoryFacts:
        repository: Repository = await open_repository(path)
        return await repository.facts()

    return asyncio.run(run())


def preflight(path: Path) -> AegisError:
    async def run() -> None:
        await (await open_repository(path)).preflight("r1")

    with pytest.raises(Refused) as caught:
        asyncio.run(run())
    return caught.value


def test_the_key_is_the_same_from_every_worktree_and_another_in_a_clone(repo: Path, git: Shell, tmp_path: Path) -> None:
    wanted = hashlib.sha256(bytes((repo / ".git").resolve())).hexdigest()[:12]
    git(repo, "worktree", "add", "-q", "-b", "own", str(tmp_path / "own"))
    git(tmp_path, "clone", "-q", "--bare", str(repo), str(tmp_path / "bare.git"))
    (tmp_path / "alias").symlink_to(repo)
    for path in (repo, repo / "src", tmp_path / "own", tmp_path / "alias"):
        assert facts_of(path).key == wanted
    bare = facts_of(tmp_path / "bare.git")
    assert bare.key == workspace_key(tmp_path / "bare.git") != wanted
    assert bare.branch == "main"


def test_facts_say_what_is_checked_out_and_by_whom(repo: Path, git: Shell, tmp_path: Path) -> None:
    (repo / "README.md").write_text("changed\n")
    (repo / "새 것").write_text("new\n")
    index = (repo / ".git/index").read_bytes()
    os.utime(repo / "src/a.py", (1_000_000_000, 1_000_000_000))
    facts = facts_of(repo / "src")
    assert facts.root == repo
    assert facts.head_oid == git(repo, "rev-parse", "HEAD")
    assert (facts.branch, facts.user_name, facts.user_email) == ("main", "Ada Person", "ada@example.org")
    assert facts.dirty_paths == 2
    assert not facts.ignore_case
    assert (repo / ".git/index").read_bytes() == index
    git(repo, "config", "core.ignoreCase", "true")
    git(repo, "worktree", "add", "-q", "-b", "topic/한", str(tmp_path / "own"))
    own = facts_of(tmp_path / "own")
    assert (own.branch, own.ignore_case, own.dirty_paths) == ("topic/한", True, 0)
    git(tmp_path / "own", "commit", "-q", "--allow-empty", "-m", "own")
    assert facts_of(tmp_path / "own").head_oid == git(tmp_path / "own", "rev-parse", "HEAD")
    git(repo, "checkout", "-q", "--detach")
    assert facts_of(repo).branch is None


def test_a_repository_with_long_object_ids_is_served(tmp_path: Path, git: Shell) -> None:
    root = tmp_path / "long"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(root))
    (root / "a").write_text("a\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "a")
    facts = facts_of(root)
    assert facts.head_oid is not None
    assert len(facts.head_oid) == 64

    async def run() -> None:
        repository = await open_repository(root)
        await repository.preflight("r1")
        await repository.add_scratch(tmp_path / "qa", facts.head_oid or "")
        await repository.remove_worktree(tmp_path / "qa", rescue=None)

    asyncio.run(run())


def test_no_commit_no_identity_and_a_branch_in_the_way_are_refused_with_the_command(
    repo: Path, git: Shell, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    git(tmp_path, "init", "-q", str(empty))
    assert facts_of(empty).head_oid is None
    error = preflight(empty)
    assert (error.code, error.exit_code) == ("preflight.commit", 3)
    assert "git commit" in error.hint
    for branch in ("aegis", "aegis/r1"):
        git(repo, "branch", branch)
        error = preflight(repo)
        assert error.code == "preflight.branch"
        git(repo, *error.hint.split()[1:])
    git(repo, "config", "--global", "--unset", "user.email")
    error = preflight(repo)
    assert error.code == "preflight.identity"
    assert "user.email" in error.hint


def test_a_folder_outside_of_any_repository_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(GitUnavailable) as caught:
            facts_of(path)
        assert caught.value.exit_code == 5
        assert caught.value.hint


def test_a_repository_whose_path_has_a_line_break_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "my\nrepo"
    subprocess.run(["git", "init", "-q", folder], check=True)
    with pytest.raises(GitUnavailable, match="contains a line break"):
        asyncio.run(discover(folder))


def test_a_missing_or_old_git_is_said(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(GitUnavailable, match="not installed"):
        facts_of(repo)
    (tools / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
    (tools / "git").chmod(0o755)
    with pytest.raises(GitUnavailable, match=r"2\.30\.2 is too old"):
        facts_of(repo)


def test_a_git_that_hangs_is_ended_at_its_deadline(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tools / "git").write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\n/bin/cat '{fifo}' &\nwait\n")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    runner = GitRunner(git_dir=None, cwd=repo)
    with pytest.raises(GitError) as caught:
        asyncio.run(runner.run("status", deadline_s=0.3))
    assert caught.value.code == "git.timeout"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_every_command_is_logged_and_a_failure_says_gits_own_words(
    repo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = GitRunner(git_dir=repo / ".git", cwd=repo)
    with (
        caplog.at_level(logging.DEBUG, "aegis_tui.adapters.git.run"),
        pytest.raises(GitError, match="ambiguous argument"),
    ):
        asyncio.run(runner.run("rev-list", "nothing-like-that"))
    [record] = caplog.records
    assert record.__dict__["git_argv"][-2:] == ["rev-list", "nothing-like-that"]
    assert record.__dict__["git_exit"] == 128
    assert record.__dict__["duration_s"] >= 0


def test_a_failure_names_the_command_and_not_its_settings(repo: Path) -> None:
    with pytest.raises(GitError, match=r"^git rev-list failed: fatal: "):
        asyncio.run(GitRunner(git_dir=None, cwd=repo).run("-c", "a.b=c", "rev-list", "nothing-like-that"))


def test_variables_that_point_git_elsewhere_are_not_inherited(
    repo: Path, git: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert facts_of(repo).dirty_paths == 0
