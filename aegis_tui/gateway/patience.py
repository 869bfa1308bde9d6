"""How long, and how many at once, connections may keep the gateway waiting that are nobody's call (SEC-3).

A connection is nobody's before its token is known and after its answer: an agent that opens many, sends slowly or
leaves answers unread takes the places of its own oldest ones, and not the descriptors that calls need.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from aegis_tui.sdk.strangers import Strangers

PATIENCE_S = 75.0
"""Longer than a body may take, so that a slow one is told so."""
MOST_STRANGERS = 512
SETTLE = "aegis.settle"
"""In the scope of an exchange: called once it is known whose it is."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which ends connections that are nobody's call for too long."""

    fresh: Strangers
    """Have not said yet whose they are."""
    idle: Strangers
    """Have had an answer; apart, so that many answers do not push out who has just come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, and wait for its request."""
        super().connection_made(transport)
        self.fresh.wait_for(transport, PATIENCE_S)

    def handle_events(self) -> None:
        """Read on; the exchange that begins, if one does, may say that it is somebody's."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not None and self.cycle is not before:
            cast(dict[str, Any], self.cycle.scope)[SETTLE] = self._settle

    def on_response_complete(self) -> None:
        """Wait for the next request, as long as for the first."""
        self._settle()
        if not self.transport.is_closing():
            self.idle.wait_for(self.transport, PATIENCE_S)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that is closed: nobody waits for it any more; called by uvicorn."""
        self._settle()
        super().connection_lost(exc)

    def _settle(self) -> None:
        self.fresh.settle(self.transport)
        self.idle.settle(self.transport)


def protocol(most_fresh: int, most_idle: int) -> type[PatientProtocol]:
    """The HTTP protocol of one server, with how many connections of each kind it bears."""

    class Served(PatientProtocol):
        fresh = Strangers(most_fresh)
        idle = Strangers(most_idle)

    return Served
