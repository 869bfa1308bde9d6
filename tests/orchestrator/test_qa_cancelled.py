"""A QA check that is cancelled, by the end of its run and by the end of the hub, leaves nothing (PANE-8)."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.git.repository import GitRepository
from aegis_tui.ports.repository import Worktree
from aegis_tui.sdk.folder_entry import TRASH
from tests.orchestrator.qa_lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("moment", ["making", "checking", "removing"])
def test_a_check_that_is_cancelled_leaves_no_worktree(lab: Lab, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled twice: by the end of its run, and by the end of the hub (PANE-8)."""
    oid = lab.commit_change("shop.py", "1", "2")
    checks: list[asyncio.Task[object]] = []
    added = asyncio.Event()

    async def cancel() -> None:
        for _ in range(2):
            checks[0].cancel()
            await asyncio.sleep(0.01)

    async def add_scratch(repository: GitRepository, path: Path, oid: str) -> Worktree:
        made = await add(repository, path, oid)
        added.set()
        if moment == "making":
            await asyncio.wait({asyncio.create_task(cancel())})
        return made

    async def remove_worktree(repository: GitRepository, path: Path, *, rescue: None, reuse: bool = False) -> None:
        if moment == "removing":
            cancelling = asyncio.create_task(cancel())
            await asyncio.wait({cancelling})
        await remove(repository, path, rescue=rescue, reuse=reuse)

    add, remove = GitRepository.add_scratch, GitRepository.remove_worktree
    monkeypatch.setattr(GitRepository, "add_scratch", add_scratch)
    monkeypatch.setattr(GitRepository, "remove_worktree", remove_worktree)

    async def check() -> None:
        command = "true" if moment == "removing" else "sleep 30"
        checks.append(asyncio.create_task(lab.begin(oid, {command: 60}, sandbox="off")))
        if moment == "checking":
            await added.wait()
            await asyncio.sleep(0.2)
            await cancel()
        await asyncio.wait(checks)
        assert checks[0].cancelled()

    asyncio.run(check())
    assert list(lab.state.iterdir()) == []
    assert len(lab.git("worktree", "list").splitlines()) == 1


def test_a_check_that_is_cancelled_while_its_environment_is_made_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread cannot be cancelled: what it still writes is waited for, and removed."""
    oid = lab.commit_change("shop.py", "1", "2")
    started = threading.Event()

    def places(
        environment: ProjectEnvironment, worktree: Path, prepared: Path | None = None
    ) -> Iterator[tuple[Path, Path]]:
        started.set()
        for number in range(50):
            (lab.state / "qa-home-late" / f"{number}").mkdir(parents=True)
            time.sleep(0.005)
        shutil.rmtree(lab.state / "qa-home-late")
        yield from ()

    monkeypatch.setattr(ProjectEnvironment, "_places", places)

    async def check() -> None:
        task = asyncio.create_task(lab.begin(oid, {"true": 60}, sandbox="off"))
        task.add_done_callback(lambda _: started.set())  # a check that fails must not let the thread wait for ever
        await asyncio.to_thread(started.wait)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait({task})
        assert task.cancelled()
        assert [path.name for path in lab.state.iterdir() if not path.name.startswith(TRASH)] == []

    asyncio.run(check())
    assert list(lab.state.iterdir()) == []
