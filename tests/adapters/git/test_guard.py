from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import Refused
from aegis_tui.ports.repository import Guard, WorktreeSpec

Shell = Any


def reguard(repo: Path, spec: WorktreeSpec, **changes: Any) -> None:
    async def run() -> None:
        guard: Guard = dataclasses.replace(spec.guard, **changes)
        await (await open_repository(repo)).set_guard(spec.path, guard)

    asyncio.run(run())


def write(spec: WorktreeSpec, name: str, text: str = "x\n") -> None:
    path = spec.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def refused(agent: Shell, cwd: Path, *args: str) -> str:
    code, output = agent.attempt(cwd, *args)
    assert code != 0, output
    return str(output)


def test_work_inside_the_partition_is_committed_by_the_instance(agent: Shell, spec: WorktreeSpec) -> None:
    write(spec, "src/새 파일 [1].py")
    write(spec, "CHANGES")
    agent(spec.path, "add", ".")
    agent(spec.path, "commit", "-qm", "Work")
    assert agent(spec.path, "log", "-1", "--format=%an <%ae> %cn") == "NATIVE-w01 <w01@aegis.invalid> NATIVE-w01"


@pytest.mark.boundary(
    layer="hooks",
    tried="a commit of another agent's path, also with --no-verify",
    refused="refused; the message names the path and its owner",
)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("web/new.html", "web/new.html belongs to NATIVE-w09"),
        ("README.md", "README.md is shared and read-only"),
        ("elsewhere/새.txt", "elsewhere/새.txt is not in your partition"),
        (".agents/specs/active/x.yaml", "is not yours to edit"),
        (".agents", "is not yours to edit"),
        ("src2/a.py", "src2/a.py is not in your partition"),
        ("line\nbreak", "line?break is not in your partition"),
    ],
)
def test_a_foreign_path_is_refused_and_says_why_even_unverified(
    agent: Shell, spec: WorktreeSpec, name: str, reason: str
) -> None:
    head = agent(spec.path, "rev-parse", "HEAD")
    write(spec, "src/fine.py")
    write(spec, name)
    agent(spec.path, "add", ".")
    assert reason in refused(agent, spec.path, "commit", "-qm", "Foreign")
    assert reason in refused(agent, spec.path, "commit", "-qm", "Foreign", "--no-verify")
    assert agent(spec.path, "rev-parse", "HEAD") == head


def test_the_commit_hook_refuses_before_the_persons_own_hook_runs(
    repo: Path, agent: Shell, spec: WorktreeSpec, tmp_path: Path
) -> None:
    hook = repo / ".git/hooks/pre-commit"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/seen'\n")
    hook.chmod(0o755)
    write(spec, "web/page.html")
    refused(agent, spec.path, "commit", "-qam", "Foreign")
    assert not (tmp_path / "seen").exists()


def test_a_rename_out_of_a_foreign_folder_names_the_foreign_side(agent: Shell, spec: WorktreeSpec) -> None:
    agent(spec.path, "mv", "web/page.html", "src/page.html")
    assert "web/page.html belongs to NATIVE-w09" in refused(agent, spec.path, "commit", "-qm", "Take")


def test_deleting_a_foreign_file_is_refused(agent: Shell, spec: WorktreeSpec) -> None:
    agent(spec.path, "rm", "-q", "web/page.html")
    assert "web/page.html" in refused(agent, spec.path, "commit", "-qm", "Delete")


@pytest.mark.boundary(layer="hooks", tried="moving any ref but its own branch", refused="refused")
@pytest.mark.parametrize(
    "command",
    [
        ("branch", "mine"),
        ("tag", "mine"),
        ("update-ref", "refs/heads/main", "HEAD~0"),
        ("update-ref", "refs/heads/aegis/r1/w02", "HEAD"),
        ("update-ref", "refs/heads/aegis/r1/integration", "HEAD"),
        ("update-ref", "-d", "refs/heads/aegis/r1/w01"),
        ("checkout", "-q", "-b", "mine"),
        ("branch", "-m", "mine"),
        ("pack-refs", "--all"),
        ("stash",),
        ("stash", "--include-untracked"),
    ],
)
def test_no_other_ref_can_be_moved(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, command: tuple[str]
) -> None:
    write(spec, "src/c.py")
    write(spec, "src/a.py")
    agent(spec.path, "add", "src/c.py")
    refs, status = git(repo, "for-each-ref"), git(spec.path, "status", "--porcelain")
    assert "aegis-tui: refused: " in refused(agent, spec.path, *command)
    assert git(repo, "for-each-ref") == refs
    assert git(spec.path, "status", "--porcelain") == status


@pytest.mark.boundary(layer="hooks", tried="git push, with and without hooks", refused="refused")
def test_an_agent_cannot_push_with_or_without_hooks(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, tmp_path: Path
) -> None:
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "-q", "--bare", str(remote))
    git(repo, "remote", "add", "origin", str(remote))
    git(repo, "config", "protocol.file.allow", "always")
    for shell in (agent, git):
        for flags in ((), ("--no-verify",)):
            for target in ("origin", str(remote)):
                refused(shell, spec.path, "push", *flags, target, "HEAD:refs/heads/leak")
    assert git(remote, "for-each-ref") == ""
    assert "transport 'strange' not allowed" in refused(git, spec.path, "push", "--no-verify", "strange::x", "HEAD:y")
    git(repo, "push", "-q", "origin", "main")


