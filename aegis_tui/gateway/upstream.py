"""Calls to model servers, on connections of our own that stay open between calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from urllib.parse import urlsplit

from aegis_tui.errors import ModelUnavailable
from aegis_tui.gateway.upstream_answer import Broken, Headers, UpstreamAnswer
from aegis_tui.gateway.upstream_pool import ServerPlace, UpstreamPool

__all__ = ["Headers", "Upstream", "UpstreamAnswer"]

IDLE_TIMEOUT_S = 300.0
"""How long a server may send nothing, before the first byte or between two."""
_CONNECT_TIMEOUT_S = 5.0


class Upstream:
    """Sends requests to model servers."""

    def __init__(self) -> None:
        self._pool = UpstreamPool()

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
            timeout_s: How long the server may send nothing, in seconds; None for `IDLE_TIMEOUT_S`, 5 minutes.
                Connecting takes 5 s for each address at most.

        Raises:
            ModelUnavailable: The server does not answer, or its name is unknown.
            Refused: An address is outside the allowed network, or the name is public and not in the hosts file
                (`boundary.endpoint`).
        """
        try:
            answer = await self._send(method, base_url, url, headers, body, timeout_s)
        except Broken as error:
            what = f"the model server at {base_url} does not answer ({error})"
            raise ModelUnavailable(what, hint="aegis-tui doctor") from error
        try:
            yield answer
        finally:
            answer.release()

    async def _send(
        self, method: str, base_url: str, url: str, headers: Headers, body: bytes, timeout_s: float | None
    ) -> UpstreamAnswer:
        place, host, target = _parts_of(url)
        head = _head(method, target, host, headers, body)
        while True:
            connection = self._pool.take(place)
            if connection is None:
                wait_s = min(_CONNECT_TIMEOUT_S, timeout_s or _CONNECT_TIMEOUT_S)
                connection = await self._pool.connect(place, wait_s)
            answer = connection.ask(base_url, head, body, idle_timeout_s=timeout_s or IDLE_TIMEOUT_S)
            try:
                await answer.begun()
            except Broken:
                if connection.is_fresh or connection.has_heard:
                    raise
            except BaseException:
                answer.release()
                raise
            else:
                return answer

    def close(self) -> None:
        """Close all connections; calls that are under way are cut off: their readers get `ModelUnavailable`."""
        self._pool.close()


@lru_cache(maxsize=64)
def _parts_of(url: str) -> tuple[ServerPlace, bytes, bytes]:
    """Return where to connect to for a URL, the value of the header Host, and the target of the request line."""
    parts = urlsplit(url)
    has_tls = parts.scheme == "https"
    place = ServerPlace(parts.hostname or "", parts.port or (443 if has_tls else 80), has_tls)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return place, parts.netloc.encode("latin-1"), target.encode("latin-1")


def _head(method: str, target: bytes, host: bytes, headers: Headers, body: bytes) -> bytes:
    lines = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nHost: ", host]
    for name, value in headers:
        lines += (b"\r\n", name, b": ", value)
    if body or method != "GET":
        lines.append(b"\r\nContent-Length: %d" % len(body))
    lines.append(b"\r\n\r\n")
    return b"".join(lines)
