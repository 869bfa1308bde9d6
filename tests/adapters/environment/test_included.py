from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.git.folder import find_scratch_of_the_dead

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.git.run import GitRunner
run = GitRunner.run
async def until_the_list(self, *argv, **how):
    if "-X" in argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return await run(self, *argv, **how)
GitRunner.run = until_the_list
root = Path(sys.argv[1])
asyncio.run(IncludedFiles(root, root / ".git").find("HEAD"))
"""


def test_what_a_killed_process_leaves_of_the_patterns_is_found(tmp_path: Path) -> None:
    root, scratch = tmp_path / "shop", tmp_path / "tmp"
    scratch.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text(".env\n")
    (root / ".env").write_text("a\n")
    (root / ".worktreeinclude").write_text(".env\n")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(root)], env={**os.environ, "TMPDIR": str(scratch)}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert (left := list(scratch.iterdir())) != []
    assert find_scratch_of_the_dead(scratch) == left
    assert asyncio.run(IncludedFiles(root, root / ".git").find("HEAD")) == (".env",)
