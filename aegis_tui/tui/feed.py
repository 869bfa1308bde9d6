"""The app's connection to the hub: reads its state and events, sends commands, and notices when it does not answer.

The whole state is read from the hub, and then the events after it. So opening takes the same time however long the log
is, and no past state is shown as the current one (TUI-6). This module touches no widget. Everything that may block
runs in a thread or in the SDK's own tasks.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from aegis_tui.domain.event import Event, event_from_wire
from aegis_tui.domain.wire.answer import Envelope, Health
from aegis_tui.domain.wire.gateway import MetersAnswer, ModelMetrics, UsageAnswer, UsageFields
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, HubUnavailable, StoreError
from aegis_tui.sdk.backoff import Backoff
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.connection import Connection as Stream
from aegis_tui.sdk.connection import Endpoint, open_connection
from aegis_tui.sdk.discovery import WorkspacePaths, ensure_hub, find_hub, is_running
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.sdk.quick import open_connection as open_http
from aegis_tui.sdk.version import version_note
from aegis_tui.tui.fetching import KEPT_EVENTS as KEPT_EVENTS
from aegis_tui.tui.fetching import Fetched, FirstFetch, fetch_state, unknown_form

BATCH_S = 0.1
"""Seconds between two batches: at most 10 a second."""

MAX_BATCH = 500
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
"""Pauses in seconds between two attempts to read the state; each is twice as long as the one before."""

PROBE_S = 1.0
PROBE_DEADLINE_S = 2.0
COMMAND_S = 20.0
_GATEWAY_DEADLINE_S = 2.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EventBatch:
    """An item of the feed: events that follow on those before, in the order of the log."""

    events: list[Event]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """An item of the feed: whether the hub answers now, and what is known of it."""

    is_up: bool
    seq: int = 0
    """Number of the newest event that it had logged when it answered."""
    note: str = ""
    """A message for the person if the hub has another version than this program; else empty."""


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """An item of the feed: the hub's current state, which replaces everything that was known before."""

    workspace: Workspace
    events: tuple[Event, ...] = ()
    """The last events that led to it, oldest first."""


@dataclass(frozen=True, slots=True)
class Stale:
    """An item of the feed: the state is being read again; until the next `HubSnapshot`, it may be out of date."""

    reason: str = ""
    """Why the state cannot be read; empty if the hub simply does not answer."""


Meters = tuple[ModelMetrics | None, dict[str, UsageFields]]
"""Figures of the model server, None if no gateway answers, and agent id -> what the gateway counted for it."""

FeedItem = EventBatch | ConnectionState | HubSnapshot | Stale


class Hub(Protocol):
    """The protocol of what the app needs of a hub: its state and events, commands, and its start."""

    def follow(self) -> AsyncIterator[FeedItem]:
        """Yield the hub's state as a `HubSnapshot`, then all later events, also those after a restart; it never ends.

        No event is left out (must-deliver): if one may have been missed, `Stale` and a new `HubSnapshot` are yielded. A
        `ConnectionState` is yielded at first, and when the hub begins or ceases to answer, or has new events.
        """
        ...

    async def command(self, command_type: str, **fields: Any) -> AnyReply:
        """Send one command of contract 5 and return the reply.

        Raises:
            AegisError: The hub refuses it, or does not answer.
        """
        ...

    async def start(self) -> None:
        """Start a hub, unless one is running; return when it answers.

        Raises:
            AegisError: It does not start.
        """
        ...

    async def has_crashed(self) -> bool:
        """Return whether the last hub ended without cleaning up, as when it was killed; only right while none runs."""
        ...

    async def meters(self) -> Meters:
        """Return the meters of the model server (contract 9), and agent id -> what the gateway counted for it.

        (None, {}) if no gateway answers; nothing is raised.
        """
        ...

    async def close(self) -> None:
        """Close the connection; the hub continues."""
        ...


