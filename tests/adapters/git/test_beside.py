"""What git does not see in a worktree is saved too before it is removed (GIT-1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import beside
from aegis_tui.ports.repository import RescueRef, Worktree, WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
Add = Callable[..., list[Worktree]]
Remove = Callable[..., RescueRef | None]


@pytest.fixture
def place(repo: Path, spec_for: MakeSpec, add: Add) -> Path:
    """A worktree of a repository that ignores some names."""
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / ".git").stat()
    return spec.path


def ignored(repo: Path, git: Shell, saved: RescueRef | None) -> dict[str, str]:
    """Path -> content of the files in the parent that holds what git does not see."""
    assert saved is not None
    for parent in git(repo, "log", "-1", "--format=%P", saved.ref).split():
        if git(repo, "log", "-1", "--format=%s", parent) == "ignored":
            names = git(repo, "ls-tree", "-r", "--name-only", "-z", parent).split("\0")
            return {name: git(repo, "show", f"{parent}:{name}") for name in names if name}
    return {}


def test_ignored_files_that_somebody_made_are_saved(repo: Path, git: Shell, place: Path, remove: Remove) -> None:
    (place / "results.log").write_text("numbers\n")
    (place / "src/deep").mkdir()
    (place / "src/deep/파일.log").write_text("more\n")
    (place / "src/deep/run.log").write_text("#!/bin/sh\n")
    (place / "src/deep/run.log").chmod(0o755)
    saved = remove(repo, place)
    found = ignored(repo, git, saved)
    assert found == {"results.log": "numbers", "src/deep/파일.log": "more", "src/deep/run.log": "#!/bin/sh"}
    assert saved is not None
    assert git(repo, "rev-parse", f"{saved.ref}^{{tree}}") == git(repo, "rev-parse", "HEAD^{tree}")
    assert "100755" in git(repo, "ls-tree", f"{saved.ref}^2", "src/deep/run.log")


def test_an_ignored_folder_is_saved_without_caches_builds_and_repositories_in_it(
    repo: Path, git: Shell, place: Path, remove: Remove
) -> None:
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/exclude").write_text("data/\n")
    for name in ("keep.txt", "node_modules/x.js", "a/__pycache__/x.pyc", "a/b.txt", "own/.git/HEAD", "own/file"):
        path = place / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert ignored(repo, git, remove(repo, place)) == {"data/keep.txt": "keep.txt", "data/a/b.txt": "a/b.txt"}


def test_caches_alone_leave_no_rescue(repo: Path, git: Shell, place: Path, remove: Remove) -> None:
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/exclude").write_text("__pycache__/\nnode_modules\n.venv\n")
    for name in ("src/__pycache__/a.pyc", "node_modules/x/index.js", ".venv/bin/python"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
    assert remove(repo, place) is None


def test_no_link_is_followed_and_nothing_else_than_files_is_read(
    repo: Path, git: Shell, place: Path, tmp_path: Path, remove: Remove
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x").write_text("secret")
    (place / "link.log").symlink_to(secret / "x")
    (place / "folder.log").symlink_to(secret)
    (place / "real.log").write_text("real")
    assert ignored(repo, git, remove(repo, place)) == {"real.log": "real"}


def test_what_is_too_large_or_too_much_is_named(
    repo: Path, git: Shell, place: Path, remove: Remove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "FILE_BYTES", 10)
    monkeypatch.setattr(beside, "ALL_BYTES", 25)
    for number in range(4):
        (place / f"{number}.log").write_text("x" * 9)
    (place / "big.log").write_text("x" * 11)
    saved = remove(repo, place)
    assert set(ignored(repo, git, saved)) == {"0.log", "1.log"}
    assert saved is not None
    assert git(repo, "log", "-1", "--format=%b", f"{saved.ref}^2").split("\n")[2:] == ["2.log", "3.log", "big.log"]


def test_files_in_a_submodule_that_is_not_set_up_are_saved(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, tmp_path: Path, remove: Remove
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    git(library, "commit", "-q", "--allow-empty", "-m", "library")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repo, "commit", "-qam", "with library")
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "lib/inside").mkdir(parents=True)
    (spec.path / "lib/inside/new.c").write_text("int x;\n")
    saved = remove(repo, spec.path)
    assert ignored(repo, git, saved) == {"lib/inside/new.c": "int x;"}
    assert saved is not None and git(repo, "ls-tree", saved.ref, "lib").startswith("160000")


def test_files_are_saved_that_were_written_after_the_last_commit(
    repo: Path, git: Shell, place: Path, agent: Shell, remove: Remove
) -> None:
    (place / "src/a.py").write_text("submitted\n")
    agent(place, "commit", "-qam", "work")
    (place / "src/a.py").write_text("later\n")
    saved = remove(repo, place)
    assert saved is not None and git(repo, "show", f"{saved.ref}:src/a.py") == "later"
    assert git(repo, "show", f"{saved.ref}^1:src/a.py") == "submitted"


def test_a_folder_that_git_forgot_is_saved_with_what_it_ignores(
    repo: Path, git: Shell, place: Path, remove: Remove
) -> None:
    (place / "x.log").write_text("ignored\n")
    (place / "new.txt").write_text("new\n")
    git(repo, "worktree", "unlock", str(place))
    for admin in (repo / ".git/worktrees").iterdir():
        for item in sorted(admin.rglob("*"), reverse=True):
            item.unlink() if item.is_file() else item.rmdir()
        admin.rmdir()
    saved = remove(repo, place)
    assert saved is not None and git(repo, "show", f"{saved.ref}:new.txt") == "new"
    assert ignored(repo, git, saved) == {"x.log": "ignored"}
