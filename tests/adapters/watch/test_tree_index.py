import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.watch.listing import Listed, ignored_by_git, list_contents, list_files
from aegis_tui.adapters.watch.tree_index import TreeIndex
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.errors import GitError


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_index_vouches_for_clean_files_only(worktree: Path) -> None:
    for name in ("b.py", "c.py", "d.py"):
        (worktree / name).write_text(name)
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "m")
    (worktree / "a.py").touch()
    (worktree / "b.py").write_text("dirty")
    (worktree / "c.py").unlink()
    (worktree / "new one.py").write_text("new")
    git(worktree, "update-index", "--skip-worktree", "d.py")
    known = dict(list_contents(worktree))
    assert known["a.py"] == blob_id(b"one\n")
    assert {path for path, oid in known.items() if oid is None} == {"b.py", "c.py", "d.py", "new one.py"}


def test_a_file_in_conflict_is_listed_without_content(worktree: Path) -> None:
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "m")
    git(worktree, "branch", "other")
    (worktree / "a.py").write_text("ours")
    git(worktree, "commit", "-qam", "ours")
    git(worktree, "checkout", "-q", "other")
    (worktree / "a.py").write_text("theirs")
    git(worktree, "commit", "-qam", "theirs")
    with pytest.raises(subprocess.CalledProcessError):
        git(worktree, "merge", "-")
    assert Listed("a.py", None) in list_contents(worktree)


def test_a_file_is_read_in_the_background_and_then_a_touch_of_it_is_no_change(worktree: Path) -> None:
    (worktree / "b.py").write_text("b")
    index = TreeIndex("me", worktree)
    index.learn(list_contents(worktree))
    assert [index.read_some(files=1, size_bytes=1000) for _ in range(3)] == [True, True, False]
    (worktree / "a.py").touch()
    (worktree / "b.py").write_text("c")
    assert [(item.path, item.change_type) for item in index.compare(["a.py", "b.py"])] == [("b.py", "modified")]


def test_what_changed_before_it_was_read_is_still_told(worktree: Path) -> None:
    index = TreeIndex("me", worktree)
    index.learn(list_contents(worktree))
    (worktree / "a.py").write_text("changed since")
    index.read_some(files=9, size_bytes=1000)
    assert [item.path for item in index.compare_all(list_files(worktree))] == ["a.py"]


def test_the_scans_read_every_file_in_turn_however_untouched_it_looks(worktree: Path) -> None:
    for number in range(9):
        (worktree / f"{number}.py").write_text("as it was")
    git(worktree, "add", ".")
    index = TreeIndex("me", worktree)
    index.learn([Listed(path, blob_id(b"not what it holds")) for path in list_files(worktree)])
    listed, told = list_files(worktree), []
    for _ in range(4):
        some = index.compare_all(listed, read_files=3, read_bytes=1000)
        assert len(some) <= 3
        told += [item.path for item in some]
    assert sorted(told) == sorted(listed)
    assert index.compare_all(listed, read_files=99, read_bytes=1000) == []


def test_one_path_that_git_refuses_does_not_hide_what_it_says_of_the_others(worktree: Path, tmp_path: Path) -> None:
    (worktree / "real").mkdir()
    (worktree / "link").symlink_to("real")
    paths = ["a.py", "link/x.py", "x.log", ":odd.log", ":odd.py", "../outside"]
    assert ignored_by_git(worktree, paths) == {"link/x.py", "x.log", ":odd.log", "../outside"}
    with pytest.raises(GitError):
        ignored_by_git(tmp_path, ["a.py", "b.py"])
