"""The client's side of a WebSocket: text messages over a unix socket or a loopback port (RFC 6455), without TLS.

Every agent starts with it, and a library for all that WebSockets can do takes a tenth of an agent's start (PERF-18).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections import deque
from typing import Final

from aegis_tui.sdk.web_frames import (
    CLOSE,
    LOST,
    NOT_UTF8,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    close_code,
    render_close,
    render_frame,
)

PING_S: Final = 20.0
"""Seconds between two pings, and until one that is not answered ends the connection."""

_NORMAL, _GONE = 1000, 1011
_MOST_WAITING = 16
"""How many received messages wait before no more are read from the server."""
_FEW_WAITING = 4
_MOST_HEAD_BYTES = 64 << 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketLost(ConnectionError):
    """The connection is closed, or could not be opened."""

    def __init__(self, reason: str) -> None:
        """Keep the reason in words."""
        super().__init__(reason)


class ClientConnection(asyncio.Protocol):
    """One connection; `open_web_socket` opens it. Answers pings, and sends some to see whether the server is there."""

    def __init__(self, request: bytes, accept: bytes, *, most_bytes: int) -> None:
        """Prepare a connection that is not open yet.

        Args:
            request: The HTTP request that asks for it.
            accept: The `Sec-WebSocket-Accept` of the answer.
            most_bytes: The longest message that may be received, in bytes.
        """
        loop = asyncio.get_running_loop()
        self.close_code: int | None = None
        """The code with which the server closed the connection; 1006 if it went without one, None while it is open."""
        self.opened: asyncio.Future[None] = loop.create_future()
        """Done when the server has agreed; has a `WebSocketLost` if it has not."""
        self._request, self._accept = request, accept
        self._head = bytearray()
        self._frames = FrameReader(most_bytes)
        self._messages: deque[str | bytes] = deque()
        self._arrived, self._writable, self._ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._pong = asyncio.Event()
        self._writable.set()
        self._is_closing = self._is_over = self._is_paused = False
        self._why = "closed"
        self._keeper: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket; called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake all who wait; called by asyncio."""
        self.close_code = self.close_code or LOST
        if exc is not None:
            self._why = str(exc)
        if not self.opened.done():
            self.opened.set_exception(WebSocketLost("the server hung up"))
        if self._keeper is not None:
            self._keeper.cancel()
        self._ended.set()
        self._give_up()

    def pause_writing(self) -> None:
        """Let `send` wait; called by asyncio when the server does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `send` go on; called by asyncio."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Take in what the server sends; called by asyncio."""
        try:
            if not self.opened.done():
                self._head += data
                head, end, rest = self._head.partition(b"\r\n\r\n")
                if not end and len(head) <= _MOST_HEAD_BYTES:
                    return
                _check_answer(bytes(head), self._accept)
                self.opened.set_result(None)
                self._keeper = asyncio.get_running_loop().create_task(self._keep_alive())
                data = bytes(rest)
            for kind, content in self._frames.feed(data):
                if self.close_code is None:
                    self._take(kind, content)
        except FrameError as error:
            self._end(error.code, str(error))
        except WebSocketLost as error:
            if not self.opened.done():
                self.opened.set_exception(error)
            self._abort()

    def _take(self, kind: int, content: bytes) -> None:
        if kind == PING:
            self._write(render_frame(PONG, content))
        elif kind == PONG:
            self._pong.set()
        elif kind == CLOSE:
            code = close_code(content)
            self._end(_NORMAL if len(content) < 2 else code, f"closed with the code {code}")
            self.close_code = code
        elif not self._is_closing:
            self._messages.append(_text(content) if kind == TEXT else content)
            self._arrived.set()
            if len(self._messages) >= _MOST_WAITING and self._transport is not None:
                self._is_paused = True
                self._transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._is_closing:
            self._transport.write(data)

    def _end(self, code: int, why: str) -> None:
        """Send a close frame, unless one was sent, and hang up once all is sent."""
        self._write(render_close(code))
        self._why = why
        self._give_up()
        if self._transport is not None:
            self._transport.close()

    def _give_up(self) -> None:
        self._is_closing = self._is_over = True
        self._arrived.set()
        self._writable.set()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            if self._is_paused or self._is_closing:
                continue  # an answer could not be read
            self._pong.clear()
            self._write(render_frame(PING, b""))
            try:
                async with asyncio.timeout(PING_S):
                    await self._pong.wait()
            except TimeoutError:
                if not self._is_paused:
                    self._end(_GONE, "the server does not answer")
                    self._abort()

    async def send(self, text: str) -> None:
        """Send a text message; wait while the server does not read.

        Raises:
            WebSocketLost: The connection is closed.
        """
        if self._is_closing:
            raise WebSocketLost(self._why)
        self._write(render_frame(TEXT, text.encode()))
        await self._writable.wait()
        if self._is_over:
            raise WebSocketLost(self._why)

    async def receive(self) -> str | bytes:
        """Return the next message: a text, or the content of a binary one. Waits without a limit.

        Raises:
            WebSocketLost: The connection is closed, and no message is left.
        """
        while not self._messages:
            if self._is_over:
                raise WebSocketLost(self._why)
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if self._is_paused and len(self._messages) <= _FEW_WAITING and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return message

    async def close(self, *, wait_s: float) -> None:
        """Close the connection, and wait for the server to agree, `wait_s` seconds at most; raises nothing."""
        self._write(render_close(_NORMAL))
        self._is_closing = True
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        try:
            async with asyncio.timeout(wait_s):
                await self._ended.wait()
        except TimeoutError:
            pass
        finally:
            self._abort()


async def open_web_socket(
    place: str | tuple[str, int], target: str, *, host: str, open_s: float, most_bytes: int
) -> ClientConnection:
    """Open a WebSocket.

    Args:
        place: The path of a unix socket, or a host and its port.
        target: The path to ask for, as in `/v1/stream`.
        host: The value of the header `Host`.
        open_s: The longest wait for the server, in seconds.
        most_bytes: The longest message that may be received, in bytes; a longer one ends the connection.

    Raises:
        WebSocketLost: The server does not agree.
        OSError: It cannot be reached, or does not answer in time (`TimeoutError`).
    """
    key = base64.b64encode(os.urandom(16))
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    headers = f"Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    request = f"GET {target} HTTP/1.1\r\n{headers}Sec-WebSocket-Key: {key.decode()}\r\n\r\n".encode()
    socket = ClientConnection(request, accept, most_bytes=most_bytes)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(open_s):
            if isinstance(place, str):
                await loop.create_unix_connection(lambda: socket, place)
            else:
                await loop.create_connection(lambda: socket, *place)
            await socket.opened
    except BaseException:
        socket._abort()
        raise
    return socket


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FrameError(NOT_UTF8, "a text that is not UTF-8") from error


def _check_answer(head: bytes, accept: bytes) -> None:
    """Raise `WebSocketLost` unless the head of an HTTP answer agrees to a WebSocket."""
    status, *lines = head.split(b"\r\n")
    if not status.startswith(b"HTTP/1.1 101"):
        raise WebSocketLost(f"the server refused: {status[:100].decode('ascii', 'replace')}")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    tokens = [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]
    if fields.get(b"upgrade", b"").lower() != b"websocket" or b"upgrade" not in tokens:
        raise WebSocketLost("the server did not upgrade the connection")
    if fields.get(b"sec-websocket-accept") != accept or b"sec-websocket-extensions" in fields:
        raise WebSocketLost("the server answered another request")
