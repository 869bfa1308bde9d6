"""What a repository lacks for a run, looked at on real repositories of each odd kind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.condition import alternates_of, program_of
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import GitUnavailable
from aegis_tui.ports.repository_condition import RepositoryCondition

Shell = Any


def look(repo: Path) -> RepositoryCondition:
    async def run() -> RepositoryCondition:
        return await (await open_repository(repo)).condition()

    return asyncio.run(run())


def test_an_ordinary_repository_lacks_nothing_from_any_of_its_worktrees(repo: Path, git: Shell, tmp_path: Path) -> None:
    assert look(repo) == RepositoryCondition()
    git(repo, "worktree", "add", "-q", str(tmp_path / "other"))
    assert look(tmp_path / "other") == RepositoryCondition()
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    assert look(tmp_path / "bare.git") == RepositoryCondition()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("clean", "/nowhere/rot %f"), ("process", "no-such-program filter-process"), ("smudge", "./tools/gone")],
)
def test_a_required_filter_without_its_program_is_named_with_a_file_that_needs_it(
    repo: Path, git: Shell, setting: str, value: str
) -> None:
    (repo / ".gitattributes").write_text("*.sec filter=rot\n")
    (repo / "k.sec").write_text("secret\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "secrets")
    git(repo, "config", f"filter.rot.{setting}", value)
    assert look(repo).missing_filters == ()
    git(repo, "config", "filter.rot.required", "true")
    (found,) = look(repo).missing_filters
    assert (found.name, found.program, found.example) == ("rot", value.split()[0], "k.sec")


def test_a_filter_that_no_file_goes_through_or_whose_program_is_there_is_well(repo: Path, git: Shell) -> None:
    git(repo, "config", "filter.lfs.process", "no-such-program filter-process")
    git(repo, "config", "filter.lfs.required", "true")
    assert look(repo).missing_filters == ()
    (repo / ".gitattributes").write_text("*.py filter=there\n")
    git(repo, "config", "filter.there.clean", "cat")
    git(repo, "config", "filter.there.required", "true")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "filter")
    assert look(repo).missing_filters == ()


def test_a_file_of_lfs_is_named(repo: Path, git: Shell) -> None:
    git(repo, "config", "filter.lfs.process", "cat")
    assert look(repo).lfs_file == ""
    (repo / "data").mkdir()
    (repo / "data/.gitattributes").write_text("*.bin filter=lfs\n")
    (repo / "data/large.bin").write_text("pointer\n")
    git(repo, "add", "-A")
    git(repo, "-c", "filter.lfs.process=", "commit", "-qm", "large")
    assert look(repo).lfs_file == "data/large.bin"


def test_programs_of_filters_that_are_named_by_path_are_shown_to_agents(repo: Path, git: Shell, tmp_path: Path) -> None:
    tool, key = tmp_path / "rot", tmp_path / "key"
    tool.write_text("#!/bin/sh\ncat\n")
    tool.chmod(0o755)
    key.write_text("secret")
    git(repo, "config", "filter.rot.clean", f"{tool} --key {key} %f")

    async def run() -> tuple[Path, ...]:
        repository = await open_repository(repo)
        return (await repository.git_mounts(await repository.add_scratch(tmp_path / "s", "HEAD"))).read_only

    assert asyncio.run(run()) == (tool,)


def test_the_environment_of_a_filter_in_python_is_shown_whole(repo: Path, git: Shell, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    git(repo, "config", "filter.nbstripout.clean", f"{venv}/bin/python -m nbstripout")

    async def run() -> tuple[Path, ...]:
        repository = await open_repository(repo)
        return (await repository.git_mounts(await repository.add_scratch(tmp_path / "s", "HEAD"))).read_only

    shown = asyncio.run(run())
    of_system = Path(sys.base_prefix) == Path("/usr")  # which every sandbox shows
    assert shown[0] == venv and (Path(sys.base_prefix, "lib") in shown) is not of_system
    assert venv / "bin/python" not in shown


def test_stores_that_are_borrowed_from_are_found_in_turn_and_shown(repo: Path, git: Shell, tmp_path: Path) -> None:
    for name, source in (("one", repo), ("two", tmp_path / "one")):
        git(tmp_path, "clone", "-q", "--shared", str(source), name)
    two = tmp_path / "two"
    assert alternates_of(two / ".git") == [tmp_path / "one/.git/objects", repo / ".git/objects"]
    assert look(two).lost_alternates == ()
    relative = two / ".git/objects/info/alternates"
    relative.write_text("../../../one/.git/objects\n# a remark\n")
    assert alternates_of(two / ".git")[0] == tmp_path / "one/.git/objects"


def test_a_store_that_is_borrowed_from_and_gone_is_named(repo: Path) -> None:
    (repo / ".git/objects/info/alternates").write_text("/nowhere/objects\n")
    assert look(repo).lost_alternates == (Path("/nowhere/objects"),)


@pytest.mark.parametrize("where", ["objects", "objects/ab", "refs/heads"])
def test_a_folder_that_has_to_be_written_and_cannot_be_is_named(
    repo: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repo / ".git" / where
    folder.mkdir(exist_ok=True)
    # Root may write everywhere, so permissions would not do.
    monkeypatch.setattr("aegis_tui.adapters.git.condition.os.access", lambda path, mode: Path(path) != folder)
    assert look(repo).closed == (folder,)


def partial_clone(repo: Path, git: Shell, tmp_path: Path) -> Path:
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repo}", "part")
    return tmp_path / "part"


def test_a_partial_clone_whose_remote_answers_is_well_and_one_whose_remote_is_gone_is_not(
    repo: Path, git: Shell, tmp_path: Path
) -> None:
    part = partial_clone(repo, git, tmp_path)
    there = look(part).partial
    assert there is not None and there.missing > 0 and there.problem == ""
    repo.rename(tmp_path / "moved")
    gone = look(part).partial
    assert gone is not None and gone.remote == "origin" and gone.missing == there.missing
    assert "repo" in gone.problem


def test_a_partial_clone_that_has_every_file_needs_no_remote(repo: Path, git: Shell, tmp_path: Path) -> None:
    part = partial_clone(repo, git, tmp_path)
    git(part, "checkout", "-q")
    repo.rename(tmp_path / "moved")
    assert look(part).partial is None


def test_submodules_sparse_checkouts_and_signing_are_seen(repo: Path, git: Shell, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(repo), "other")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "other"), "lib/other")
    git(repo, "commit", "-qm", "submodule")
    git(repo, "config", "commit.gpgSign", "true")
    git(repo, "sparse-checkout", "set", "lib")
    seen = look(repo)
    assert (seen.submodules, seen.is_sparse, seen.signs_commits) == (("lib/other",), True, True)


def test_agents_and_qa_have_the_whole_tree_of_a_sparse_checkout(
    repo: Path, git: Shell, tmp_path: Path, spec_for: Any
) -> None:
    for name in ("in/a.txt", "out/b.txt"):
        (repo / name).parent.mkdir()
        (repo / name).write_text("x\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two")
    git(repo, "sparse-checkout", "set", "in")
    assert not (repo / "out").exists()
    spec = spec_for("w01")

    async def run() -> tuple[Path, Path]:
        repository = await open_repository(repo)
        worktree = await repository.add_worktree(spec)
        return worktree.path, (await repository.add_scratch(tmp_path / "scratch", git(repo, "rev-parse", "HEAD"))).path

    for path in asyncio.run(run()):
        assert (path / "out/b.txt").exists() and (path / "in/a.txt").exists()
        assert git(path, "status", "--porcelain") == ""
        assert git(path, "ls-files", "-v").count("S ") == 0
    assert not (repo / "out").exists()


def test_a_repository_of_another_user_is_refused_with_gits_words(
    repo: Path, git: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr("aegis_tui.adapters.git.environment._INHERITED_GIT", {"GIT_TEST_ASSUME_DIFFERENT_OWNER"})
    with pytest.raises(GitUnavailable) as caught:
        look(repo)
    assert "dubious ownership" in caught.value.message
    assert caught.value.hint.startswith("git config --global --add safe.directory")


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("git-lfs filter-process", "git-lfs"),
        ("/opt/x/rot -d %f", "/opt/x/rot"),
        ("'/opt/my tools/rot' %f", None),
        ("KEY=1 rot", None),
        ("$HOME/bin/rot", None),
        ("sed 's/a/", None),
        ("", None),
    ],
)
def test_the_program_of_a_filter_is_named_where_no_shell_is_needed_to_tell(command: str, program: str | None) -> None:
    assert program_of(command) == program
