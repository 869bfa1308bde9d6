"""An agent that fills the disk is ended for that reason; the others go on (SEC-3)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from aegis_tui.adapters import disk
from aegis_tui.adapters.disk import FolderMeter
from aegis_tui.orchestrator.disk_watch import DiskWatch, Watched

MIB = 1024 * 1024


def fill(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\1" * size)


@pytest.mark.boundary(
    layer="limits",
    tried="a worktree that grows endlessly, with many files and with links to the outside",
    refused="the agent is stopped with the reason before the disk is full; link targets are not counted",
)
def test_only_the_agent_over_its_limit_is_ended_and_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where others free as much as is written here, it is this that has the folders counted.
    monkeypatch.setattr(disk, "_COUNT_AGAIN_S", 2.0)
    large, small, outside = tmp_path / "w01", tmp_path / "w02", tmp_path / "outside"
    fill(outside / "big", 8 * MIB)
    fill(small / "a", MIB)
    (small / "link").symlink_to(outside)
    fill(large / "a", MIB)
    ended: dict[str, str] = {}

    async def watch() -> None:
        done = asyncio.Event()

        async def alive() -> list[Watched]:
            return [Watched(path.name, (path, path / "home")) for path in (large, small) if path.name not in ended]

        async def end(name: str, reason: str) -> None:
            ended[name] = reason
            done.set()

        following = asyncio.create_task(DiskWatch(FolderMeter(), 4 * MIB).follow(alive, end))
        await asyncio.sleep(0.7)
        assert ended == {}
        for number in range(9):
            fill(large / "deep" / f"{number}" / "b", MIB // 2)
        async with asyncio.timeout(20):
            await done.wait()
        await asyncio.sleep(0.7)
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following

    asyncio.run(watch())
    assert list(ended) == ["w01"]
    assert ended["w01"].startswith("its worktree holds 5 MiB; 4 MiB are allowed")


def test_a_meter_returns_what_the_folders_hold_together(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "x", 2 * MIB)
    fill(tmp_path / "b" / "y", 2 * MIB)
    folders = (tmp_path / "a", tmp_path / "b", tmp_path / "gone")

    async def measure(limit: int) -> int:
        async with asyncio.timeout(3):
            return await FolderMeter().wait_until_over(folders, limit)

    assert 4 * MIB <= asyncio.run(measure(3 * MIB)) < 5 * MIB
    with pytest.raises(TimeoutError):
        asyncio.run(measure(5 * MIB))


@pytest.mark.boundary(
    layer="limits",
    tried="hundreds of thousands of empty files, in the worktree or in the copies of git's folders",
    refused="each file counts as 4 KiB at least: the agent is stopped before the disk has no room for another file",
)
def test_a_name_takes_room_though_its_file_is_empty(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).touch()

    async def measure() -> int:
        async with asyncio.timeout(20):
            return await FolderMeter().wait_until_over([tmp_path], MIB)

    assert asyncio.run(measure()) >= 300 * 4096