def test_the_push_hook_refuses_where_the_transport_would_not(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, tmp_path: Path
) -> None:
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "-q", "--bare", str(remote))
    open_again = ("-c", "protocol.allow=always", "-c", "protocol.file.allow=always")
    output = refused(git, spec.path, *open_again, "push", str(remote), "HEAD:refs/heads/leak")
    assert "agents may not push" in output


def test_a_rebase_onto_the_working_ref_passes_with_and_without_a_stop(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, spec_for: Callable[..., WorktreeSpec]
) -> None:
    write(spec, "src/a.py", "mine\n")
    agent(spec.path, "commit", "-qam", "Mine")

    async def integrate(name: str, text: str, expect: str | None) -> str:
        repository = await open_repository(repo)
        other = spec_for("w02", "**", base=expect)
        await repository.add_worktree(other)
        write(other, name, text)
        git(other.path, "add", ".")
        git(other.path, "commit", "-qm", name)
        piece = await repository.resolve(other.branch)
        assert piece is not None
        await repository.update_ref(spec.guard.integration_ref, piece, expect)
        return piece

    tip = asyncio.run(integrate("web/other.html", "other\n", None))
    agent(spec.path, "rebase", "-q", "aegis/r1/integration")
    assert agent(spec.path, "rev-parse", "HEAD^") == tip

    second = asyncio.run(integrate("src/a.py", "theirs\n", tip))
    refused(agent, spec.path, "rebase", "aegis/r1/integration")
    write(spec, "src/a.py", "both\n")
    agent(spec.path, "add", "src/a.py")
    agent(spec.path, "-c", "core.editor=true", "rebase", "--continue")
    assert agent(spec.path, "rev-parse", "HEAD^") == second
    assert agent(spec.path, "symbolic-ref", "HEAD") == "refs/heads/aegis/r1/w01"
    assert agent(spec.path, "status", "--porcelain") == ""


def test_a_merge_of_the_working_ref_with_a_resolved_conflict_passes(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, spec_for: Callable[..., WorktreeSpec]
) -> None:
    async def integrate() -> None:
        repository = await open_repository(repo)
        other = spec_for("w02", "**")
        await repository.add_worktree(other)
        write(other, "src/a.py", "theirs\n")
        write(other, "web/other.html")
        git(other.path, "add", ".")
        git(other.path, "commit", "-qm", "theirs")
        await repository.update_ref(spec.guard.integration_ref, git(other.path, "rev-parse", "HEAD"), None)

    asyncio.run(integrate())
    write(spec, "src/a.py", "mine\n")
    agent(spec.path, "commit", "-qam", "Mine")
    refused(agent, spec.path, "merge", "aegis/r1/integration")
    write(spec, "src/a.py", "both\n")
    agent(spec.path, "add", "src/a.py")
    agent(spec.path, "commit", "-qm", "Merge")
    assert (spec.path / "web/other.html").exists()


@pytest.mark.boundary(layer="hooks", tried="a merge that also changes another agent's path", refused="refused")
def test_a_merge_that_changes_a_foreign_path_on_its_own_is_refused_even_unverified(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, spec_for: Callable[..., WorktreeSpec]
) -> None:
    async def integrate() -> None:
        repository = await open_repository(repo)
        other = spec_for("w02", "**")
        await repository.add_worktree(other)
        write(other, "src/b.py", "theirs\n")
        git(other.path, "commit", "-qam", "theirs")
        await repository.update_ref(spec.guard.integration_ref, git(other.path, "rev-parse", "HEAD"), None)

    asyncio.run(integrate())
    write(spec, "src/a.py", "mine\n")
    agent(spec.path, "commit", "-qam", "Mine")
    agent(spec.path, "merge", "-q", "--no-commit", "aegis/r1/integration")
    write(spec, "web/page.html", "mine\n")
    agent(spec.path, "add", ".")
    for flags in ((), ("--no-verify",)):
        assert "web/page.html belongs" in refused(agent, spec.path, "commit", "-m", "Merge", *flags)


@pytest.mark.boundary(
    layer="hooks", tried="merging another agent's commits", refused="refused until they are integrated"
)
def test_another_instances_commits_are_not_taken_over_unless_integrated(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, spec_for: Callable[..., WorktreeSpec]
) -> None:
    async def other_work() -> None:
        other = spec_for("w02", "web/**")
        await (await open_repository(repo)).add_worktree(other)
        write(other, "web/other.html")
        agent(other.path, "add", ".")
        agent(other.path, "commit", "-qm", "theirs")

    asyncio.run(other_work())
    assert "web/other.html" in refused(agent, spec.path, "merge", "--no-edit", "aegis/r1/w02")


