"""Connections to the model server: pooled, streamed, and only to addresses that were checked (LLM-7).

The check is made where the connection is opened, so that a redirect, a changed map or a second, different answer of a
name server cannot bypass it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore

from aegis_tui.domain.endpoint import check_endpoint
from aegis_tui.domain.prompt import inert
from aegis_tui.errors import ModelUnavailable
from aegis_tui.gateway.encoding import unpacked
from aegis_tui.sdk.resolve import resolve

Headers = Sequence[tuple[bytes, bytes]]

_CONNECT_TIMEOUT_S = 5.0
_WRITE_TIMEOUT_S = 60.0
_POOL_TIMEOUT_S = 30.0
_KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which uvicorn, and so vLLM, closes an idle connection."""
_REASON_CHARS = 300
SMALL_BYTES = 4 << 20
"""Far more than any list of models or page of metrics needs; the gateway's own clients accept as much."""
_BYTES = re.compile(r"bytearray\(b('.*'|\".*\")\)", re.DOTALL)
"""How h11 shows received bytes that are not HTTP."""
_HUNG_UP = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host once per connection, checks all its addresses, and connects to one of them."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address that answers.

        Raises:
            Refused: An address is outside the allowed network, or the name is public and not in the hosts file
                (`boundary.endpoint`).
            ModelUnavailable: The name is unknown, or the resolver took too long.
            httpcore.ConnectError: No address answers; the last one refused the connection.
            httpcore.ConnectTimeout: No address answers; the last one did not answer in time.
        """
        addresses = await resolve(host)
        check_endpoint(host, addresses)
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raise `httpcore.ConnectError` always: no endpoint is a unix socket."""
        raise httpcore.ConnectError(f"{path} is a unix socket")

    async def sleep(self, seconds: float) -> None:
        """Wait, for httpcore's own retries."""
        await self._inner.sleep(seconds)


@dataclass(frozen=True)
class UpstreamAnswer:
    """An answer whose headers have been received and whose body is still arriving."""

    base_url: str
    status: int
    headers: Headers
    _response: httpcore.Response

    def header(self, name: bytes) -> bytes:
        """Return the value of the first header with this lower-case name; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), b"")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, in the network's parts, decompressed; call it once, in the block of `open`.

        Raises:
            ModelUnavailable: The server disconnected before the end, or sent nothing for too long.
            ModelMalformed: The encoding is unknown or invalid.
        """
        with _as_unavailable(self.base_url, "stopped in the middle of an answer"):
            body = unpacked(self._response.aiter_stream(), self.header(b"content-encoding"), self.base_url)
            async for chunk in body:
                yield chunk

    async def whole(self) -> bytes:
        """Return a whole small body: a list of models, a page of metrics.

        Raises:
            ModelUnavailable: The server disconnected before the end, or the body is larger than `SMALL_BYTES` (4 MiB).
            ModelMalformed: The encoding is unknown or invalid.
        """
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > SMALL_BYTES:
                what = f"{self.base_url} sent too long an answer: more than {SMALL_BYTES >> 20} MiB"
                raise ModelUnavailable(what, "Check it with: aegis-tui doctor")
        return bytes(body)


class Upstream:
    """Connection pools: one for plain HTTP, one for TLS; each is created when it is first needed.

    Args:
        idle_timeout_s: How long the server may send nothing, before the first byte or between two.
    """

    def __init__(self, *, idle_timeout_s: float = 300.0) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._pools: dict[bool, httpcore.AsyncConnectionPool] = {}

    @asynccontextmanager
    async def open(
        self,
        method: str,
        base_url: str,
        url: str,
        *,
        headers: Headers = (),
        body: bytes = b"",
        timeout_s: float | None = None,
    ) -> AsyncIterator[UpstreamAnswer]:
        """Send a request and yield the answer once its headers are here; leaving the block early cancels the call.

        An answer with an error status is yielded too. Its body can be read only within the block, and once.

        A server may close an idle connection at the moment when a request is sent on it; such a request is sent again
        on another connection (RFC 9112, 9.3.1; this is allowed because a model call changes nothing on the server).

        Args:
            method: `GET` or `POST`.
            base_url: The endpoint's base URL, for messages.
            url: The full URL.
            headers: Sent unchanged, in addition to host and length.
            body: The request body.
            timeout_s: Replaces the idle timeout, in seconds.

        Raises:
            ModelUnavailable: The server does not answer, or its name is unknown.
            Refused: An address is outside the allowed network, or the name is public and not in the hosts file
                (`boundary.endpoint`).
        """
        timeouts = {
            "connect": min(_CONNECT_TIMEOUT_S, timeout_s or _CONNECT_TIMEOUT_S),
            "read": timeout_s or self._idle_timeout_s,
            "write": _WRITE_TIMEOUT_S,
            "pool": _POOL_TIMEOUT_S,
        }
        request = httpcore.Request(
            method, url, headers=_with_host(url, headers, body), content=body, extensions={"timeout": timeouts}
        )
        with _as_unavailable(base_url, "does not answer"):
            response = await self._send(request)
        try:
            yield UpstreamAnswer(base_url, response.status, response.headers, response)
        finally:
            await response.aclose()

    async def _send(self, request: httpcore.Request) -> httpcore.Response:
        while True:
            connected = False

            async def trace(event: str, _: dict[str, Any]) -> None:
                nonlocal connected
                connected = connected or event.startswith("connection.connect_tcp")

            request.extensions["trace"] = trace
            try:
                return await self._pool(request).handle_async_request(request)
            except _HUNG_UP:
                if connected:
                    raise

    def _pool(self, request: httpcore.Request) -> httpcore.AsyncConnectionPool:
        """Return the pool for a request. Without TLS no certificates are loaded, which would take 60 ms."""
        has_tls = request.url.scheme != b"http"
        if has_tls not in self._pools:
            self._pools[has_tls] = httpcore.AsyncConnectionPool(
                ssl_context=ssl.create_default_context() if has_tls else None,
                max_connections=None,
                max_keepalive_connections=64,
                keepalive_expiry=_KEEPALIVE_S,
                network_backend=PinnedBackend(),
            )
        return self._pools[has_tls]

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()


def _with_host(url: str, headers: Headers, body: bytes) -> list[tuple[bytes, bytes]]:
    host = url.split("/", 3)[2].encode("ascii")
    length = [(b"Content-Length", str(len(body)).encode())] if body else []
    return [(b"Host", host), *headers, *length]


@contextmanager
def _as_unavailable(base_url: str, what: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        reason = inert(_BYTES.sub(r"\1", str(error)))[:_REASON_CHARS] or type(error).__name__
        hint = "aegis-tui doctor"
        raise ModelUnavailable(f"the model server at {base_url} {what} ({reason})", hint=hint) from error
