"""Connections to model servers, kept per server for the next call, and only to addresses that were checked (LLM-7).

The check is made where the connection is opened, so that a changed map or a second, different answer of a name server
cannot bypass it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import partial
from typing import NamedTuple

from aegis_tui.domain.endpoint import check_endpoint
from aegis_tui.gateway.upstream_answer import Broken
from aegis_tui.gateway.upstream_connection import UpstreamConnection
from aegis_tui.sdk.resolve import resolve

_KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which uvicorn, and so vLLM, closes an idle connection."""
_MOST_IDLE = 64


class ServerPlace(NamedTuple):
    """Where a model server listens."""

    host: str
    """A name or an address, without brackets."""
    port: int
    has_tls: bool


class UpstreamPool:
    """Connects to model servers, and keeps connections that are not in use for 4 s, at most 64 for each server."""

    def __init__(self) -> None:
        self._idle: dict[ServerPlace, dict[UpstreamConnection, float]] = {}
        self._open: set[UpstreamConnection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLContext | None = None

    def take(self, place: ServerPlace) -> UpstreamConnection | None:
        """Return an open connection to that server that is not in use, the one used last; None if there is none.

        It is the caller's from now on; it comes back when its call has ended.
        """
        idle = self._idle.get(place)
        while idle:
            connection, _ = idle.popitem()
            if not connection.is_closing:
                return connection
        return None

    async def connect(self, place: ServerPlace, timeout_s: float) -> UpstreamConnection:
        """Return a new connection to the first checked address that answers.

        Args:
            place: The model server.
            timeout_s: How long each address may take to answer, in seconds.

        Raises:
            Refused: An address is outside the allowed network, the name has no address, or it is public and not in the
                hosts file (`boundary.endpoint`).
            ModelUnavailable: The name is unknown, or the resolver took too long.
            Broken: No address answers.
        """
        addresses = await resolve(place.host)
        check_endpoint(place.host, addresses)
        problem = "it has no address"
        for address in addresses:
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._connect(place, address)
            except TimeoutError:
                problem = f"{address} did not answer within {timeout_s:g} s"
            except OSError as error:  # also an error of TLS
                problem = _words(error)
        raise Broken(problem)

    async def _connect(self, place: ServerPlace, address: str) -> UpstreamConnection:
        free, lost = partial(self._keep, place), partial(self._forget, place)
        tls = self._context() if place.has_tls else None
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UpstreamConnection(free, lost),
            address,
            place.port,
            ssl=tls,
            server_hostname=place.host if tls else None,
        )
        self._open.add(connection)
        return connection

    def close(self) -> None:
        """Close all connections; calls that are under way are cut off."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._open):
            connection.close()

    def _context(self) -> ssl.SSLContext:
        """Return the settings of TLS, with the system's certificates; the same object each time.

        They are made when they are first needed, because loading certificates takes 60 ms.
        """
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _keep(self, place: ServerPlace, connection: UpstreamConnection) -> None:
        idle = self._idle.setdefault(place, {})
        if len(idle) >= _MOST_IDLE:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        idle[connection] = loop.time() + _KEEPALIVE_S
        if self._sweep is None:
            self._sweep = loop.call_later(_KEEPALIVE_S, self._close_old)

    def _forget(self, place: ServerPlace, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        if idle := self._idle.get(place):
            idle.pop(connection, None)

    def _close_old(self) -> None:
        """Close the connections that were idle for 4 s, and set the timer for the next one that will have been."""
        loop = asyncio.get_running_loop()
        now, due = loop.time(), []
        for place, idle in tuple(self._idle.items()):
            for connection, ends_at in tuple(idle.items()):
                if ends_at > now:
                    due.append(ends_at)
                    break
                del idle[connection]
                connection.close()
            if not idle:
                del self._idle[place]
        self._sweep = loop.call_at(min(due), self._close_old) if due else None


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    return os.strerror(error.errno) if error.errno else str(error)
