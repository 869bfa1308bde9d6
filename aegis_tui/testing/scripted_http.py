"""A small HTTP server in a running event loop: uvicorn with one handler, which is cancelled if its client leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from aegis_tui.sdk.listener import stop_accepting

MAX_BODY_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class HttpRequest:
    """A request with its whole body."""

    method: str
    path: str
    headers: dict[str, str]
    """Lower-case name -> value; of several headers with the same name, the last."""
    body: bytes
    query: str = ""
    """The query without its question mark, percent-encoded."""


@dataclass(frozen=True)
class HttpReply:
    """A status with a whole body, or with a stream of chunks."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


HttpHandler = Callable[[HttpRequest], Awaitable[HttpReply]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


def json_reply(data: object, status: int = 200) -> HttpReply:
    """Return a reply with this status and the data as its JSON body."""
    return HttpReply(status, json.dumps(data, ensure_ascii=False).encode())


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, whose connections never hold a chunk back until the one before is confirmed.

    Raises:
        OSError: The port is busy.
    """
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it, a stream's chunks wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


class HttpServer:
    """Serves one handler on a loopback port.

    A handler, or the stream that it returned, is cancelled when its client disconnects or the server stops.

    Args:
        handler: Answers each request.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
    """

    def __init__(self, handler: HttpHandler, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._address = (host, port)
        self._server: _EmbeddedServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()

    async def start(self) -> tuple[str, int]:
        """Start listening; return host and port when connections are accepted.

        Raises:
            OSError: The port is busy, or the server ended before it listened.
        """
        listener = open_listener(*self._address)
        host, port = listener.getsockname()[:2]
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        self._server = _EmbeddedServer(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        listening = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait((listening, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            listener.close()
            await self._serving  # raises what ended it
            raise OSError("the server ended before it listened")
        return str(host), int(port)

    async def stop(self) -> None:
        """Cancel running requests, close every connection, and return when the port is free; may be called twice."""
        if self._server is None or self._serving is None:
            return
        for server in self._server.servers:
            await stop_accepting(server)
        self._server.should_exit = True
        for task in tuple(self._work):
            task.cancel()
        await self._serving
        self._server = self._serving = None

    async def _app(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        started: list[bool] = []
        if body is None:
            await _send(send, json_reply({"error": {"message": "body too large", "code": 413}}, 413), started)
            return
        query = scope["query_string"].decode("latin-1")
        request = HttpRequest(scope["method"], scope["path"], headers, body, query)
        work = asyncio.create_task(self._answer(request, send, started))
        self._work.add(work)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(gone)
            await _cancel(work)
            self._work.discard(work)
        if work.cancelled():
            await _finish(send, started)
        else:
            work.result()

    async def _answer(self, request: HttpRequest, send: _Send, started: list[bool]) -> None:
        await _send(send, await self._handler(request), started)


class _EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the program around it and sets `ready` when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _read_body(receive: _Receive) -> bytes | None:
    """Return the whole body, or what arrived before a disconnect; None if it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _disconnected(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: _Send, reply: HttpReply, started: list[bool]) -> None:
    headers = {"content-type": reply.content_type, **reply.headers}
    if isinstance(reply.body, bytes):
        headers["content-length"] = str(len(reply.body))
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    started.append(True)
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs, "trailers": False})
    if isinstance(reply.body, bytes):
        await send({"type": "http.response.body", "body": reply.body, "more_body": False})
        return
    async with contextlib.AsyncExitStack() as stack:
        if (close := getattr(reply.body, "aclose", None)) is not None:
            stack.push_async_callback(close)
        async for chunk in reply.body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _finish(send: _Send, started: list[bool]) -> None:
    """Complete a reply whose handler was cancelled, so that the connection can be closed properly.

    What was begun is ended; otherwise a reply with status 503 is sent.
    """
    if started:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await _send(send, json_reply({"error": {"message": "the server stops", "code": 503}}, 503), started)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
