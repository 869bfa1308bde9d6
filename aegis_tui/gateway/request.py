"""One HTTP exchange with a client: the request, the checks that come before everything else, and the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote_plus

from aegis_tui.gateway.dialect import dialect_of, error_body
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.request_body import RequestBody

Headers = Sequence[tuple[bytes, bytes]]

UPSTREAM_HEADER = b"x-aegis-upstream"
"""Header of every answer that is passed on: the model server's base URL, for messages to a person."""
REFUSED_HEADER = b"x-aegis-refused"
"""Header of every refusal by the gateway itself: the refusal's code."""
_KEY_HEADERS = ("x-api-key", "x-goog-api-key")
_KEY_PARAMETER = "key"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_END = b"0\r\n\r\n"
_NO_BODY = frozenset({204, 304})


class Client(Protocol):
    """The connection that a request came on."""

    port: int | None
    """The TCP port that received it; None for the unix socket."""
    is_full: bool
    """Whether the client takes less than is sent."""

    def send(self, data: bytes) -> None:
        """Send bytes as soon as the client takes them; returns at once."""
        ...

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent, or has disconnected."""
        ...

    def settle(self) -> None:
        """End the time limit of a connection without a known caller: this one belongs to a call from now on."""
        ...

    def finish(self, request: Request) -> None:
        """Take note that the whole answer was sent: the next request is served, or the connection is closed."""
        ...


class Request:
    """One exchange: request and answer. Header names are lower-case; values are Latin-1 (RFC 9110, 5.5).

    Args:
        client: The connection.
        method: As in the request line.
        target: The path with the query, as in the request line.
        headers: Lower-case names and values.
        body: The body, of which parts may still be to come.
        is_old: The client speaks HTTP/1.0, which has no chunks.
        stays_open: The client expects to use the connection again.
    """

    def __init__(
        self,
        client: Client,
        method: str,
        target: tuple[str, str],
        headers: list[tuple[bytes, bytes]],
        body: RequestBody,
        *,
        is_old: bool = False,
        stays_open: bool = True,
    ) -> None:
        self.method = method
        self.path, self.query = target
        self.raw_headers = headers
        self.headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
        self.port = client.port
        """The TCP port that received it; None for the unix socket."""
        self.is_answered = False
        self.is_complete = False
        """Whether the whole answer was sent; if so, a client that disconnects has what it asked for."""
        self.is_gone = False
        """Whether the client disconnected before the whole answer was sent."""
        self.body_parts = body
        self.stays_open = stays_open and not is_old
        self.hold_back: Callable[[], None] = _nothing
        """Called when the client takes less than is sent."""
        self.go_on: Callable[[], None] = _nothing
        """Called when it has caught up."""
        self._client = client
        self._is_old = is_old
        self._is_chunked = False
        self._is_bodiless = False
        self._is_marked = False
        """Whether the mark of the end of the body was sent."""
        self._head = b""

    def check_origin(self) -> None:
        """Return unless a web page sent the request, or it is for a foreign host name that resolves to this machine.

        A page of the gateway's own address is allowed over TCP. Over the unix socket the host name is not checked.

        Raises:
            Rejected: It is such a request (403).
        """
        own = _own_names(self.port)
        origin = self.headers.get("origin")
        if origin is not None and (self.port is None or origin.removeprefix("http://") not in own):
            raise Rejected(403, "origin", "requests from web pages are refused")
        if self.port is not None and self.headers.get("host", "").lower() not in own:
            raise Rejected(403, "host", "this host name is not the gateway's")

    def token(self) -> str:
        """Return the bearer token, else the API key of x-api-key or x-goog-api-key, else of the parameter `key`.

        Empty if there is none.
        """
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        for name in _KEY_HEADERS:
            if key := self.headers.get(name, "").strip():
                return key
        return next((value for name, value in parse_qsl(self.query) if name == _KEY_PARAMETER), "")

    @property
    def passed_query(self) -> str:
        """The query as a model server may see it: without the parameter `key`, which holds the caller's token.

        May be empty.
        """
        if not self.query:
            return ""
        pairs = self.query.split("&")
        kept = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != _KEY_PARAMETER]
        return self.query if len(kept) == len(pairs) else "&".join(kept)

    def settle(self) -> None:
        """End the time limit for connections without a known caller; call it once the caller is known."""
        self._client.settle()

    async def body(self, take: Callable[[int], None] = lambda size_bytes: None) -> bytes:
        """Read and return the whole body; call it once. A client that waits for permission to send it gets it.

        Args:
            take: Called with the size in bytes of each received part; what it raises ends the reading.

        Raises:
            Rejected: 413: over 32 MiB; 408: it took longer than 60 s; 400: it is not valid HTTP.
            asyncio.CancelledError: The client disconnected before its end.
        """
        body = self.body_parts
        if self.headers.get("expect", "").lower() == "100-continue" and not (body.is_touched or body.is_whole):
            body.check_length()
            self._client.send(_CONTINUE)
        return await body.read(take)

    def start(self, status: int, headers: Headers) -> None:
        """Begin the answer; nothing is sent before the first part of the body, `flush` or `end`.

        Without a `content-length` among the headers, the end of the body is marked (by its last chunk), except for a
        client of HTTP/1.0. If the request's body was not received to its end, the connection is closed after the
        answer.

        Args:
            status: The HTTP status; with 204, 304 or the method HEAD no body is sent.
            headers: Names and values; those for date, chunks and closing are added.
        """
        self.is_answered = True
        self._is_bodiless = self.method == "HEAD" or status in _NO_BODY
        has_length = any(name == b"content-length" for name, _ in headers)
        self._is_chunked = not (has_length or self._is_old or self._is_bodiless)
        lines = [status_line(status), *(b"%b: %b\r\n" % header for header in headers), _date_line(int(time.time()))]
        if self._is_chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not (self.stays_open and self.body_parts.is_whole):
            self.stays_open = False
            lines.append(b"connection: close\r\n")
        self._head = b"".join((*lines, b"\r\n"))

    def flush(self) -> None:
        """Send the status and the headers if they were not sent yet, as they are with the first part of the body."""
        if self._head:
            head, self._head = self._head, b""
            self._client.send(head)

    def send(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Send the next part of the body at once, whether or not the client has taken the last ones.

        Args:
            chunk: The bytes; if they are empty, nothing is sent.
            is_last: Whether `end` will certainly follow with nothing in between: its mark is sent along.
        """
        if self._is_bodiless or self._is_marked or not chunk:
            return
        if self._is_chunked:
            self._is_marked = is_last
            chunk = b"%b%x\r\n%b\r\n%b" % (self._head, len(chunk), chunk, _END if is_last else b"")
        elif self._head:
            chunk = self._head + chunk
        self._head = b""
        self._client.send(chunk)

    def end(self) -> None:
        """End the answer: send what marks its end, and let the connection serve the next request or close."""
        self.is_complete = True
        if self._is_chunked and not self._is_marked:
            self._client.send(self._head + _END)
            self._head = b""
        self.flush()
        self._client.finish(self)

    def press_back(self, hold_back: Callable[[], None], go_on: Callable[[], None]) -> None:
        """Have `hold_back` called whenever the client takes less than is sent, and `go_on` when it has caught up.

        `hold_back` is called at once if that is so already.
        """
        self.hold_back, self.go_on = hold_back, go_on
        if self._client.is_full:
            hold_back()

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent; `CancelledError` if it disconnects meanwhile."""
        await self._client.drained()

    async def write(self, chunk: bytes, *, more: bool) -> None:
        """Send the next bytes of the body; wait while the client reads slowly.

        Args:
            chunk: The bytes; may be empty.
            more: Whether more follow; False ends the answer.

        Raises:
            asyncio.CancelledError: The client disconnected while it was waited for.
        """
        self.send(chunk, is_last=not more)
        if more:
            await self.drained()
        else:
            self.end()

    def reply(
        self, status: int, body: bytes, content_type: bytes = b"application/json", *, headers: Headers = ()
    ) -> None:
        """Send a complete answer, with its length; `headers` are sent in addition to content type and length."""
        self.start(status, [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers])
        self.send(body)
        self.end()

    def reply_json(self, status: int, value: Any) -> None:
        """Send a complete answer with a value as JSON; raises what `json.dumps` does if it is none."""
        self.reply(status, json.dumps(value).encode())

    def reject(self, error: Rejected) -> None:
        """Send a refusal as the whole answer, in the form of the path's API; call it only if no answer has begun."""
        body = error_body(dialect_of(self.path), error.status, code=error.code, message=error.message, hint=error.hint)
        self.reply(error.status, body, headers=[(REFUSED_HEADER, error.code.encode("ascii", "replace"))])


def _nothing() -> None:
    """Do nothing: the default of `press_back`'s two calls, as there is nobody to hold back."""


@lru_cache(maxsize=4)
def _own_names(port: int | None) -> frozenset[str]:
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


@lru_cache(maxsize=64)
def status_line(status: int) -> bytes:
    """Return the first line of an answer, with its line end; without a phrase for an unknown status."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


@lru_cache(maxsize=1)
def _date_line(now_s: int) -> bytes:
    return f"date: {formatdate(now_s, usegmt=True)}\r\n".encode()
