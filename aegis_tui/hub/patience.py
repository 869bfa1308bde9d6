"""How long, and how many at once, connections may keep the hub waiting that have not said who they are (HUB-9).

Any user of the machine can open a connection to the loopback port, and each one costs a descriptor, of which the
owner's own socket needs some too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import h11

from aegis_tui.hub.frames import FrameProtocol
from aegis_tui.hub.peer import PeerProtocol
from aegis_tui.sdk.strangers import Strangers

REQUEST_S = 10.0
"""For the whole header and body of a request, and for a WebSocket from its request to its accepted hello."""

CLOSE_S = 2.0
"""For the answer to the hub's own close frame."""

MOST_STRANGERS = 512


class Requests(PeerProtocol):
    """Ends a connection whose request does not arrive whole in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, and wait for its request."""
        super().connection_made(transport)
        self.strangers.wait_for(transport, REQUEST_S)

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
        """Forget a connection that is closed: nobody waits for it any more; called by uvicorn."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)

    def _note_progress(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self.strangers.wait_for(self.transport, REQUEST_S)
        else:
            self.strangers.settle(self.transport)


class Frames(FrameProtocol):
    """Ends a WebSocket that does not say who it is in time."""

    strangers: Strangers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over, and wait for its hello."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_S
        self.strangers.wait_for(self.transport, REQUEST_S)

    def hand_texts_to(self, on_text: Callable[[str], None] | None) -> None:
        """As the base class; who gets this far has said who it is."""
        if on_text is not None:
            self.strangers.settle(self.transport)
        super().hand_texts_to(on_text)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that is closed: nobody waits for it any more; called by uvicorn."""
        self.strangers.settle(self.transport)
        super().connection_lost(exc)


def protocols(of_server: Strangers) -> tuple[type[PeerProtocol], type[FrameProtocol]]:
    """The HTTP and the WebSocket protocol of one server, which wait for strangers no longer than they must."""

    class ServedRequests(Requests):
        strangers = of_server

    class ServedFrames(Frames):
        strangers = of_server

    return ServedRequests, ServedFrames
