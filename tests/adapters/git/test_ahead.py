"""Checkouts of a large repository that are made ahead for checks, and files of readers, which wait (PERF-19)."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import filling, spare, worktree
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.domain.filling import FILLING_NAME, WANTED_NAME
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


@pytest.mark.parametrize("who", ["reads", "asks"])
@pytest.mark.parametrize("needed_by", ["nobody", "the instance", "the instance in its sandbox", "the hub"])
def test_the_files_of_an_instance_that_reads_or_asks_wait_until_they_are_needed(
    repo: Path, tmp_path: Path, spec_for: MakeSpec, monkeypatch: pytest.MonkeyPatch, who: str, needed_by: str
) -> None:
    monkeypatch.setattr(filling, "PAUSE_S", 0.3 if needed_by == "nobody" else 3600.0)
    monkeypatch.setattr(worktree, "PAUSE_S", filling.PAUSE_S)
    spec = dataclasses.replace(spec_for("w01"), first=("src/**",), asks=who == "asks")
    if who == "reads":
        spec = dataclasses.replace(spec, guard=dataclasses.replace(spec.guard, allow=()))

    async def run() -> None:
        repository = await open_repository(repo)
        tree = await repository.add_worktree(spec)
        folder = tree.admin_dir
        if needed_by == "the instance in its sandbox":
            await repository.git_mounts(tree, private=tmp_path / "private")
            folder = tmp_path / "private/admin"
        await asyncio.sleep(0.2)
        assert not tree.is_whole and not (tree.path / AWAY).exists()
        if needed_by.startswith("the instance"):
            (folder / WANTED_NAME).touch()
            await asyncio.to_thread(_wait_until_gone, folder / FILLING_NAME)
            await asyncio.to_thread(_wait_until_gone, folder / WANTED_NAME)
        elif needed_by == "the hub":
            await repository.completed(tree.path)
        else:
            await asyncio.to_thread(_wait_until_gone, tree.admin_dir / FILLING_NAME)
        assert (tree.path / AWAY).exists()
        await repository.stop_filling()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_files_wait_for_no_time_in_which_another_checkout_is_written(
    repo: Path, spec_for: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worktree, "PAUSE_S", 1.5)

    async def run() -> None:
        repository = await open_repository(repo)
        async with repository._worktrees._checkouts.turn:
            tree = await repository.add_worktree(dataclasses.replace(spec_for("w01"), first=("src/**",), asks=True))
            await asyncio.sleep(2)
        await asyncio.sleep(0.1)
        assert not (tree.path / AWAY).exists()
        await repository.completed(tree.path)
        assert (tree.path / AWAY).exists()

    asyncio.run(run())


def _wait_until_gone(path: Path) -> None:
    while path.exists():
        time.sleep(0.02)