def test_amend_reset_cherry_pick_and_revert_work_on_the_own_branch(agent: Shell, spec: WorktreeSpec) -> None:
    write(spec, "src/a.py", "one\n")
    agent(spec.path, "commit", "-qam", "One")
    agent(spec.path, "commit", "-q", "--amend", "-m", "Uno")
    agent(spec.path, "revert", "--no-edit", "HEAD")
    agent(spec.path, "reset", "-q", "--hard", "HEAD~1")
    agent(spec.path, "reset", "-q", "--hard", "HEAD~1")
    agent(spec.path, "cherry-pick", "HEAD@{1}")
    assert (spec.path / "src/a.py").read_text() == "one\n"


def test_a_rebase_leaves_no_cherry_pick_behind_where_git_cannot_lock_its_refs(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec
) -> None:
    for text in ("one\n", "two\n"):
        write(spec, "src/a.py", text)
        agent(spec.path, "commit", "-qam", text)
    (repo / ".git/packed-refs.lock").touch()
    agent(spec.path, "-c", "core.packedRefsTimeout=0", "rebase", "-q", "--force-rebase", "HEAD~2")
    assert "cherry-pick" not in agent(spec.path, "status")
    assert (spec.path / "src/a.py").read_text() == "two\n"


@pytest.mark.boundary(layer="hooks", tried="rules that are damaged", refused="everything is refused")
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "no branch"])
def test_rules_that_cannot_be_read_refuse_everything(agent: Shell, spec: WorktreeSpec, damage: str) -> None:
    rules = spec.guard.hooks_dir / "rules"
    whole = rules.read_bytes()
    cut = {"cut": whole[: len(whole) // 2], "empty": b"", "no branch": whole.replace(b"own\t", b"OWN\t")}
    rules.unlink()
    if damage != "missing":
        rules.write_bytes(cut[damage])
    write(spec, "src/a.py")
    assert "refused" in refused(agent, spec.path, "commit", "-qam", "Work")
    assert "refused" in refused(agent, spec.path, "commit", "-qam", "Work", "--no-verify")


@pytest.mark.boundary(
    layer="hooks", tried="a PATH without the tools that the hook needs", refused="everything is refused"
)
@pytest.mark.parametrize("missing", ["awk", "tr", "tail", "sed", "cat"])
def test_without_its_tools_the_guard_refuses(git: Shell, spec: WorktreeSpec, tmp_path: Path, missing: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in {"git", "sh", "cat", "tail", "sed", "tr", "awk"} - {missing}:
        found = next(Path(folder) / name for folder in os.environ["PATH"].split(":") if (Path(folder) / name).exists())
        (tools / name).symlink_to(found)
    write(spec, "src/a.py")
    done = subprocess.run(
        ["git", "commit", "-qam", "Work"],
        cwd=spec.path,
        env={**git.env, "PATH": str(tools)},
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert missing.encode() in done.stderr


def test_a_granted_path_may_be_committed_from_then_on(repo: Path, agent: Shell, spec: WorktreeSpec) -> None:
    write(spec, "web/page.html", "mine\n")
    refused(agent, spec.path, "commit", "-qam", "Granted")
    reguard(repo, spec, allow=("src/**", "web/page.html"))
    agent(spec.path, "commit", "-qam", "Granted")
    write(spec, "web/more.html")
    agent(spec.path, "add", ".")
    assert "NATIVE-w09" in refused(agent, spec.path, "commit", "-qm", "More")


@pytest.mark.boundary(layer="hooks", tried="a commit of a reviewer or scout", refused="refused")
def test_a_read_only_instance_commits_nothing(repo: Path, agent: Shell, spec: WorktreeSpec) -> None:
    reguard(repo, spec, allow=(), joint=())
    write(spec, "src/a.py")
    refused(agent, spec.path, "commit", "-qam", "Work")


def test_a_glob_that_cannot_be_read_is_refused_before_anything_is_written(repo: Path, spec: WorktreeSpec) -> None:
    before = (spec.guard.hooks_dir / "rules").read_bytes()
    with pytest.raises(Refused):
        reguard(repo, spec, allow=("../x",))
    assert (spec.guard.hooks_dir / "rules").read_bytes() == before


def test_guards_of_two_worktrees_do_not_mix_and_the_person_has_none(
    repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec, spec_for: Callable[..., WorktreeSpec]
) -> None:
    other = spec_for("w02", "web/**")

    async def run() -> None:
        await (await open_repository(repo)).add_worktree(other)

    asyncio.run(run())
    for made, name in ((spec, "src/a.py"), (other, "web/page.html")):
        write(made, name)
        agent(made.path, "commit", "-qam", "Work")
    (repo / "README.md").write_text("mine\n")
    git(repo, "commit", "-qam", "Mine")
    assert git(repo, "config", "--default", "", "--get", "core.hooksPath") == ""


def test_where_case_is_ignored_the_guard_ignores_it_too(repo: Path, agent: Shell, spec: WorktreeSpec) -> None:
    reguard(repo, spec, allow=("SRC/É*",), ignore_case=True)
    write(spec, "src/éa.py")
    agent(spec.path, "add", ".")
    agent(spec.path, "commit", "-qm", "Work")
