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


class RequestTimer(PeerProtocol):
    """Closes an HTTP connection whose request does not arrive completely in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Accept a connection of this user and give it 10 s (`REQUEST_S`) for its first request; called by asyncio.

        A connection of another user is closed.

        Raises:
            OSError: The system does not say who opened it, for example because it is closed already.
        """
        super().connection_made(transport)
        self.strangers.wait_for(transport, REQUEST_S)

    def data_received(self, data: bytes) -> None:
        """Process received bytes; called by asyncio. The time for a request runs on while it is incomplete.

        It ends with the last byte of the request, or when the connection becomes a WebSocket.
        """
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._note_progress()

    def on_response_complete(self) -> None:
        """Give the connection 10 s (`REQUEST_S`) for its next request; called by uvicorn when an answer was sent."""
        super().on_response_complete()
        self._note_progress()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take a closed connection off the list of those that have a time limit; called by asyncio."""
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
        """Give a new WebSocket 10 s (`REQUEST_S`) to identify itself, or else it is closed; called by uvicorn."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_S
        self.strangers.wait_for(self.transport, REQUEST_S)

    def hand_texts_to(self, on_text: Callable[[str], None] | None) -> None:
        """Call `on_text` with each text message, and end the time limit, as the connection has identified itself.

        With None, texts are queued for the application again; the limit does not change.
        """
        if on_text is not None:
            self.strangers.settle(self.transport)
        super().hand_texts_to(on_text)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take a closed connection off the list of those that have a time limit; called by asyncio."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)


def protocols(of_server: Strangers) -> tuple[type[PeerProtocol], type[FrameProtocol]]:
    """Return the HTTP and WebSocket protocol classes of one server, which share its list of waiting connections."""

    class ServedRequests(RequestTimer):
        strangers = of_server

    class ServedFrames(Frames):
        strangers = of_server

    return ServedRequests, ServedFrames
