"""What an agent leaves in a worktree reaches neither the next one nor this program (GIT-1, SEC-1, PERF-19)."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import spare
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import RescueName, WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
Leave = Callable[[Path], object]
After = Callable[..., tuple[bool, Path]]
AWAY = "web/page.html"


@pytest.fixture(autouse=True)
def _every_repository_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LARGE_FILES", 3)


@pytest.fixture
def after(repo: Path, tmp_path: Path, spec_for: MakeSpec) -> After:
    """Lets a reviewer or a check leave something, removes the worktree, and makes one for the next check.

    Returns whether that has the same files on disk, and where it is.
    """

    async def run(leave: Leave, *, is_check: bool) -> tuple[bool, Path]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        spec, name = spec_for("r01"), None if is_check else RescueName("r1", "r01")
        if is_check:
            tree = await repository.add_scratch(spec.path, spec.base_oid)
        else:
            tree = await repository.add_worktree(spec)
            await repository.git_mounts(tree, private=tmp_path / "private")
        later = time.time() + 2  # as if the checkout had taken long: git compares no content then
        os.utime(tree.admin_dir / "index", (later, later))
        with (tree.path / AWAY).open("rb") as file:  # so that no new file gets its inode
            leave(tree.path)
            await repository.remove_worktree(tree.path, rescue=name, reuse=True)
            checks = await repository.add_scratch(tree.path.with_name("checks"), spec.base_oid)
            return os.fstat(file.fileno()).st_ino == (checks.path / AWAY).stat().st_ino, checks.path

    return lambda leave, is_check=False: asyncio.run(run(leave, is_check=is_check))


def _repository(top: Path) -> None:
    (top / "src/.git").mkdir()
    (top / "src/.git/config").write_text("[core]\n\tfsmonitor = evil\n")


def _changed_back(top: Path) -> None:
    """Change a file to another of the same size, and set its time back."""
    time.sleep(1.01)  # git compares whole seconds
    before = (top / AWAY).stat()
    (top / AWAY).write_bytes(b"x" * before.st_size)
    os.utime(top / AWAY, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_nothing_left_means_that_the_files_are_used_again(after: After) -> None:
    assert after(lambda top: None)[0]


LEFT: dict[str, Leave] = {
    "a repository": _repository,
    "a file that says where a repository is": lambda top: (top / "src/.git").write_text("gitdir: /nonexistent\n"),
    "a folder that all can write": lambda top: (top / "src").chmod(0o777),
    "a word on a folder": lambda top: os.setxattr(top / "src", "user.left", b"word"),
}


@pytest.mark.parametrize("is_check", [False, True])
@pytest.mark.parametrize("what", LEFT)
def test_what_git_does_not_list_does_not_reach_the_next_check(after: After, what: str, is_check: bool) -> None:
    same, checks = after(LEFT[what], is_check)
    assert same == (is_check and "repository" in what), "that alone can be deleted"
    assert not os.path.lexists(checks / "src/.git")


def test_settings_that_let_git_overlook_a_change_do_not_count(repo: Path, git: Shell, after: After) -> None:
    git(repo, "config", "core.trustctime", "false")
    git(repo, "config", "core.checkStat", "minimal")
    before = (repo / AWAY).read_bytes()

    _, checks = after(_changed_back, is_check=True)
    assert (checks / AWAY).read_bytes() == before


def test_no_program_is_started_that_a_submodule_of_an_agent_names(
    repo: Path, tmp_path: Path, git: Shell, after: After
) -> None:
    library, proof = tmp_path / "library", tmp_path / "proof"
    library.mkdir()
    git(library, "init", "-q")
    (library / "file").write_text("content\n")
    git(library, "add", ".")
    git(library, "commit", "-qm", "Library")
    head = git(library, "rev-parse", "HEAD")
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{head},lib")
    git(repo, "commit", "-qm", "Submodule")

    def leave(top: Path) -> None:
        shutil.copytree(library / ".git", top / "lib/.git")
        git(top / "lib", "config", "filter.evil.clean", f"touch '{proof}'")
        (top / "lib/.gitattributes").write_text("* filter=evil\n")
        (top / "lib/file").write_text("changed\n")

    after(leave, is_check=True)
    assert not proof.exists()
