"""A sandbox around a real worktree of a real repository, and whether this machine can make one."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.ports.sandbox import SandboxLevel, SandboxSpec


def missing() -> str:
    """What keeps this machine from making a sandbox; empty when nothing does."""
    if shutil.which("bwrap") is None:
        return "bwrap"
    argv = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]
    plain = subprocess.run(argv, capture_output=True, timeout=20, check=False)
    return "" if plain.returncode == 0 else "namespaces, which this kernel or container refuses"


MISSING = missing()
needs_bwrap = pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}")
BRANCH = "aegis/r1/w01"


@dataclass
class Lab:
    """A repository with a worktree, a runtime folder with a secret, and a sandbox around the worktree."""

    repository: Path
    worktree: Path
    admin: Path
    runtime: Path
    spec: SandboxSpec
    sandbox: BubblewrapSandbox

    @property
    def common(self) -> Path:
        return self.repository / ".git"

    def run(self, *argv: str, spec: SandboxSpec | None = None) -> subprocess.CompletedProcess[str]:
        wrapped = self.sandbox.wrap(argv, spec or self.spec, SandboxLevel.BUBBLEWRAP)
        return subprocess.run(
            wrapped, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
        )

    def python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("python3", "-c", code, *arguments)

    def writes(self, path: Path) -> bool:
        """Whether a write inside reaches this path; what was there before is untouched if not."""
        before = path.read_bytes() if path.is_file() else None
        result = self.python("import sys; open(sys.argv[1], 'a').write('x')", str(path))
        after = path.read_bytes() if path.is_file() else None
        assert (result.returncode == 0) >= (before != after)
        return before != after


GUARDED = ("commondir", "gitdir", "config.worktree")
"""What in a worktree's own git folder leads git to its configuration and hooks; `GitMounts.read_only` names them."""


def git(*argv: str, cwd: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *argv], cwd=cwd, env=environment, capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()
