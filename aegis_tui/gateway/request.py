"""One HTTP exchange as ASGI gives it, and the checks that come before anything else is looked at.

Source: ASGI HTTP specification 2.4.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from aegis_tui.gateway.dialect import dialect_of, error_body
from aegis_tui.gateway.patience import SETTLE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT_BYTES = 32 * 1024 * 1024
UPSTREAM_HEADER = b"x-aegis-upstream"
"""On every answer that is passed on: the model server's base URL, for messages to a person."""
REFUSED_HEADER = b"x-aegis-refused"
"""On every answer of the gateway's own that refuses: the refusal's code."""
Headers = Sequence[tuple[bytes, bytes]]
_BODY_DEADLINE_S = 60.0


class Rejected(Exception):
    """A request that ends here with a status and an error in its dialect."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint


class Request:
    """One exchange. Header names are lower-case; values are Latin-1 (RFC 9110, 5.5)."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.raw_headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in self.raw_headers}
        server = scope.get("server")
        self.port: int | None = server[1] if server else None
        """The TCP port it came in at; None on the unix socket."""
        self.is_answered = False
        self.is_complete = False
        """All of the answer was handed over: a client that hangs up now has what it asked for."""
        self.settle: Callable[[], None] = scope.get(SETTLE, lambda: None)
        """Says that this exchange is known to be somebody's, and counted as such."""
        self._receive = receive
        self._send = send

    def check_origin(self) -> None:
        """Refuse what a page in a browser sends, and names that a foreign name server pointed here.

        Raises:
            Rejected: 403.
        """
        own = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        origin = self.headers.get("origin")
        if origin is not None and (self.port is None or origin.removeprefix("http://") not in own):
            raise Rejected(403, "origin", "requests from web pages are refused")
        if self.port is not None and self.headers.get("host", "").lower() not in own:
            raise Rejected(403, "host", "this host name is not the gateway's")

    def token(self) -> str:
        """The bearer token or API key; empty when there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        return self.headers.get("x-api-key", "").strip()

    async def body(self, take: Callable[[int], None] = lambda size_bytes: None) -> bytes:
        """The whole body.

        Args:
            take: Told of every part that has come; may refuse it.

        Raises:
            Rejected: 413 over 32 MiB, 408 when it takes too long, 400 when the client went away.
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
        """Return when the client has hung up. Only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of the answer."""
        self.is_answered = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes, *, more: bool) -> None:
        """Send the next bytes; waits when the client reads slowly."""
        self.is_complete = not more
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def reply(
        self, status: int, body: bytes, content_type: bytes = b"application/json", *, headers: Headers = ()
    ) -> None:
        """Send a whole answer."""
        length = str(len(body)).encode()
        await self.start(status, [(b"content-type", content_type), (b"content-length", length), *headers])
        await self.write(body, more=False)

    async def reply_json(self, status: int, value: Any) -> None:
        """Send a JSON answer."""
        await self.reply(status, json.dumps(value).encode())

    async def reject(self, error: Rejected) -> None:
        """Send a refusal in the dialect of the path."""
        body = error_body(dialect_of(self.path), error.status, code=error.code, message=error.message, hint=error.hint)
        await self.reply(error.status, body, headers=[(REFUSED_HEADER, error.code.encode("ascii", "replace"))])
