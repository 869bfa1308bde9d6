"""A large worktree that is watched while its files are still being added (PERF-19)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.watch.listing import git_folder
from aegis_tui.adapters.watch.tree_index import TreeIndex
from aegis_tui.domain.filling import FILLING_NAME
from aegis_tui.ports.tree_watch import FileChange
from tests.adapters.watch.test_tree_watcher import Seen, git, run, watch


def make_incomplete(worktree: Path) -> Callable[[], None]:
    """Take the folder `big` out of a worktree, which is then incomplete; what is returned brings it back."""
    (worktree / "big").mkdir()
    for name in ("one.txt", "two.txt"):
        (worktree / "big" / name).write_bytes(b"a\r\nb\r\n")
    (worktree / "big/.gitattributes").write_text("*.txt text eol=crlf\n")
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "Big")
    aside, mark = worktree.parent / "aside", git_folder(worktree) / FILLING_NAME
    (worktree / "big").rename(aside)
    missing = ("big/.gitattributes", "big/one.txt", "big/two.txt")
    git(worktree, "update-index", "--skip-worktree", *missing)
    mark.write_text("")

    def complete() -> None:
        aside.rename(worktree / "big")
        git(worktree, "update-index", "--no-skip-worktree", *missing)
        mark.unlink()

    return complete


def test_a_worktree_that_becomes_complete_is_not_compared_as_a_whole(
    worktree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = make_incomplete(worktree)
    compared: list[str] = []
    look = TreeIndex._look

    def looked(self: TreeIndex, path: str) -> Any:
        if not (worktree / "big").exists() and path.startswith("big/"):
            compared.append(path)
        return look(self, path)

    def compared_all(self: TreeIndex, *_: Any, **__: Any) -> list[FileChange]:
        compared.append("all")
        return []

    monkeypatch.setattr(TreeIndex, "compare_all", compared_all)
    monkeypatch.setattr(TreeIndex, "_look", looked)

    def act() -> None:
        (worktree / "a.py").unlink()
        (worktree / "mine.txt").write_text("mine\n")
        complete()

    def is_enough(seen: Seen) -> bool:
        if ("mine.txt", "created") in seen and not (worktree / "last.txt").exists():
            (worktree / "big" / "one.txt").write_bytes(b"a\r\nb\r\n")
            (worktree / "last.txt").write_text("last\n")
        return seen >= expected

    expected = {("a.py", "deleted"), ("mine.txt", "created"), ("last.txt", "created")}
    changes = run(watch(worktree, act, is_enough))
    assert {(item.path, item.change_type) for item in changes} == expected
    assert compared == []
