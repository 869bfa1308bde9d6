"""Submodules in an agent's worktree: as the person has them, and never a way out of it (GIT-7, SEC-2)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from aegis_tui.adapters.environment.submodule_files import SubmoduleFiles
from aegis_tui.agent.git import Git


def git(root: Path, *arguments: str) -> str:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    identity = ("-c", "user.name=P", "-c", "user.email=p@example.org", "-c", "protocol.file.allow=always")
    argv = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def make(folder: Path) -> tuple[Path, Path, str]:
    """A repository with two submodules, one of them initialised; a worktree; the base."""
    for name in ("lib", "other", "top"):
        (folder / name).mkdir()
        git(folder / name, "init", "-q", "-b", "main")
    for name in ("lib", "other"):
        (folder / name / "deep").mkdir()
        (folder / name / "deep/code.py").write_text(f"NAME = {name!r}\n")
        (folder / name / "link").symlink_to("deep/code.py")
        git(folder / name, "add", "-A")
        git(folder / name, "commit", "-qm", "start")
        git(folder / "top", "submodule", "--quiet", "add", str(folder / name), f"vendor/{name}")
    git(folder / "top", "commit", "-qm", "start")
    git(folder / "top", "submodule", "--quiet", "deinit", "--force", "vendor/other")
    (folder / "top/.git/modules/vendor/other").rename(folder / "gone")
    git(folder / "top", "worktree", "add", "-q", "--detach", str(folder / "wt"))
    return folder / "top", folder / "wt", git(folder / "top", "rev-parse", "HEAD")


def fill(top: Path, worktree: Path, base: str) -> None:
    asyncio.run(SubmoduleFiles(top / ".git").fill(worktree, base))


def test_an_agent_reads_what_the_person_has_and_changes_in_it_are_found(tmp_path: Path) -> None:
    top, worktree, base = make(tmp_path)
    fill(top, worktree, base)
    code = worktree / "vendor/lib/deep/code.py"
    assert code.read_text() == "NAME = 'lib'\n" and list((worktree / "vendor/other").iterdir()) == []
    assert git(worktree, "status", "--porcelain") == ""
    seen = Git(worktree)
    assert not seen.has_loose_files("vendor/lib") and not seen.has_loose_files("vendor/other")
    code.write_text("NAME = 'changed'\n")
    (worktree / "vendor/other/new").write_text("x")
    assert seen.has_loose_files("vendor/lib") and seen.has_loose_files("vendor/other")
    fill(top, worktree, base)
    assert code.read_text() == "NAME = 'changed'\n", "what is there already stays"


def test_a_piece_that_made_a_submodule_a_link_leads_nowhere(tmp_path: Path) -> None:
    top, worktree, base = make(tmp_path)
    outside = tmp_path / "outside"
    (outside / "lib").mkdir(parents=True)
    (worktree / "vendor/lib").rmdir()
    (worktree / "vendor/lib").symlink_to(outside / "lib")
    fill(top, worktree, base)
    assert list((outside / "lib").iterdir()) == []
    (worktree / "vendor/other").rmdir()
    (worktree / "vendor/lib").unlink()
    (worktree / "vendor").rmdir()
    (worktree / "vendor").symlink_to(outside)
    fill(top, worktree, base)
    assert list((outside / "lib").iterdir()) == []
