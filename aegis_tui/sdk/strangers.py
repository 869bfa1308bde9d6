"""Connections that have not sent what the server needs yet: with a deadline and a limit (HUB-9, SEC-3)."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterable
from contextlib import suppress

WANTED_DESCRIPTORS = (1 << 16, 10_240, 4_096)
ACCEPTED_AT_ONCE = 4
"""How many new connections of a listener asyncio may accept in one pass of its loop: its `backlog`.

A request that was sent right after its connection is read a few passes later. If the whole queue were accepted at once,
the later connections would evict this one before that, and use up the descriptors of the process.
"""
QUEUED = 2048
"""How many connections the system queues for a listener until they are accepted; the system may allow fewer."""


def raise_descriptor_limit() -> int:
    """Raise the limit of open files as far as the system permits, to 65,536 at most; return it, 65,536 if unlimited."""
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
    """Let the system queue `QUEUED` connections: asyncio uses its `backlog` for this too, which is small here."""
    for listener in listeners:
        listener.listen(QUEUED)


def door_of(transport: asyncio.Transport) -> str:
    """Return `unix` or `tcp`: the kind of socket that a connection came over.

    Each kind has its own limit: any user can reach the TCP port, every agent the unix socket.
    """
    return "unix" if transport.get_extra_info("socket").family == socket.AF_UNIX else "tcp"


class Strangers:
    """Connections that have not sent what the server needs yet.

    Args:
        most: How many may wait at once, per kind of socket; one more aborts the oldest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        self._by_door: dict[str, dict[asyncio.Transport, None]] = {}

    def wait_for(self, transport: asyncio.Transport, patience_s: float) -> None:
        """Start to wait for this connection, and abort it after `patience_s` seconds unless `settle` is called before.

        If more than `most` of its kind then wait, the oldest is aborted. No effect if it waits already.
        """
        if transport in self._timers:
            return
        self._timers[transport] = asyncio.get_running_loop().call_later(patience_s, self._end, transport)
        waiting = self._by_door.setdefault(door_of(transport), {})
        waiting[transport] = None
        if len(waiting) > self._most:
            self._end(next(iter(waiting)))

    def settle(self, transport: asyncio.Transport) -> None:
        """End the wait for a connection: it has sent what the server needs, or is closed.

        No effect if it is not waited for.
        """
        for waiting in self._by_door.values():
            waiting.pop(transport, None)
        if (timer := self._timers.pop(transport, None)) is not None:
            timer.cancel()

    def _end(self, transport: asyncio.Transport) -> None:
        self.settle(transport)
        transport.abort()