class LiveHub:
    """A `Hub`: the real one of a workspace, which is found again whenever it is restarted.

    Args:
        paths: The workspace's folders.
        root: The checkout for which `start` starts a hub.
        first: A fetch of the state that was started already; None if there is none.
    """

    def __init__(self, paths: WorkspacePaths, root: Path, *, first: FirstFetch | None = None) -> None:
        self._paths, self._root = paths, root
        self._first = first
        self._client = EnsembleClient.for_workspace(paths, offline_s=COMMAND_S)

    async def follow(self) -> AsyncGenerator[FeedItem, None]:
        """Yield the hub's state as a `HubSnapshot`, then all later events, at most about 10 batches a second, for ever.

        A `ConnectionState` comes first as a rule, and when the hub begins or ceases to answer, or has new events. While
        no hub answers, it waits; nothing is raised.
        """
        queue: asyncio.Queue[FeedItem | Event] = asyncio.Queue()
        tasks = [asyncio.create_task(self._read(queue)), asyncio.create_task(self._probe(queue))]
        try:
            while True:
                items = await _collect(queue)
                for item in items:
                    yield item
                if isinstance(items[-1], EventBatch):  # a person waits for the first snapshot: no pause before it
                    await asyncio.sleep(BATCH_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, queue: asyncio.Queue[FeedItem | Event]) -> None:
        """Put the hub's state and events into `queue` without end; if that fails or stops, `Stale`, and begin again.

        Each time, after a pause of 0.2 s to 2 s, the whole state is read, as events may have been missed meanwhile.
        """
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, is_varied=False)
        while True:
            began = asyncio.get_running_loop().time()
            reason = ""
            try:
                await self._mirror(queue)
            except HubUnavailable:
                pass
            except AegisError as error:
                reason = error.message
            except Exception as error:
                _log.exception("the hub's state cannot be read")
                reason = f"the hub's state cannot be read ({type(error).__name__}): {error}"
            queue.put_nowait(Stale(reason))
            if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _mirror(self, queue: asyncio.Queue[FeedItem | Event]) -> None:
        """Read the state and put it into `queue`, then each event; return when the hub says that events were left out.

        Raises:
            HubUnavailable: No hub runs, it does not answer, or the connection ends.
            StoreError: This version cannot read the state.
            AegisError: The hub refuses the requests.
        """
        fetched = await asyncio.to_thread(self._fetch)
        if fetched is None:
            raise HubUnavailable("no hub is running for this workspace", "aegis-tui hub start")
        workspace, events = await asyncio.to_thread(read_mirror, fetched)
        endpoint = Endpoint(f"unix:{fetched.address.socket}", fetched.address.token)
        stream, newest = await open_connection(endpoint, after=workspace.seq)
        try:
            seq = workspace.seq
            while seq < newest:
                if (frame := await _next_event(stream)) is None:
                    return
                seq = frame["seq"]
                if (event := parse_event(frame)) is not None:
                    workspace.evolve(event)
                    events.append(event)
            queue.put_nowait(HubSnapshot(workspace, tuple(events)))
            while (frame := await _next_event(stream)) is not None:
                if (event := parse_event(frame)) is not None:
                    queue.put_nowait(event)
        finally:
            await stream.close()

    def _fetch(self) -> Fetched | None:
        """Return the state that was fetched at the start, once, if that hub still runs; else fetch it now.

        None if no hub answers. Blocks.

        Raises:
            HubUnavailable: The hub stops answering meanwhile.
            StoreError: This version cannot read its reply.
            AegisError: The hub refuses the request.
        """
        first = self._first.take() if self._first is not None else None
        is_there = first is not None and is_running(first.address.pid, first.address.start_time)
        return first if is_there else fetch_state(self._paths)

    async def _probe(self, queue: asyncio.Queue[FeedItem | Event]) -> None:
        said: ConnectionState | None = None
        known: HubAddress | None = None
        while True:
            now = ConnectionState(False)
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_DEADLINE_S):
                    now, known = await asyncio.to_thread(_look, self._paths, known)
            if now != said:
                said = now
                queue.put_nowait(now)
            await asyncio.sleep(PROBE_S)

    async def command(self, command_type: str, **fields: Any) -> AnyReply:
        """Send one command of contract 5 and return the reply; wait for a hub if none answers at first.

        Raises:
            HubUnavailable: No hub answers within `COMMAND_S` (20 s).
            AegisError: The hub refuses it.
        """
        return await self._client.command(command_type, timeout_s=COMMAND_S, **fields)

    async def start(self) -> None:
        """Start the hub, unless it is running; return when it answers.

        Raises:
            HubUnavailable: It does not start.
        """
        await asyncio.to_thread(ensure_hub, self._paths, self._root)

    async def has_crashed(self) -> bool:
        """Return whether there is a file `hub.json`, which a hub removes at its regular end; right while none runs."""
        return await asyncio.to_thread(self._paths.hub_json.exists)

    async def meters(self) -> Meters:
        """Return meters and usage as `Hub.meters` says; (None, {}) if no hub or no gateway answers."""
        return await asyncio.to_thread(self._read_meters)

    def _read_meters(self) -> Meters:
        socket = self._paths.gateway_socket
        if not socket.exists() or (address := find_hub(self._paths)) is None:
            return None, {}
        try:
            meters = _get(MetersAnswer, socket, "/v1/meters", address.token)
            return meters["metrics"], _get(UsageAnswer, socket, "/v1/usage", address.token)["agents"]
        except (OSError, HTTPException, ValueError, KeyError, TypeError):
            return None, {}

    async def close(self) -> None:
        """Close the connection; the hub continues."""
        await self._client.close()


