"""How long, and how many at once, connections may keep the hub waiting that have not said who they are (HUB-9).

Any user of the machine can open a connection to the loopback port, and each one costs a descriptor, of which the
owner's own socket needs some too.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Callable
from contextlib import suppress

import h11

from aegis_tui.hub.frames import FrameProtocol
from aegis_tui.hub.peer import PeerProtocol

REQUEST_S = 10.0
"""For the whole header and body of a request, and for a WebSocket from its request to its accepted hello."""

CLOSE_S = 2.0
"""For the answer to the hub's own close frame."""

MOST_STRANGERS = 512
WANTED_DESCRIPTORS = (1 << 16, 10_240, 4_096)


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


class Strangers:
    """Connections that the hub waits for. Each has its time; over TCP one too many ends the oldest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        self._over_tcp: dict[asyncio.Transport, None] = {}

    def wait_for(self, transport: asyncio.Transport) -> None:
        """The hub waits for this connection from now on, unless it does already."""
        if transport in self._timers:
            return
        self._timers[transport] = asyncio.get_running_loop().call_later(REQUEST_S, self._end, transport)
        if transport.get_extra_info("socket").family != socket.AF_UNIX:
            self._over_tcp[transport] = None
            if len(self._over_tcp) > self._most:
                self._end(next(iter(self._over_tcp)))

    def settle(self, transport: asyncio.Transport) -> None:
        """The hub has what it waited for, or the connection is gone."""
        self._over_tcp.pop(transport, None)
        if (timer := self._timers.pop(transport, None)) is not None:
            timer.cancel()

    def _end(self, transport: asyncio.Transport) -> None:
        self.settle(transport)
        transport.abort()


class Requests(PeerProtocol):
    """Ends a connection whose request does not arrive whole in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, and wait for its request."""
        super().connection_made(transport)
        self.strangers.wait_for(transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._note_progress()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._note_progress()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)

    def _note_progress(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self.strangers.wait_for(self.transport)
        else:
            self.strangers.settle(self.transport)


class Frames(FrameProtocol):
    """Ends a WebSocket that does not say who it is in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over, and wait for its hello."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_S
        self.strangers.wait_for(self.transport)

    def hand_texts_to(self, on_text: Callable[[str], None] | None) -> None:
        """As the base class; who gets this far has said who it is."""
        if on_text is not None:
            self.strangers.settle(self.transport)
        super().hand_texts_to(on_text)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)


def protocols(of_server: Strangers) -> tuple[type[PeerProtocol], type[FrameProtocol]]:
    """The HTTP and the WebSocket protocol of one server, which wait for strangers no longer than they must."""

    class ServedRequests(Requests):
        strangers = of_server

    class ServedFrames(Frames):
        strangers = of_server

    return ServedRequests, ServedFrames
