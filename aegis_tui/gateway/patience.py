"""Limits the time and number of connections that do not belong to a call (SEC-3).

That is a connection whose token is not known yet, or whose call has been answered. An agent that opens many, sends
slowly or does not read answers loses its own oldest connections and cannot use up the descriptors that calls need.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from aegis_tui.sdk.strangers import Strangers

PATIENCE_S = 75.0
"""How long such a connection is kept, in seconds: longer than a body may take, so that a slow client gets its 408."""
MOST_STRANGERS = 512
SETTLE = "aegis.settle"
"""Key in the ASGI scope of a function to call once the request is known to come from a valid caller."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP protocol, extended to close connections that do not belong to a call for too long."""

    fresh: Strangers
    """Connections without a valid token so far."""
    idle: Strangers
    """Connections whose request was answered; counted separately, so that they do not evict new connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Accept a connection, which is aborted unless a valid caller's request comes in 75 s; called by uvicorn."""
        super().connection_made(transport)
        self.fresh.wait_for(transport, PATIENCE_S)

    def handle_events(self) -> None:
        """Handle received data; if a request begins, put the function `SETTLE` into its scope; called by uvicorn."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not None and self.cycle is not before:
            cast(dict[str, Any], self.cycle.scope)[SETTLE] = self._settle

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, after 75 s without which the connection is aborted; called by uvicorn."""
        self._settle()
        if not self.transport.is_closing():
            self.idle.wait_for(self.transport, PATIENCE_S)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for a connection that was closed; called by uvicorn."""
        self._settle()
        super().connection_lost(exc)

    def _settle(self) -> None:
        self.fresh.settle(self.transport)
        self.idle.settle(self.transport)


def protocol(most_fresh: int, most_idle: int) -> type[PatientProtocol]:
    """Return the HTTP protocol class of one server.

    Its limits hold for all TCP connections of the server together, and separately for all over unix sockets. One
    connection above a limit aborts the oldest of its kind.

    Args:
        most_fresh: How many connections without a valid token may wait.
        most_idle: How many connections whose request was answered may wait for the next one.
    """

    class Served(PatientProtocol):
        fresh = Strangers(most_fresh)
        idle = Strangers(most_idle)

    return Served
