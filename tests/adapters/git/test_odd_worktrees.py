"""A worktree from its creation to its rescue in repositories that are not plain, complete at once or filled later."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import spare
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import RescueName, RescueRef, WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
LATIN = os.fsdecode(b"latin\xe9/caf\xe9.txt")


def _sha256(repo: Path, git: Shell) -> None:
    objects = repo / ".git"
    objects.rename(repo.parent / "sha1.git")
    git(repo, "init", "-q", "--object-format=sha256")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Start")


def _reftable(repo: Path, git: Shell) -> None:
    (repo / ".git").rename(repo.parent / "files.git")
    code, output = git.attempt(repo, "init", "-q", "--ref-format=reftable")
    if code:
        assert "ref-format" in output
        pytest.skip("missing: git-2.45, which has reftable")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Start")


def _latin(repo: Path, git: Shell) -> None:
    (repo / LATIN).parent.mkdir()
    (repo / LATIN).write_text("x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Latin")


def _sparse(repo: Path, git: Shell) -> None:
    git(repo, "sparse-checkout", "set", "--cone", "--sparse-index", "web")
    assert not (repo / "src").exists()


def _borrowed(repo: Path, git: Shell) -> None:
    lender = repo.parent / "lender"
    git(repo.parent, "clone", "-q", "--bare", str(repo), str(lender))
    objects = repo / ".git/objects"
    for place in objects.glob("??"):
        subprocess.run(["rm", "-rf", str(place)], check=True)
    (objects / "info").mkdir(exist_ok=True)
    (objects / "info/alternates").write_text(f"{lender}/objects\n")
    git(repo, "fsck", "--connectivity-only")


def _filtered(repo: Path, git: Shell) -> None:
    git(repo, "config", "filter.rot.clean", "tr a-z n-za-m")
    git(repo, "config", "filter.rot.smudge", "tr a-z n-za-m")
    (repo / ".gitattributes").write_text("*.html filter=rot\n")
    (repo / "web/page.html").write_text("hello\n")
    (repo / "src/f.html").write_text("hello\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Filtered")
    assert git(repo, "show", "HEAD:web/page.html") == "uryyb"


def _signed(repo: Path, git: Shell) -> None:
    git(repo, "config", "commit.gpgSign", "true")
    git(repo, "config", "gpg.program", "/nonexistent")


def _packed(repo: Path, git: Shell) -> None:
    git(repo, "config", "index.version", "4")
    git(repo, "config", "core.splitIndex", "true")
    git(repo, "config", "core.untrackedCache", "true")
    git(repo, "config", "feature.manyFiles", "true")


ODD = (_sha256, _reftable, _latin, _sparse, _borrowed, _filtered, _signed, _packed)


def _state(repo: Path, git: Shell) -> tuple[object, ...]:
    index = (repo / ".git/index").read_bytes()
    files = {path: path.read_bytes() for path in repo.rglob("*") if ".git" not in path.parts and path.is_file()}
    return index, files, git(repo, "rev-parse", "HEAD"), git(repo, "for-each-ref", "refs/heads/main")


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("make_odd", ODD)
def test_a_worktree_is_complete_its_work_is_saved_and_the_checkout_stays(
    repo: Path,
    git: Shell,
    spec_for: MakeSpec,
    monkeypatch: pytest.MonkeyPatch,
    make_odd: Callable[[Path, Shell], None],
    is_large: bool,
) -> None:
    monkeypatch.setattr(spare, "LARGE_FILES", 3 if is_large else 3_000)
    make_odd(repo, git)
    before = _state(repo, git)
    spec = dataclasses.replace(spec_for("w01"), first=("src/**",))

    async def run() -> RescueRef | None:
        repository = await open_repository(repo)
        made = await repository.add_worktree(spec)
        assert made.is_whole is not is_large
        (made.path / "src/a.py").write_text("changed\n")
        assert len(await repository.changed_paths("HEAD", await repository.snapshot_tree(made.path))) == 1
        await repository.completed(made.path)
        assert len(await repository.changed_paths("HEAD", await repository.snapshot_tree(made.path))) == 1
        listed = set(git(repo, "ls-tree", "-rz", "--name-only", "HEAD").strip("\0").split("\0"))
        there = {
            os.fsencode(path.relative_to(made.path)).decode("utf-8", "replace")
            for path in made.path.rglob("*")
            if not path.is_dir() or path.is_symlink()
        }
        assert there == {name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in listed} | {
            ".git"
        }
        assert (made.path / "web/page.html").read_text() in ("<p>\n", "hello\n")
        (made.path / "web/page.html").unlink()
        (made.path / "new.txt").write_text("new\n")
        return await repository.remove_worktree(made.path, rescue=RescueName("r1", "w01"))

    saved = asyncio.run(run())
    assert saved is not None
    changes = git(repo, "diff-tree", "-r", "--name-status", "HEAD", saved.tree)
    assert changes.splitlines() == ["A\tnew.txt", "M\tsrc/a.py", "D\tweb/page.html"]
    assert _state(repo, git) == before
