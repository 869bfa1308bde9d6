"""Subscriptions: which events a handler receives, one at a time, and what happens when the hub refuses the stream."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any

from aegis_tui.domain.glob.pattern import Glob, compile_glob
from aegis_tui.errors import AegisError, HubUnavailable, UsageError
from aegis_tui.ports.hub_link import HubEvent
from aegis_tui.sdk.backoff import Backoff
from aegis_tui.sdk.connection import open_connection
from aegis_tui.sdk.locate import Locate
from aegis_tui.sdk.wire import type_fits

LONGEST_PATTERN = 100
"""The longest event type or pattern that the hub accepts, in characters."""

Handler = Callable[[HubEvent], Awaitable[None] | None]
_log = logging.getLogger(__name__)


def check_patterns(types: Sequence[str], paths: Sequence[str] = ()) -> list[Glob]:
    """Check event types and path globs as the hub would, and return the compiled globs of `paths`.

    Raises:
        UsageError: A type is not a string of 1 to 100 characters, or a string was given instead of a list.
        Refused: A glob is not valid.
    """
    if isinstance(types, str) or isinstance(paths, str):
        raise UsageError("types and paths must be lists", 'for example types=["lock:*"]')
    for pattern in types:
        if not isinstance(pattern, str) or not 0 < len(pattern) <= LONGEST_PATTERN:
            raise UsageError(f"{pattern!r:.120} is not an event type", "for example lock:acquired, lock:* or specs.>")
    return [compile_glob(path) for path in paths]


def event_of(frame: dict[str, Any]) -> HubEvent | None:
    """Return the event in a frame; None for a frame that is no event, such as a reply or a `resync` note."""
    if "data" not in frame or "type" not in frame or "ok" in frame:
        return None
    data = frame["data"]
    seq = frame.get("seq") or (data.get("seq", 0) if frame["type"] == "context:sync" else 0)
    return HubEvent(seq, frame["type"], frame.get("agent_id", ""), frame.get("timestamp", ""), data)


async def follow_log(
    locate: Locate,
    backoff: Backoff,
    *,
    closed: asyncio.Event,
    types: Sequence[str],
    after: int | None,
    paths: Sequence[str],
) -> AsyncGenerator[HubEvent, None]:
    """Yield events in `seq` order; connect again when the hub has gone, without gap or duplicate.

    Args:
        locate: Returns the hub's address and token; called for each connection.
        backoff: The pauses between attempts while no hub answers.
        closed: Set when no more events are wanted; the next event is then the last. While none comes, this waits.
        types: Event types or patterns; all events when `types` and `paths` are both empty.
        after: Start after the event with this number; None starts with the events after the stream is opened.
        paths: Globs; events about a matching path are included whatever their type.

    Raises:
        UsageError: A type is not a string of 1 to 100 characters, or `types` or `paths` is no list.
        AegisError: A glob is not valid, or the hub refuses the stream. If no hub answers, this waits and does not fail,
            unless the address can never be a hub's (`HubUnavailable`, code `hub.address`).
    """
    check_patterns(types, paths)
    cursor = after
    wanted = None if not types and not paths else types
    while not closed.is_set():
        try:
            endpoint = await locate()
            connection, newest = await open_connection(endpoint, types=wanted, paths=paths, after=cursor)
        except HubUnavailable as error:
            if error.code != HubUnavailable.code:
                raise
            await asyncio.sleep(backoff.next_s())
            continue
        backoff.reset()
        cursor = newest if cursor is None else cursor
        try:
            with suppress(HubUnavailable):
                while True:
                    event = event_of(await connection.receive())
                    if event is None or 0 < event.seq <= cursor:
                        continue
                    cursor = max(cursor, event.seq)
                    yield event
                    if closed.is_set():
                        return
        finally:
            await connection.close()


class Subscription:
    """A running handler. Call the object to stop it; `error` is why the stream ended by itself, None until then."""

    def __init__(self, handler: Handler, *, types: Sequence[str] = (), paths: Sequence[str] = ()) -> None:
        """Store the handler and the events that it wants: those of a matching type or about a matching path.

        Raises:
            UsageError: A type is not a string of 1 to 100 characters.
            Refused: A glob is not valid.
        """
        self._handler = handler
        self._globs = check_patterns(types, paths)
        self._types = types
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self.error: AegisError | None = None

    def __call__(self) -> None:
        """Stop: the handler receives no more events, and an async handler that is running is cancelled.

        May be called again.
        """
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()

    def begin(self, task: asyncio.Task[None]) -> None:
        """Store the task that runs `follow`; calling the subscription cancels it."""
        self._task = task

    def wants(self, event: HubEvent) -> bool:
        """Return whether an event is wanted: its type fits one of the given types, or its `path` one of the globs.

        One of the two is enough; without types and globs nothing is wanted.
        """
        path = event.data.get("path")
        is_about = isinstance(path, str) and any(glob.matches(path) for glob in self._globs)
        return is_about or any(type_fits(pattern, event.type) for pattern in self._types)

    async def follow(self, events: AsyncGenerator[HubEvent, None]) -> None:
        """Pass each event to the handler until the stream ends.

        If the hub refuses the stream, the error is logged and stored in `error`, not raised.
        """
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    await self.hand(event)
        except AegisError as error:
            self.error = error
            _log.error("a subscription has ended", extra={"aegis_error": f"{error.code}: {error.message}"})

    async def hand(self, event: HubEvent) -> None:
        """Call the handler with an event and wait until it has finished, one event at a time.

        Does nothing once the subscription was stopped. An error of the handler is logged, not raised.
        """
        async with self._turn:
            if self._is_stopped:
                return
            try:
                if inspect.isawaitable(result := self._handler(event)):
                    await result
            except Exception:
                _log.exception("an event handler failed", extra={"aegis_event": event.type})
