"""An index that an agent's git writes at once is younger than the files, so that it starts no filter for them (GIT-6).

git compares whole seconds: in the second in which files were written it cannot tell whether they have changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository

Shell = Any


def _in_the_commit(repo: Path, git: Shell) -> None:
    (repo / "web/.gitattributes").write_text("*.html filter=same\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Attributes")


def _in_the_repository(repo: Path, git: Shell) -> None:
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/attributes").write_text("*.html filter=same\n")


def _in_a_file_that_is_named(repo: Path, git: Shell) -> None:
    (repo.parent / "attributes").write_text("*.html filter=same\n")
    git(repo, "config", "core.attributesFile", str(repo.parent / "attributes"))


@pytest.mark.parametrize("named", [_in_the_commit, _in_the_repository, _in_a_file_that_is_named])
def test_files_are_older_than_the_second_in_which_a_worktree_is_ready(
    repo: Path, tmp_path: Path, git: Shell, named: Callable[[Path, Shell], None]
) -> None:
    git(repo, "config", "filter.same.clean", "cat")
    git(repo, "config", "filter.same.smudge", "cat")
    named(repo, git)

    async def run() -> int:
        repository = await open_repository(repo)
        await asyncio.sleep(1 - time.time() % 1)  # all that follows fits in one second, unless something waits
        await repository.add_scratch(tmp_path / "checks", git(repo, "rev-parse", "HEAD"))
        return int(time.time())

    ready = asyncio.run(run())
    written = max(int(path.lstat().st_mtime) for path in (tmp_path / "checks").rglob("*") if path.name != ".git")
    assert written < ready
