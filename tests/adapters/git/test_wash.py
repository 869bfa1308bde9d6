"""The files of checks serve the next ones, whatever the tests that ran in them have done (GIT-1, FLOW-7, PERF-19)."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import spare
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
AWAY = "web/page.html"


@pytest.fixture(autouse=True)
def _every_repository_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LARGE_FILES", 3)


@pytest.fixture
def piece(repo: Path, git: Shell) -> str:
    """A commit of an agent, based on the person's."""
    git(repo, "switch", "-q", "-c", "aegis/r1/w01")
    (repo / "src/a.py").write_text("an agent's\n")
    (repo / "src/new.py").write_text("new\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Piece")
    oid: str = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "-q", "main")
    return oid


def _same_size(path: Path) -> None:
    """Change a file's content, and set its times back: only its time of change shows it."""
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _nested(top: Path) -> None:
    deep = top / "src/made/up"
    deep.mkdir(parents=True)
    (deep / "conftest.py").write_text("raise SystemExit(0)\n")
    deep.chmod(0)


def _repository(top: Path) -> None:
    (top / "web/.git").mkdir()
    (top / "web/.git/HEAD").write_text("ref: refs/heads/x\n")


def _replaced_by_link(top: Path) -> None:
    (top / "web").rename(top / "elsewhere")
    (top / "web").symlink_to("elsewhere")


def _file_for_folder(top: Path) -> None:
    shutil.rmtree(top / "web")
    (top / "web").write_text("a file\n")


def _folder_for_file(top: Path) -> None:
    (top / "src/a.py").unlink()
    (top / "src/a.py").mkdir()
    (top / "src/a.py/inside").write_text("hidden\n")


def _linked_out(top: Path) -> None:
    (top / "src/a.py").unlink()
    (top / "src/a.py").symlink_to("/etc/passwd")


def _hard_link(top: Path) -> None:
    os.link(top / "src/a.py", top / "src/kept")


def _git_folder(top: Path) -> None:
    (top / ".git").unlink()
    (top / ".git").mkdir()
    (top / ".git/config").write_text("[core]\n\tfsmonitor = false\n")


def _attributes(top: Path) -> None:
    (top / ".gitattributes").write_text("* text eol=crlf\n")
    (top / "src/a.py").unlink()


HOSTILE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda top: None,
    "an ignored file": lambda top: (top / "build.log").write_text("left\n"),
    "a cache": lambda top: (top / ".pytest_cache").mkdir(),
    "an unreadable folder": _nested,
    "a repository": _repository,
    "the same size and times": lambda top: _same_size(top / AWAY),
    "other permissions": lambda top: (top / AWAY).chmod(0o666),
    "unreadable": lambda top: (top / AWAY).chmod(0),
    "a deleted file": lambda top: (top / AWAY).unlink(),
    "a folder for a link": _replaced_by_link,
    "a file for a folder": _file_for_folder,
    "a folder for a file": _folder_for_file,
    "a link that leads out": _linked_out,
    "a hard link": _hard_link,
    "a pipe": lambda top: os.mkfifo(top / "src/pipe"),
    "no git file": lambda top: (top / ".git").unlink(),
    "a git folder": _git_folder,
    "attributes": _attributes,
}


def _state(top: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(top).as_posix(): (
            path.lstat().st_mode,
            bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in top.rglob("*")
        if path.relative_to(top).parts[0] != ".git"
    }


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_test_did_does_not_reach_the_next_one(
    repo: Path, tmp_path: Path, git: Shell, spec_for: MakeSpec, piece: str, what: str
) -> None:
    base, folder = git(repo, "rev-parse", "HEAD"), tmp_path / "scratch"

    async def run() -> tuple[int, Path, Path]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        await repository.add_scratch(folder / "piece", piece)
        inode = (folder / "piece/README.md").stat().st_ino
        HOSTILE[what](folder / "piece")
        with (folder / "piece/README.md").open("rb"):  # so that no new file gets its inode
            await repository.remove_worktree(folder / "piece", rescue=None, reuse=True)
            assert not (folder / "piece").exists()
            await repository.add_scratch(folder / "base", base)
        await repository.add_scratch(folder / "again", piece)
        return inode, folder / "base", folder / "again"

    inode, second, third = asyncio.run(run())
    assert (second / "README.md").stat().st_ino == inode, "the files are used again"
    assert _state(second) == _state(repo) and git(second, "status", "--porcelain", "--ignored") == ""
    assert (third / "src/a.py").read_text() == "an agent's\n"


def _changed_folder(top: Path) -> None:
    (top / "src").chmod(0o500)


def _named_folder(top: Path) -> None:
    os.setxattr(top / "src", "user.left", b"word")


@pytest.mark.parametrize("change", [_changed_folder, _named_folder])
def test_files_in_a_folder_that_was_changed_itself_are_not_used_again(
    repo: Path, tmp_path: Path, git: Shell, spec_for: MakeSpec, piece: str, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "scratch"

    async def run() -> tuple[int, int]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        await repository.add_scratch(folder / "one", piece)
        change(folder / "one")
        with (folder / "one/README.md").open("rb") as first:
            await repository.remove_worktree(folder / "one", rescue=None, reuse=True)
            await repository.add_scratch(folder / "two", piece)
            return os.fstat(first.fileno()).st_ino, (folder / "two/README.md").stat().st_ino

    one, two = asyncio.run(run())
    assert one != two
    assert git(folder / "two", "status", "--porcelain", "--ignored") == ""


def test_files_are_not_switched_to_a_commit_with_other_attributes(
    repo: Path, tmp_path: Path, git: Shell, spec_for: MakeSpec, piece: str
) -> None:
    git(repo, "switch", "-q", "aegis/r1/w01")
    (repo / ".gitattributes").write_text("*.html text eol=crlf\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Attributes")
    other = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "-q", "main")
    folder = tmp_path / "scratch"

    async def run() -> None:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        await repository.add_scratch(folder / "one", piece)
        await repository.remove_worktree(folder / "one", rescue=None, reuse=True)
        await repository.add_scratch(folder / "two", other)

    asyncio.run(run())
    assert b"\r\n" in (folder / "two" / AWAY).read_bytes()
