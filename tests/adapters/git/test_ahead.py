"""Checkouts of a large repository that are made ahead for checks, and files of readers, which wait (PERF-19)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import spare
from aegis_tui.adapters.git.filling import READERS_PAUSE_S
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import Worktree, WorktreeSpec

pytestmark = pytest.mark.thorough

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
AWAY = Path("web/page.html")


@pytest.fixture(autouse=True)
def _every_repository_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LARGE_FILES", 3)


def test_checks_get_the_files_that_were_begun_for_them_and_a_reviewer_does_not(
    repo: Path, tmp_path: Path, git: Shell, spec_for: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    oid, made = git(repo, "rev-parse", "HEAD"), []
    make = spare.Checkouts.make

    async def counted(self: spare.Checkouts, parent: Path, commit: str) -> spare.Spare:
        made.append(commit)
        return await make(self, parent, commit)

    monkeypatch.setattr(spare.Checkouts, "make", counted)

    async def run() -> Worktree:
        repository = await open_repository(repo)
        await repository.begin_scratch(tmp_path / "scratch", oid)
        await repository.begin_scratch(tmp_path / "scratch", oid)
        tree = await repository.add_scratch(tmp_path / "scratch/base", oid)
        await repository.remove_worktree(tree.path, rescue=None, reuse=True)
        await repository.begin_scratch(tmp_path / "scratch", oid)
        await repository.stop_filling()
        return tree

    async def run_beside() -> tuple[Worktree, Worktree]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        await repository.begin_scratch(tmp_path / "scratch", oid)
        tree = await repository.add_scratch(tmp_path / "scratch/base", oid)
        await repository.remove_worktree(tree.path, rescue=None, reuse=True)
        reader = await repository.add_worktree(dataclasses.replace(spec_for("r01"), first=()))
        merged = await repository.add_scratch(tmp_path / "scratch/merged", oid)
        await repository.stop_filling()
        return reader, merged

    asyncio.run(run())
    assert made == [oid]
    reader, merged = asyncio.run(run_beside())
    assert made == [oid, oid] and not reader.is_whole
    assert git(merged.path, "status", "--porcelain", "--ignored") == ""
    assert [path.name for path in merged.path.parent.iterdir()] == ["merged"]


def test_files_that_were_begun_and_never_used_are_deleted(repo: Path, tmp_path: Path, git: Shell) -> None:
    oid, parent = git(repo, "rev-parse", "HEAD"), tmp_path / "scratch"

    async def run(*, is_ready: bool) -> None:
        repository = await open_repository(repo)
        await repository.begin_scratch(parent, oid)
        if is_ready:
            await asyncio.wait_for(repository._worktrees.pool.ready(), 60)
        await repository.stop_filling()

    for is_ready in (False, True):
        asyncio.run(run(is_ready=is_ready))
        assert not parent.exists() or list(parent.iterdir()) == []


def test_the_files_of_an_instance_that_only_reads_wait(repo: Path, spec_for: MakeSpec) -> None:
    spec = spec_for("r01")
    spec = dataclasses.replace(spec, first=("src/**",), guard=dataclasses.replace(spec.guard, allow=()))

    async def run() -> bool:
        repository = await open_repository(repo)
        tree = await repository.add_worktree(spec)
        waiting = asyncio.create_task(repository.completed(spec.path))
        done, _ = await asyncio.wait({waiting}, timeout=READERS_PAUSE_S / 2)
        assert not done and not (tree.path / AWAY).exists()
        await waiting
        return (tree.path / AWAY).exists()

    assert asyncio.run(run())
