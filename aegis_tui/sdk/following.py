"""Handlers of events: which ones they want, one event at a time, and what becomes of a stream that the hub refuses."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from aegis_tui.domain.glob.pattern import Glob, compile_glob
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.ports.hub_link import HubEvent
from aegis_tui.sdk.wire import type_fits

LONGEST_PATTERN = 100
"""The hub takes no longer event type."""

Handler = Callable[[HubEvent], Awaitable[None] | None]
_log = logging.getLogger(__name__)


def check_patterns(types: Sequence[str], paths: Sequence[str] = ()) -> list[Glob]:
    """The globs of `paths`, once the hub can be expected to take both.

    Raises:
        UsageError: A type is no text of 1 to 100 characters, or one text stands where a list belongs.
        Refused: A glob cannot be used.
    """
    if isinstance(types, str) or isinstance(paths, str):
        raise UsageError("types and paths are lists", 'for example types=["lock:*"]')
    for pattern in types:
        if not isinstance(pattern, str) or not 0 < len(pattern) <= LONGEST_PATTERN:
            raise UsageError(f"{pattern!r:.120} is not an event type", "for example lock:acquired, lock:* or specs.>")
    return [compile_glob(path) for path in paths]


def event_of(frame: dict[str, Any]) -> HubEvent | None:
    """The event in a frame; None for a reply, a `resync` note and the like."""
    if "data" not in frame or "type" not in frame or "ok" in frame:
        return None
    data = frame["data"]
    seq = frame.get("seq") or (data.get("seq", 0) if frame["type"] == "context:sync" else 0)
    return HubEvent(seq, frame["type"], frame.get("agent_id", ""), frame.get("timestamp", ""), data)


class Subscription:
    """A handler at work. Call it to stop; `error` says why it ended by itself, and None while it has not."""

    def __init__(self, handler: Handler, *, types: Sequence[str] = (), paths: Sequence[str] = ()) -> None:
        """Name what the handler wants.

        Raises:
            UsageError: A type is no text of 1 to 100 characters.
            Refused: A glob cannot be used.
        """
        self._handler = handler
        self._globs = check_patterns(types, paths)
        self._types = types
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self.error: AegisError | None = None

    def __call__(self) -> None:
        """Hand over no more events."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()

    def begin(self, task: asyncio.Task[None]) -> None:
        """Know the task that runs `follow`."""
        self._task = task

    def wants(self, event: HubEvent) -> bool:
        """Whether an event that comes by another way than `follow` is for this handler."""
        path = event.data.get("path")
        is_about = isinstance(path, str) and any(glob.matches(path) for glob in self._globs)
        return is_about or any(type_fits(pattern, event.type) for pattern in self._types)

    async def follow(self, events: AsyncGenerator[HubEvent, None]) -> None:
        """Hand each event over; a stream that the hub refuses is logged and kept in `error`."""
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    await self.hand(event)
        except AegisError as error:
            self.error = error
            _log.error("a subscription has ended", extra={"aegis_error": f"{error.code}: {error.message}"})

    async def hand(self, event: HubEvent) -> None:
        """Call the handler, after the events before; one that fails is logged."""
        async with self._turn:
            if self._is_stopped:
                return
            try:
                if inspect.isawaitable(result := self._handler(event)):
                    await result
            except Exception:
                _log.exception("an event handler failed", extra={"aegis_event": event.type})
