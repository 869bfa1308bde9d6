import shutil
import subprocess
from pathlib import Path

from aegis_tui.adapters.watch.worktrees import KnownWorktrees


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def present(worktrees: KnownWorktrees) -> set[Path]:
    return {item.folder for item in worktrees.present()}


def test_worktrees_are_noticed_as_they_come_move_and_go(worktree: Path, tmp_path: Path) -> None:
    git(worktree, "commit", "-q", "--allow-empty", "-m", "m")
    one, two = tmp_path / "one tree", tmp_path / "two"
    git(worktree, "worktree", "add", "-q", "--detach", str(one))
    worktrees = KnownWorktrees(one)
    assert [item.folder for item in worktrees.present()] == [worktree, one]
    git(worktree, "worktree", "add", "-q", "--detach", str(two))
    assert present(worktrees) == {worktree, one, two}
    moved = tmp_path / "moved"
    git(worktree, "worktree", "move", str(two), str(moved))
    assert present(worktrees) == {worktree, one, moved}
    shutil.rmtree(moved)
    assert present(worktrees) == {worktree, one}
    git(worktree, "worktree", "prune")
    assert present(worktrees) == {worktree, one}


def test_one_that_git_is_still_making_is_left_out_until_it_is_complete(worktree: Path, tmp_path: Path) -> None:
    git(worktree, "commit", "-q", "--allow-empty", "-m", "m")
    git(worktree, "worktree", "add", "-q", "--detach", str(tmp_path / "one"))
    locked = worktree / ".git" / "worktrees" / "one" / "locked"
    locked.write_text("initializing")
    worktrees = KnownWorktrees(worktree)
    assert present(worktrees) == {worktree}
    locked.unlink()
    assert present(worktrees) == {worktree, tmp_path / "one"}


def test_a_bare_repository_has_only_linked_worktrees(worktree: Path, tmp_path: Path) -> None:
    git(worktree, "commit", "-q", "--allow-empty", "-m", "m")
    git(tmp_path, "clone", "-q", "--bare", str(worktree), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "-q", "--detach", str(tmp_path / "one"))
    assert present(KnownWorktrees(tmp_path / "one")) == {tmp_path / "one"}
