"""One complete checkout of a large repository stays on disk for the checks of the next run (PERF-19)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import lay_by, spare
from aegis_tui.adapters.git.lay_by import KEPT_NAME
from aegis_tui.adapters.git.repository import open_repository

Shell = Any
AWAY = "web/page.html"


@pytest.fixture(autouse=True)
def _every_repository_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LARGE_FILES", 3)
    monkeypatch.setattr(lay_by, "_FREE_SHARE", 0.0)


def _run(repo: Path, folder: Path, oid: str, leave: str = "") -> int:
    """Check a commit as a run does; return the inode of a file of the checkout."""

    async def run() -> int:
        repository = await open_repository(repo)
        await repository.begin_scratch(folder, oid)
        tree = await repository.add_scratch(folder / "base", oid)
        inode = (tree.path / AWAY).stat().st_ino
        if leave:
            (tree.path / leave).write_text("left\n")
        assert (tree.path / "src/a.py").exists()
        await repository.remove_worktree(tree.path, rescue=None, reuse=True)
        if repository._worktrees.admins.has_records():
            await repository._worktrees.pool.ready()
        await repository.stop_filling()
        return inode

    return asyncio.run(run())


@pytest.fixture
def folder(repo: Path, tmp_path: Path, spec_for: Any) -> Path:
    """The folder of the checks; a worker's worktree outlives them, as in a run."""

    async def add() -> None:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))

    asyncio.run(add())
    return tmp_path / "state/scratch"


def _commit(repo: Path, git: Shell, name: str, text: str) -> str:
    (repo / name).write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "More")
    oid: str = git(repo, "rev-parse", "HEAD")
    return oid


def test_the_checks_of_the_next_run_get_the_files_of_the_last_one(repo: Path, git: Shell, folder: Path) -> None:
    inode = _run(repo, folder, git(repo, "rev-parse", "HEAD"), leave="build.log")
    kept = folder.with_name(KEPT_NAME)
    assert sorted(path.name for path in kept.iterdir()) == ["index", "note", "tree"]
    assert not (kept / "tree/build.log").exists() and not (kept / "tree/.git").exists()
    assert _run(repo, folder, _commit(repo, git, "src/later.py", "later\n")) == inode
    assert (kept / "tree/src/later.py").read_text() == "later\n"
    assert list(folder.iterdir()) == []


def _other_line_ends(repo: Path, git: Shell, kept: Path) -> None:
    git(repo, "config", "core.autocrlf", "true")


def _other_attributes(repo: Path, git: Shell, kept: Path) -> None:
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/attributes").write_text("*.html text eol=crlf\n")


def _a_filter(repo: Path, git: Shell, kept: Path) -> None:
    git(repo, "config", "filter.x.smudge", "cat")


def _week_old(repo: Path, git: Shell, kept: Path) -> None:
    old = time.time() - 8 * 24 * 3600
    os.utime(kept / "note", (old, old))


def _changed(repo: Path, git: Shell, kept: Path) -> None:
    (kept / "tree/new").write_text("by somebody\n")


def _damaged(repo: Path, git: Shell, kept: Path) -> None:
    (kept / "index").write_bytes(b"no index")


def _linked(repo: Path, git: Shell, kept: Path) -> None:
    (kept / "note").unlink()
    (kept / "note").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    "change", [_other_line_ends, _other_attributes, _a_filter, _week_old, _changed, _damaged, _linked]
)
def test_files_that_a_new_checkout_might_write_otherwise_are_deleted(
    repo: Path, git: Shell, folder: Path, change: Callable[[Path, Shell, Path], None]
) -> None:
    oid, kept = git(repo, "rev-parse", "HEAD"), folder.with_name(KEPT_NAME)
    _run(repo, folder, oid)
    change(repo, git, kept)
    with (kept / "tree" / AWAY).open("rb") as first:  # so that no new file gets its inode
        assert _run(repo, folder, oid) != os.fstat(first.fileno()).st_ino
    assert kept.exists() is (change is not _a_filter)


def test_nothing_stays_on_a_full_disk(repo: Path, git: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lay_by, "_FREE_SHARE", 1.1)
    _run(repo, folder, git(repo, "rev-parse", "HEAD"))
    assert not folder.with_name(KEPT_NAME).exists() and list(folder.iterdir()) == []
