from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.ports.sandbox import SandboxSpec
from tests.adapters.sandbox.lab import BRANCH, GUARDED, Lab, git


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    repository, worktree, runtime = tmp_path / "repo", tmp_path / "state" / "worktrees" / "w01", tmp_path / "runtime"
    repository.mkdir()
    worktree.parent.mkdir(parents=True)
    runtime.mkdir(mode=0o700)
    (runtime / "hub.json").write_text('{"token": "secret"}', encoding="utf-8")
    (runtime / "hub.json").chmod(0o600)
    git("init", "-q", cwd=repository)
    (repository / "file.py").write_text("x = 1\n", encoding="utf-8")
    git("add", ".", cwd=repository)
    git("commit", "-qm", "first", cwd=repository)
    git("branch", "other", cwd=repository)
    git("config", "extensions.worktreeConfig", "true", cwd=repository)
    git("worktree", "add", "-q", "-b", BRANCH, str(worktree), cwd=repository)
    git("config", "--worktree", "user.name", "W", cwd=worktree)
    git("config", "--worktree", "user.email", "w@example.invalid", cwd=worktree)
    common = repository / ".git"
    admin = common / "worktrees" / "w01"
    written = (common / "objects", common / "refs/heads/aegis/r1", common / "logs/refs/heads/aegis/r1", admin)
    spec = SandboxSpec(
        worktree=worktree,
        cwd=worktree,
        environment={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")},
        read_only=(common, worktree / ".git", *(admin / name for name in GUARDED)),
        read_write=written,
        second_layer=True,
    )
    return Lab(repository, worktree, admin, runtime, spec, BubblewrapSandbox())
