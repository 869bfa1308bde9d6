"""The feed against a real hub process, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.event import Event
from aegis_tui.domain.message.events import Broadcast
from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.domain.workspace import Workspace
from aegis_tui.sdk.connection import Connection as Stream
from aegis_tui.sdk.connection import Endpoint, open_connection
from aegis_tui.sdk.discovery import (
    WorkspacePaths,
    create_with_room,
    find_hub,
    is_running,
    workspace_key_of,
    workspace_paths,
)
from aegis_tui.tui import feed
from aegis_tui.tui.feed import ConnectionState, EventBatch, FeedItem, HubSnapshot, LiveHub, Stale, parse_event
from aegis_tui.tui.fetching import Fetched, FirstFetch


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
    """Follows a hub as the store does, and keeps what came."""

    def __init__(self, hub: LiveHub) -> None:
        self.items: list[FeedItem] = []
        self.workspace: Workspace | None = None
        self.is_up = self.is_stale = False
        self._hub = hub
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with aclosing(self._hub.follow()) as items:
            async for item in items:
                self.items.append(item)
                self._take(item)
                self._news.set()

    def _take(self, item: FeedItem) -> None:
        match item:
            case ConnectionState(is_up):
                self.is_up = is_up
            case HubSnapshot(workspace):
                self.workspace, self.is_stale = workspace, False
            case Stale():
                self.is_stale = True
            case EventBatch(events):
                assert self.workspace is not None, "events came before the state"
                for event in events:
                    assert event.seq == self.workspace.seq + 1
                    self.workspace.evolve(event)

    async def until(self, is_so: Callable[[], bool], *, within_s: float = 15.0) -> None:
        async with asyncio.timeout(within_s):
            while not is_so():
                self._news.clear()
                await self._news.wait()

    def has(self, seq: int) -> bool:
        return self.is_up and not self.is_stale and self.workspace is not None and self.workspace.seq == seq

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._hub.close()


def kill(paths: WorkspacePaths) -> None:
    address = find_hub(paths)
    assert address is not None
    os.kill(address.pid, signal.SIGKILL)


def test_a_hub_that_is_killed_is_mirrored_again_after_its_return(
    place: tuple[WorkspacePaths, Path],
) -> None:
    paths, root = place

    async def main() -> None:
        hub = LiveHub(paths, root)
        watcher = Watcher(hub)
        await hub.start()
        await hub.command("broadcast", event="note:first", data={})
        await watcher.until(lambda: watcher.has(1))
        kill(paths)
        await watcher.until(lambda: not watcher.is_up and watcher.is_stale)
        await hub.start()
        await hub.command("broadcast", event="note:second", data={})
        await watcher.until(lambda: watcher.has(2))
        figures, usage = await hub.meters()
        assert not figures and usage == {}
        await watcher.close()

    asyncio.run(main())


def test_the_state_is_there_without_the_pause_that_lies_between_two_batches(
    place: tuple[WorkspacePaths, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, root = place
    monkeypatch.setattr(feed, "BATCH_S", 3600.0)

    async def main() -> None:
        hub = LiveHub(paths, root)
        await hub.start()
        watcher = Watcher(hub)
        await watcher.until(lambda: watcher.has(0))
        await watcher.close()

    asyncio.run(main())


@pytest.mark.parametrize("is_killed", [False, True], ids=["it goes on", "it is killed"])
def test_a_state_that_was_fetched_ahead_is_followed_to_the_present_of_the_hub_that_runs(
    place: tuple[WorkspacePaths, Path], is_killed: bool
) -> None:
    paths, root = place

    async def main() -> None:
        hub = LiveHub(paths, root)
        await hub.start()
        await hub.command("broadcast", event="note:before", data={})
        first = FirstFetch(paths)
        fetched = await asyncio.to_thread(first.take)
        assert fetched is not None and fetched.state["seq"] == 1 and len(fetched.events) == 1
        assert first.take() is None
        for number in range(3):
            await hub.command("broadcast", event="note:after", data={"number": number})
        if is_killed:
            kill(paths)
            await hub.start()
        await hub.close()
        ahead = LiveHub(paths, root, first=Ahead(fetched))
        watcher = Watcher(ahead)
        await watcher.until(lambda: watcher.has(4))
        (snapshot,) = [item for item in watcher.items if isinstance(item, HubSnapshot)]
        assert [event.seq for event in snapshot.events] == [1, 2, 3, 4]
        await watcher.close()

    asyncio.run(main())


class Ahead(FirstFetch):
    """A fetch that ended a while ago."""

    def __init__(self, fetched: Fetched) -> None:
        self._fetched = fetched

    def take(self) -> Fetched | None:
        return self._fetched


def test_where_no_hub_runs_nothing_is_fetched_ahead(place: tuple[WorkspacePaths, Path]) -> None:
    assert FirstFetch(place[0]).take() is None


def test_a_log_that_is_shorter_than_what_was_seen_is_read_anew(place: tuple[WorkspacePaths, Path]) -> None:
    paths, root = place

    async def main() -> None:
        hub = LiveHub(paths, root)
        await hub.start()
        for number in range(3):
            await hub.command("broadcast", event="note:x", data={"number": number})
        watcher = Watcher(hub)
        await watcher.until(lambda: watcher.has(3))
        kill(paths)
        await watcher.until(lambda: not watcher.is_up)
        for left in paths.log_db.parent.glob("log.*"):
            left.unlink()
        await hub.start()
        await hub.command("broadcast", event="note:new", data={})
        await watcher.until(lambda: watcher.has(1))
        await watcher.close()

    asyncio.run(main())


def test_a_long_and_compacted_log_is_current_at_once_by_one_connection(
    place: tuple[WorkspacePaths, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, root = place
    opened: list[int] = []

    async def counted(endpoint: Endpoint, *, after: int) -> tuple[Stream, int]:
        opened.append(after)
        return await open_connection(endpoint, after=after)

    monkeypatch.setattr(feed, "open_connection", counted)

    async def main() -> None:
        await write_long_log(paths, events=4_000, kept=500)
        hub = LiveHub(paths, root)
        await hub.start()
        watcher = Watcher(hub)
        await watcher.until(lambda: watcher.has(4_000))
        first = next(item for item in watcher.items if isinstance(item, HubSnapshot))
        assert [event.seq for event in first.events] == list(range(3_501, 4_001))
        await hub.command("broadcast", event="note:now", data={})
        await watcher.until(lambda: watcher.has(4_001))
        await watcher.close()

    asyncio.run(main())
    assert opened == [4_000]


async def write_long_log(paths: WorkspacePaths, *, events: int, kept: int) -> None:
    """A log of many events of which only the last are there, as a compaction leaves it."""
    create_with_room(paths)
    log = SqliteEventLog(paths.log_db, kept_events=kept)
    await log.open()
    workspace, at = Workspace(), "2026-01-01T00:00:00.000Z"
    some = [Event(seq, "person", at, Broadcast(event="note:x", data={"n": seq})) for seq in range(1, events + 1)]
    await log.append(some, [])
    for event in some:
        workspace.evolve(event)
    await log.save_snapshot(events, workspace.dump())
    await log.close()


def test_an_event_that_only_a_newer_program_knows_is_passed_over() -> None:
    envelope: Envelope = {"v": 1, "seq": 9, "type": "moon:landed", "agent_id": "hub", "timestamp": "x", "data": {}}
    assert parse_event(envelope) is None
