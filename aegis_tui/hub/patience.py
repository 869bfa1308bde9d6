"""Limits on connections that have not yet identified themselves: how long they may wait, and how many (HUB-9).

Any user of the machine can open a connection to the loopback port. Each one uses a file descriptor, and the person's
own connections need some too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import h11

from aegis_tui.hub.frames import FrameProtocol
from aegis_tui.hub.peer import PeerProtocol
from aegis_tui.sdk.strangers import Strangers

REQUEST_S = 10.0
"""Seconds for the whole header and body of a request, and for a WebSocket from its request to its accepted hello."""

CLOSE_S = 2.0
"""Seconds for the answer to the hub's own close frame."""

MOST_STRANGERS = 512


class Requests(PeerProtocol):
    """Closes an HTTP connection whose request does not arrive completely in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start to wait for the first request of a new connection; called by uvicorn."""
        super().connection_made(transport)
        self.strangers.wait_for(transport, REQUEST_S)

    def data_received(self, data: bytes) -> None:
        """Process input, and wait for the rest of the request if there is more."""
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._note_progress()

    def on_response_complete(self) -> None:
        """Start to wait for the next request on the connection."""
        super().on_response_complete()
        self._note_progress()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for a connection that is closed; called by uvicorn."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)

    def _note_progress(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self.strangers.wait_for(self.transport, REQUEST_S)
        else:
            self.strangers.settle(self.transport)


class Frames(FrameProtocol):
    """Closes a WebSocket that does not identify itself in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the hello of a new WebSocket; called by uvicorn."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_S
        self.strangers.wait_for(self.transport, REQUEST_S)

    def hand_texts_to(self, on_text: Callable[[str], None] | None) -> None:
        """Do as the base class, and stop waiting: a connection with texts to receive has identified itself."""
        if on_text is not None:
            self.strangers.settle(self.transport)
        super().hand_texts_to(on_text)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for a connection that is closed; called by uvicorn."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)


def protocols(of_server: Strangers) -> tuple[type[PeerProtocol], type[FrameProtocol]]:
    """Return the HTTP and WebSocket protocol classes of one server, which share its list of waiting connections."""

    class ServedRequests(Requests):
        strangers = of_server

    class ServedFrames(Frames):
        strangers = of_server

    return ServedRequests, ServedFrames
