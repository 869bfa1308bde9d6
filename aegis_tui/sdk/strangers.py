"""Connections that a server waits for: each has its time, and one too many ends the oldest (HUB-9, SEC-3)."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterable
from contextlib import suppress

WANTED_DESCRIPTORS = (1 << 16, 10_240, 4_096)
ACCEPTED_AT_ONCE = 4
"""How many new connections of a listener asyncio may take in one pass of its loop: its `backlog`.

A request that came together with its connection is read a few passes later. Were a whole queue taken at once, those
behind it would push it out before that, and use up the descriptors of the process on the way.
"""
QUEUED = 2048
"""How many connections the system keeps for a listener until they are taken; it may allow fewer."""


def raise_descriptor_limit() -> int:
    """Take as many descriptors as the system gives without asking, up to 65,536; returns how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in WANTED_DESCRIPTORS:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft == resource.RLIM_INFINITY or soft >= allowed:
            break
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    return WANTED_DESCRIPTORS[0] if soft == resource.RLIM_INFINITY else soft


def queue_deeply(listeners: Iterable[socket.socket]) -> None:
    """Let the system queue more than asyncio takes at once: asyncio has one number for both, and has set it."""
    for listener in listeners:
        listener.listen(QUEUED)


def door_of(transport: asyncio.Transport) -> str:
    """Each door has its own places: any user reaches the TCP port, and every agent the unix socket."""
    return "unix" if transport.get_extra_info("socket").family == socket.AF_UNIX else "tcp"


class Strangers:
    """Connections that a server waits for.

    Args:
        most: How many of one door may wait at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        self._by_door: dict[str, dict[asyncio.Transport, None]] = {}

    def wait_for(self, transport: asyncio.Transport, patience_s: float) -> None:
        """The server waits for this connection from now on, unless it does already."""
        if transport in self._timers:
            return
        self._timers[transport] = asyncio.get_running_loop().call_later(patience_s, self._end, transport)
        waiting = self._by_door.setdefault(door_of(transport), {})
        waiting[transport] = None
        if len(waiting) > self._most:
            self._end(next(iter(waiting)))

    def settle(self, transport: asyncio.Transport) -> None:
        """The server has what it waited for, or the connection is gone."""
        for waiting in self._by_door.values():
            waiting.pop(transport, None)
        if (timer := self._timers.pop(transport, None)) is not None:
            timer.cancel()

    def _end(self, transport: asyncio.Transport) -> None:
        self.settle(transport)
        transport.abort()
