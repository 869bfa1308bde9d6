"""The feed against a real hub process, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from aegis_tui.sdk.discovery import WorkspacePaths, find_hub, is_running, workspace_key_of, workspace_paths
from aegis_tui.tui.feed import Batch, Connection, FeedItem, LiveHub, Reset, parse_event

BACK_S = 3.0
"""The screen is right again this long after the hub's return."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[WorkspacePaths, Path]]:
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True, timeout=20)
    (tmp_path / "run").mkdir()
    for name, folder in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    paths = workspace_paths(workspace_key_of(root), os.environ)
    yield paths, root
    if address := find_hub(paths):
        os.kill(address.pid, signal.SIGTERM)
        end = time.monotonic() + 10
        while is_running(address.pid, address.start_time) and time.monotonic() < end:
            time.sleep(0.02)


class Watcher:
    """Follows a hub and keeps what came."""

    def __init__(self, hub: LiveHub) -> None:
        self.items: list[FeedItem] = []
        self._hub = hub
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with aclosing(self._hub.follow()) as items:
            async for item in items:
                self.items.append(item)
                self._news.set()

    @property
    def seqs(self) -> list[int]:
        return [event.seq for item in self.items if isinstance(item, Batch) for event in item.events]

    @property
    def is_up(self) -> bool:
        return [item.is_up for item in self.items if isinstance(item, Connection)][-1:] == [True]

    async def until(self, wanted: int, *, is_up: bool = True, within_s: float = 15.0) -> None:
        async with asyncio.timeout(within_s):
            while len(self.seqs) < wanted or self.is_up is not is_up:
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._hub.close()


def test_a_hub_that_is_killed_is_mirrored_again_within_seconds_of_its_return(
    place: tuple[WorkspacePaths, Path],
) -> None:
    paths, root = place

    async def main() -> None:
        hub = LiveHub(paths, root)
        watcher = Watcher(hub)
        await hub.start()
        await hub.command("broadcast", event="note:first", data={})
        await watcher.until(1)
        address = find_hub(paths)
        assert address is not None
        os.kill(address.pid, signal.SIGKILL)
        await watcher.until(1, is_up=False)
        await hub.start()
        returned = time.monotonic()
        await hub.command("broadcast", event="note:second", data={})
        await watcher.until(2)
        assert time.monotonic() - returned < BACK_S
        assert watcher.seqs == [1, 2]
        assert await hub.meters() == (None, {})
        await watcher.close()

    asyncio.run(main())


def test_a_log_that_is_shorter_than_what_was_seen_is_read_anew(place: tuple[WorkspacePaths, Path]) -> None:
    paths, root = place

    async def main() -> None:
        hub = LiveHub(paths, root)
        await hub.start()
        for number in range(3):
            await hub.command("broadcast", event="note:x", data={"number": number})
        watcher = Watcher(hub)
        await watcher.until(3)
        address = find_hub(paths)
        assert address is not None
        os.kill(address.pid, signal.SIGKILL)
        await watcher.until(3, is_up=False)
        for left in paths.log_db.parent.glob("log.*"):
            left.unlink()
        await hub.start()
        await hub.command("broadcast", event="note:new", data={})
        await watcher.until(4)
        assert any(isinstance(item, Reset) for item in watcher.items)
        assert watcher.seqs == [1, 2, 3, 1]
        await watcher.close()

    asyncio.run(main())


def test_an_event_that_only_a_newer_program_knows_is_passed_over() -> None:
    envelope = {"v": 1, "seq": 9, "type": "moon:landed", "agent_id": "hub", "timestamp": "x", "data": {}}
    assert parse_event(envelope) is None
