"""One HTTP exchange over ASGI, and the checks that come before everything else.

Source: ASGI HTTP specification 2.4.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from aegis_tui.gateway.dialect import dialect_of, error_body
from aegis_tui.gateway.patience import SETTLE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT_BYTES = 32 * 1024 * 1024
UPSTREAM_HEADER = b"x-aegis-upstream"
"""Header of every answer that is passed on: the model server's base URL, for messages to a person."""
REFUSED_HEADER = b"x-aegis-refused"
"""Header of every refusal by the gateway itself: the refusal's code."""
Headers = Sequence[tuple[bytes, bytes]]
_BODY_DEADLINE_S = 60.0
_KEY_HEADERS = ("x-api-key", "x-goog-api-key")
_KEY_PARAMETER = "key"


class Rejected(Exception):
    """The gateway refuses a request, with a status and an error in the form of the API that the request uses.

    Args:
        status: The HTTP status.
        code: A stable code, as in `AegisError.code`.
        message: One sentence.
        hint: What to do next; may be empty.
    """

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint


class Request:
    """One exchange: request and answer. Header names are lower-case; values are Latin-1 (RFC 9110, 5.5)."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.raw_headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in self.raw_headers}
        server = scope.get("server")
        self.port: int | None = server[1] if server else None
        """The TCP port that received it; None for the unix socket."""
        self.is_answered = False
        self.is_complete = False
        """Whether the whole answer was sent; if so, a client that disconnects has what it asked for."""
        self.settle: Callable[[], None] = scope.get(SETTLE, lambda: None)
        """Call it once the caller is known: the connection's waiting time ends, as the call is counted from then on."""
        self._receive = receive
        self._send = send

    def check_origin(self) -> None:
        """Refuse requests from web pages, and requests to a foreign host name that resolves to this machine.

        A page of the gateway's own address is allowed over TCP. Over the unix socket the host name is not checked.

        Raises:
            Rejected: It is such a request (403).
        """
        own = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        origin = self.headers.get("origin")
        if origin is not None and (self.port is None or origin.removeprefix("http://") not in own):
            raise Rejected(403, "origin", "requests from web pages are refused")
        if self.port is not None and self.headers.get("host", "").lower() not in own:
            raise Rejected(403, "host", "this host name is not the gateway's")

    def token(self) -> str:
        """Return the bearer token, else the API key of a header or of the parameter `key`; empty if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        for name in _KEY_HEADERS:
            if key := self.headers.get(name, "").strip():
                return key
        return next((value for name, value in parse_qsl(self.query) if name == _KEY_PARAMETER), "")

    @property
    def passed_query(self) -> str:
        """The query as a model server may see it: without the parameter `key`, which holds the caller's token."""
        pairs = self.query.split("&")
        kept = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != _KEY_PARAMETER]
        return self.query if len(kept) == len(pairs) else "&".join(kept)

    async def body(self, take: Callable[[int], None] = lambda size_bytes: None) -> bytes:
        """Read and return the whole body; call it once.

        Args:
            take: Called with the size in bytes of each received part; what it raises ends the reading.

        Raises:
            Rejected: 413: over 32 MiB; 408: it took longer than 60 s; 400: the client disconnected.
        """
        declared = self.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > BODY_LIMIT_BYTES:
            raise Rejected(413, "body.size", "the request body is over 32 MiB")
        try:
            async with asyncio.timeout(_BODY_DEADLINE_S):
                return await self._read_body(take)
        except TimeoutError as error:
            raise Rejected(408, "body.slow", "the request body did not arrive in time") from error

    async def _read_body(self, take: Callable[[int], None]) -> bytes:
        parts: list[bytes] = []
        size_bytes = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Rejected(400, "body.cut", "the request body ended early")
            parts.append(message.get("body", b""))
            take(len(parts[-1]))
            size_bytes += len(parts[-1])
            if size_bytes > BODY_LIMIT_BYTES:
                raise Rejected(413, "body.size", "the request body is over 32 MiB")
            if not message.get("more_body", False):
                return b"".join(parts)

    async def wait_until_gone(self) -> None:
        """Wait until the client has disconnected, without a limit. Call it only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status and headers of the answer; `write` has to follow."""
        self.is_answered = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes, *, more: bool) -> None:
        """Send the next bytes of the body; wait while the client reads slowly.

        Args:
            chunk: The bytes; may be empty.
            more: Whether more follow; False ends the answer.
        """
        self.is_complete = not more
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def reply(
        self, status: int, body: bytes, content_type: bytes = b"application/json", *, headers: Headers = ()
    ) -> None:
        """Send a complete answer, with its length; `headers` are sent in addition to content type and length."""
        length = str(len(body)).encode()
        await self.start(status, [(b"content-type", content_type), (b"content-length", length), *headers])
        await self.write(body, more=False)

    async def reply_json(self, status: int, value: Any) -> None:
        """Send a complete answer with a JSON body."""
        await self.reply(status, json.dumps(value).encode())

    async def reject(self, error: Rejected) -> None:
        """Send a refusal as the whole answer, in the form of the path's API; call it only if no answer has begun."""
        body = error_body(dialect_of(self.path), error.status, code=error.code, message=error.message, hint=error.hint)
        await self.reply(error.status, body, headers=[(REFUSED_HEADER, error.code.encode("ascii", "replace"))])
