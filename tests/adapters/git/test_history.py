"""The history of a real repository: which paths its newest commits changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.git import history
from aegis_tui.adapters.git.history import ignores_case, read_history
from aegis_tui.errors import GitError


def git(root: Path, *words: str) -> None:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *author, *words], cwd=root, check=True, capture_output=True, timeout=20)


def commit(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with (root / name).open("a") as file:
            file.write("x\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "change", "--allow-empty")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    return folder


def test_the_paths_of_each_commit_are_told_the_newest_first(root: Path) -> None:
    assert read_history(root).commits == ()
    commit(root, "src/a.py", "name with\nline.py")
    commit(root)
    commit(root, "b.py")
    git(root, "checkout", "-q", "-b", "side", "HEAD~1")
    commit(root, "c.py")
    git(root, "merge", "-q", "--no-edit", "main")
    found = read_history(root)
    assert set(found.commits) == {("b.py",), ("c.py",), ("name with\nline.py", "src/a.py")}
    assert found.is_whole


def test_a_history_that_takes_too_long_is_left_out_and_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(root, "a.py")
    monkeypatch.setattr(history, "_MOST_BYTES", 3)
    found = read_history(root)
    assert (found.commits, found.is_whole) == ((), False)


def test_the_setting_about_case_is_read(root: Path) -> None:
    assert not ignores_case(root)
    git(root, "config", "core.ignorecase", "true")
    assert ignores_case(root)


def test_outside_of_a_repository_git_fails(tmp_path: Path) -> None:
    with pytest.raises(GitError):
        ignores_case(tmp_path / "nowhere")