def _look(paths: WorkspacePaths, known: HubAddress | None) -> tuple[ConnectionState, HubAddress | None]:
    """Return whether the hub of a workspace answers, and its address, or None if no hub is found. Blocks.

    Args:
        paths: The workspace.
        known: The address at which it answered last, which is tried first; None if there is none.
    """
    if known is not None:
        with suppress(AegisError):
            health = HubQuick(known, timeout_s=PROBE_DEADLINE_S).health()
            if health.get("pid") == known.pid:
                return _up(known, health), known
    if (address := find_hub(paths)) is None:
        return ConnectionState(False), None
    with suppress(AegisError):
        return _up(address, HubQuick(address, timeout_s=PROBE_DEADLINE_S).health()), address
    return ConnectionState(False), None


def _up(address: HubAddress, health: Health) -> ConnectionState:
    return ConnectionState(True, int(health.get("seq", 0)), version_note(address.version, address.pid))


def read_mirror(fetched: Fetched) -> tuple[Workspace, list[Event]]:
    """Return the workspace that was fetched as JSON, and the newest events that led to it, oldest first.

    Events of a form that this version does not know are left out.

    Raises:
        StoreError: This version cannot read the state.
    """
    try:
        workspace = Workspace.load(fetched.state)
        seq = workspace.seq
        events = [event for item in fetched.events if item["seq"] <= seq and (event := parse_event(item)) is not None]
    except AegisError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise unknown_form() from error
    return workspace, events


async def _next_event(stream: Stream) -> Envelope | None:
    """Wait for the next logged event and return its JSON, skipping other frames; None if the hub left out events.

    Raises:
        HubUnavailable: The connection has ended.
    """
    while True:
        frame = await stream.receive()
        if frame.get("type") in ("context:sync", "resync"):
            return None
        if frame.get("seq") and "data" in frame and "ok" not in frame:
            return cast(Envelope, frame)


def _get(kind: type[T], socket: Path, target: str, token: str) -> T:
    """Return the gateway's answer to a GET request as the JSON value in it, whatever the status; `kind` is not checked.

    Raises:
        OSError: The gateway cannot be reached, or not in 2 s.
        HTTPException: Its answer is not HTTP.
        ValueError: Its answer is not JSON.
    """
    connection = open_http(f"unix:{socket}", _GATEWAY_DEADLINE_S)
    try:
        connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
        return cast(T, json.loads(connection.getresponse().read()))
    finally:
        connection.close()


async def _collect(queue: asyncio.Queue[FeedItem | Event]) -> list[FeedItem]:
    """Wait for an item of the queue; return all that are there, in order, never none.

    Successive events are joined into an `EventBatch`. At 500 in a row (`MAX_BATCH`) it stops; the rest stays there.
    """
    items: list[FeedItem] = []
    item: FeedItem | Event | None = await queue.get()
    events: list[Event] = []
    while item is not None:
        if isinstance(item, Event):
            events.append(item)
        else:
            if events:
                items.append(EventBatch(events))
            events = []
            items.append(item)
        full = len(events) >= MAX_BATCH
        item = None if full or queue.empty() else queue.get_nowait()
    return [*items, EventBatch(events)] if events else items


def parse_event(envelope: Envelope) -> Event | None:
    """Return the event in a JSON object from the hub; None if this version does not know its type or form.

    Differs from `event_from_wire` in that token hashes may be missing, which the hub does not send to clients.

    Raises:
        KeyError: It has no `type` or `data`.
    """
    data = dict(envelope["data"])
    if envelope["type"] == "instance:prepared":
        data.setdefault("token_hash", "")
    try:
        return event_from_wire({**envelope, "data": data})
    except StoreError:
        return None
