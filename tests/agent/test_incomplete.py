"""A report in a worktree to which the hub is still adding files: it waits only for hooks that may look at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.git import Git
from aegis_tui.domain.filling import FILLING_NAME
from aegis_tui.domain.git_refusal import CHAIN_NAME
from aegis_tui.testing.canned_llm import calls
from tests.agent.conftest import git

WRITE = calls(("write", {"path": "src/a/n.py", "content": "x\n"}))
DONE = calls(("report", {"status": "done", "summary": "feat(a): add a"}))


@pytest.mark.parametrize("has_hook", [False, True])
def test_a_report_waits_for_the_files_only_if_a_hook_of_the_person_may_look_at_them(
    worktree: Path, tmp_path: Path, play: Callable[..., None], has_hook: bool
) -> None:
    mark = Path((worktree / ".git").read_text("utf-8").removeprefix("gitdir: ").strip()) / FILLING_NAME
    guard, theirs = tmp_path / "guard", tmp_path / "theirs"
    for folder in (guard, theirs):
        folder.mkdir()
    (guard / CHAIN_NAME).write_text(f"{theirs}\n")
    (theirs / "pre-commit.sample").touch(mode=0o755)
    (theirs / "commit-msg").write_text("#!/bin/sh\nexit 0\n")
    (theirs / "commit-msg").chmod(0o755 if has_hook else 0o644)
    assert asyncio.run(Git(worktree).has_hooks_of_the_person()), "unknown hooks may look at anything"
    git(worktree, "config", "core.hooksPath", str(guard))

    async def scenario(bench: Any) -> None:
        (worktree / "src/a/n.py").write_text("w\n")  # one that is there already is not waited for
        mark.write_text("")
        bench.server.will(WRITE, DONE)
        await bench.work()
        await bench.until(lambda: len(bench.server.requests) == 2)
        if has_hook:
            await asyncio.sleep(0.3)
            assert not bench.hub.of_type("diff:submit")
            mark.unlink()
        await bench.ends("done")
        assert mark.exists() is not has_hook

    play(scenario)
