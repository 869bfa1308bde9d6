"""The hub as the interface sees it: batches of events in, commands out, and whether it answers at all.

Nothing here touches a widget. Everything that may block runs in a thread or in the SDK's own tasks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from aegis_tui.domain.event import Event, event_from_wire
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.errors import AegisError, StoreError, UsageError
from aegis_tui.ports.hub_link import HubEvent
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths, ensure_hub, find_hub
from aegis_tui.sdk.quick import open_connection

BATCH_S = 0.1
"""Shortest time between two batches: at most 10 a second."""

MAX_BATCH = 500
PROBE_S = 1.0
PROBE_DEADLINE_S = 2.0
COMMAND_S = 20.0
_GATEWAY_DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in log order."""

    events: list[Event]


@dataclass(frozen=True, slots=True)
class Connection:
    """The hub answers, or does not."""

    is_up: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The log is another one than before: forget everything, the events follow from the first."""


FeedItem = Batch | Connection | Reset


class Hub(Protocol):
    """What the interface needs of a hub."""

    def follow(self) -> AsyncIterator[FeedItem]:
        """Everything from the first event on, for ever, over the hub's absence. Must-deliver."""
        ...

    async def command(self, command_type: str, **fields: Any) -> dict[str, Any]:
        """Send one command of contract 5; raises the hub's refusal."""
        ...

    async def start(self) -> None:
        """Make a hub run; does nothing when one does."""
        ...

    async def has_crashed(self) -> bool:
        """True when a hub ended without putting its things away; one that was told to stop has not."""
        ...

    async def meters(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Meters of the model server and usage by agent id; None and nothing when there is no gateway."""
        ...

    async def close(self) -> None:
        """End streams; the hub goes on."""
        ...


class LiveHub:
    """The hub process of a workspace, wherever it is and however often it is started anew."""

    def __init__(self, paths: WorkspacePaths, root: Path) -> None:
        self._paths, self._root = paths, root
        self._client = EnsembleClient.for_workspace(paths, offline_s=COMMAND_S)
        self._seq = 0

    async def follow(self) -> AsyncGenerator[FeedItem, None]:
        """As `Hub.follow`."""
        queue: asyncio.Queue[FeedItem | Event] = asyncio.Queue()
        tasks = [asyncio.create_task(self._read(queue)), asyncio.create_task(self._probe(queue))]
        try:
            while True:
                for item in await _collect(queue):
                    yield item
                await asyncio.sleep(BATCH_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, queue: asyncio.Queue[FeedItem | Event]) -> None:
        while True:
            try:
                async with aclosing(self._client.events(after=self._seq)) as stream:
                    async for item in stream:
                        if item.type == "context:sync":
                            break
                        if (event := read_event(item)) is not None:
                            self._seq = event.seq
                            queue.put_nowait(event)
            except UsageError:
                self._seq = 0
                queue.put_nowait(Reset())
            except AegisError:
                await asyncio.sleep(PROBE_S)

    async def _probe(self, queue: asyncio.Queue[FeedItem | Event]) -> None:
        was_up: bool | None = None
        while True:
            is_up = False
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_DEADLINE_S):
                    is_up = await asyncio.to_thread(find_hub, self._paths) is not None
            if is_up is not was_up:
                was_up = is_up
                queue.put_nowait(Connection(is_up))
            await asyncio.sleep(PROBE_S)

    async def command(self, command_type: str, **fields: Any) -> dict[str, Any]:
        """As `Hub.command`."""
        return await self._client.command(command_type, timeout_s=COMMAND_S, **fields)

    async def start(self) -> None:
        """As `Hub.start`."""
        await asyncio.to_thread(ensure_hub, self._paths, self._root)

    async def has_crashed(self) -> bool:
        """As `Hub.has_crashed`."""
        return await asyncio.to_thread(self._paths.hub_json.exists)

    async def meters(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """As `Hub.meters`."""
        return await asyncio.to_thread(self._read_meters)

    def _read_meters(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        socket = self._paths.gateway_socket
        if not socket.exists() or (address := find_hub(self._paths)) is None:
            return None, {}
        try:
            metrics = _get(socket, "/v1/meters", address.token)["metrics"]
            return metrics, _get(socket, "/v1/usage", address.token)["agents"]
        except (OSError, HTTPException, ValueError, KeyError, TypeError):
            return None, {}

    async def close(self) -> None:
        """As `Hub.close`."""
        await self._client.close()


def _get(socket: Path, target: str, token: str) -> dict[str, Any]:
    connection = open_connection(f"unix:{socket}", _GATEWAY_DEADLINE_S)
    try:
        connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
        reply: dict[str, Any] = json.loads(connection.getresponse().read())
        return reply
    finally:
        connection.close()


async def _collect(queue: asyncio.Queue[FeedItem | Event]) -> list[FeedItem]:
    """What the queue holds, at least one item, with neighbouring events as one batch."""
    found: list[FeedItem] = []
    item: FeedItem | Event | None = await queue.get()
    events: list[Event] = []
    while item is not None:
        if isinstance(item, Event):
            events.append(item)
        else:
            if events:
                found.append(Batch(events))
            events = []
            found.append(item)
        full = len(events) >= MAX_BATCH
        item = None if full or queue.empty() else queue.get_nowait()
    return [*found, Batch(events)] if events else found


def read_event(item: HubEvent) -> Event | None:
    """The core's event; None for what is not logged, and for a type that only a newer program knows."""
    if item.seq == 0:
        return None
    return parse_event(
        {
            "v": SCHEMA_VERSION,
            "seq": item.seq,
            "type": item.type,
            "agent_id": item.agent_id,
            "timestamp": item.timestamp,
            "data": item.data,
        }
    )


def parse_event(envelope: Mapping[str, Any]) -> Event | None:
    """As `event_from_wire`, for what the hub tells clients: without the hashes of tokens."""
    data = dict(envelope["data"])
    if envelope["type"] == "instance:prepared":
        data.setdefault("token_hash", "")
    try:
        return event_from_wire({**envelope, "data": data})
    except StoreError:
        return None
