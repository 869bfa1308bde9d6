"""The clients' side of the gateway: HTTP/1.1 on one connection, one exchange after the other, parsed by llhttp.

A connection that does not belong to a call is limited in time and number (SEC-3): one whose token is not known yet, or
whose call has been answered. An agent that opens many, sends slowly or does not read answers loses its own oldest
connections and cannot use up the descriptors that calls need.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

import httptools

from aegis_tui.gateway.request import Request, status_line
from aegis_tui.gateway.request_body import RequestBody
from aegis_tui.sdk.strangers import Strangers

PATIENCE_S = 75.0
"""How long such a connection is kept, in seconds: longer than a body may take, so that a slow client gets its 408."""
MOST_STRANGERS = 512
_HEAD_LIMIT_BYTES = 64 * 1024
_MOST_WAITING = 100
"""How many requests a client may send before the first of them is answered."""
_LINGER_S = 2.0
"""How long the rest of a request is received and dropped after an answer that came before its end, in seconds.

If the connection were closed at once, the system would also drop the answer that the client has not read yet.
"""

_NOT_HTTP = (400, b"the request is not valid HTTP")
_TOO_LONG = (431, b"the request's headers are over 64 KiB")

App = Callable[[Request], Awaitable[None]]


@dataclass
class ServerDoor:
    """What all connections of a server share.

    Args:
        app: Answers each request.
        fresh: Connections without a valid token so far.
        idle: Connections whose request was answered; counted separately, so that they do not evict new connections.
    """

    app: App
    fresh: Strangers
    idle: Strangers
    connections: set[AgentConnection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """What still works on an answer, or on what has to be done after one."""
    is_closing: bool = False
    """Whether answers that begin from now on end their connection."""


class AgentConnection(asyncio.Protocol):
    """A connection from a client."""

    def __init__(self, door: ServerDoor) -> None:
        self.port: int | None = None
        """The TCP port that received it; None for the unix socket."""
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = self._new_parser()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        """The length of the head so far, by its complete lines."""
        self._begun_bytes = 0
        """What was received of a head that is not complete."""
        self._is_in_head = False
        self._is_upgrade = False
        self._body: RequestBody | None = None
        """The body that is being received."""
        self._waiting: deque[Request] = deque()
        """Requests that were sent before the present one was answered."""
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_full = False
        """Whether the client takes less than is sent."""
        self._drain: asyncio.Future[None] | None = None
        self._is_done = False
        """Whether nothing that is still received matters."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._request is not None

    def stop(self) -> None:
        """Cut off the answer that is being given, so that its connection closes; without one, close the connection."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._transport.close()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a connection; it is aborted unless a request of a known caller comes within 75 s.

        Called by asyncio.
        """
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name = transport.get_extra_info("sockname")
        self.port = name[1] if isinstance(name, tuple) else None
        self._door.connections.add(self)
        self._door.fresh.wait_for(transport, PATIENCE_S)

    def data_received(self, data: bytes) -> None:
        """Parse what was received; called by asyncio.

        What is not valid HTTP is refused (see `_refuse`), with 431 for a long head. Long is over 64 KiB. Raises
        nothing.
        """
        if self._is_done:
            return
        self._begun_bytes = self._begun_bytes + len(data) if self._is_in_head else 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(*(_TOO_LONG if self._head_bytes > _HEAD_LIMIT_BYTES else _NOT_HTTP))
        else:
            if self._is_in_head and self._begun_bytes > 2 * _HEAD_LIMIT_BYTES:
                self._refuse(*_TOO_LONG)

    def eof_received(self) -> None:
        """Treat the end of what the client sends as its disconnection, and abort an answer that is being given.

        The two look the same until something is sent. If no answer is being given, asyncio closes the connection once
        the last one was taken. Called by asyncio.
        """
        if self._request is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the answer that is being given, as nobody gets it any more; called by asyncio."""
        self.settle()
        self._door.connections.discard(self)
        self._is_done = True
        self._waiting.clear()
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        if self._request is not None and self._task is not None:
            self._request.is_gone = True
            self._task.cancel()

    def pause_writing(self) -> None:
        """Note that the client takes less than is sent, and hold back the source of the answer; called by asyncio."""
        self.is_full = True
        if self._request is not None:
            self._request.hold_back()

    def resume_writing(self) -> None:
        """Note that the client has caught up, and let the source of the answer go on; called by asyncio."""
        self.is_full = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        if self._request is not None:
            self._request.go_on()

    # What the parser calls; it stops at a ValueError, and `data_received` refuses the request

    def on_message_begin(self) -> None:
        """Forget the head of the last request: another one begins. Called by the parser."""
        self._url, self._headers = b"", []
        self._head_bytes, self._is_in_head = 0, True

    def on_url(self, part: bytes) -> None:
        """Take a part of the target; raises ValueError if the head gets too long."""
        self._url += part
        self._count_head(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer of the body. Raises ValueError if the head gets too long."""
        if self._is_in_head:
            self._headers.append((name.lower(), value))
            self._count_head(len(name) + len(value))

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > _HEAD_LIMIT_BYTES:
            raise ValueError("the head is too long")

    def on_headers_complete(self) -> None:
        """Begin to answer the request, or queue it until the one before it is answered. Called by the parser.

        One that asks for another protocol is left to `_ignore_upgrade`.

        Raises:
            ValueError: The version of HTTP is not served, the target is no URL, or too many requests wait.
        """
        self._is_in_head = False
        self._is_upgrade = self._parser.should_upgrade()
        if self._is_upgrade:
            return
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise ValueError("no version that is served")
        length = next((value for name, value in self._headers if name == b"content-length"), None)
        body = RequestBody(self._pause, self._resume, int(length) if length is not None else None)
        request = Request(
            self,
            self._parser.get_method().decode("ascii"),
            _target(self._url),
            self._headers,
            body,
            is_old=version == "1.0",
            stays_open=self._parser.should_keep_alive(),
        )
        if self._request is None:
            self._begin(request)
        elif len(self._waiting) >= _MOST_WAITING:
            raise ValueError("too many requests were sent ahead")
        else:
            self._waiting.append(request)
            self._pause()
        self._body = body

    def on_body(self, part: bytes) -> None:
        """Pass a part of a body on to the `RequestBody` that is being received. Called by the parser."""
        if self._body is not None:
            self._body.feed(part)

    def on_message_complete(self) -> None:
        """Mark the body that is being received as complete. Called by the parser."""
        if self._body is not None:
            self._body.end()
            self._body = None

    # What the exchange calls

    def send(self, data: bytes) -> None:
        """Send bytes as soon as the client takes them; returns at once. After a disconnection they are dropped."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent, or has disconnected.

        Returns at once if the client keeps up.
        """
        if self.is_full and not self._transport.is_closing():
            self._drain = self._loop.create_future()
            await self._drain

    def settle(self) -> None:
        """End the time limit that this connection has without a known caller, or while it waits for a request."""
        self._door.fresh.settle(self._transport)
        self._door.idle.settle(self._transport)

    def finish(self, request: Request) -> None:
        """End an exchange whose whole answer was sent: begin with the next request, or wait 75 s for one.

        The connection is closed instead if client or gateway does not keep it open, or the gateway stops.
        """
        self._request = self._task = None
        self.settle()
        if self._transport.is_closing():
            return
        self._door.idle.wait_for(self._transport, PATIENCE_S)
        if not request.stays_open or self._door.is_closing:
            self._leave(is_abrupt=request.body_parts.is_whole)
        elif self._waiting:
            self._begin(self._waiting.popleft())
        self._resume()

    def _begin(self, request: Request) -> None:
        self._request = request
        self._task = self._loop.create_task(self._answer(request))
        self._door.tasks.add(self._task)
        self._task.add_done_callback(self._door.tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            await self._door.app(request)
        except asyncio.CancelledError:
            if not (request.is_gone or self._door.is_closing):
                raise
        finally:
            if not request.is_complete:  # the connection's end tells the client that the answer was cut off
                self._request = self._task = None
                self._is_done = True
                self._transport.close()

    # Reading

    def _pause(self) -> None:
        if not self._is_done:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._waiting:
            self._transport.resume_reading()

    def _leave(self, *, is_abrupt: bool) -> None:
        """Stop serving the connection, drop requests that wait, and close it once what was written is sent.

        Args:
            is_abrupt: Whether nothing more is expected from the client. If not, only the sending side is closed at
                first: what the client still sends is dropped, and after 2 s the connection is cut.
        """
        self._is_done = True
        self._waiting.clear()
        if is_abrupt or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._loop.call_later(_LINGER_S, self._transport.abort)

    def _refuse(self, status: int, why: bytes) -> None:
        """Read no more from the client after something that is no valid request.

        If a body is being received, only that body is ended, and whoever reads it refuses the request. If a request is
        still being answered, the connection is closed after its answer. Otherwise a refusal is sent at once and the
        connection is closed.

        Args:
            status: The HTTP status of the refusal.
            why: Its text.
        """
        if self._body is not None:
            self._body.break_off()
            self._is_done = True
            return
        self._is_done = True
        if self._request is not None:  # it is answered first; what follows it is lost
            self._request.stays_open = False
            return
        head = b"%bcontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        self._transport.write(head % (status_line(status), len(why), why))
        self._leave(is_abrupt=False)

    # Upgrades

    def _new_parser(self) -> httptools.HttpRequestParser:
        return httptools.HttpRequestParser(self)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Answer a request that asks for another protocol as if it did not, which a server may do (RFC 9110, 7.8).

        A CONNECT is refused with 405.

        Args:
            rest: What was received after the request's head.
        """
        method = self._parser.get_method()
        if not self._is_upgrade or method == b"CONNECT":
            self._refuse(405, b"the gateway is not a proxy")
            return
        kept = [header for header in self._headers if header[0] not in (b"upgrade", b"connection", b"http2-settings")]
        lines = [method, b" ", self._url, b" HTTP/1.1\r\n", *(b"%b: %b\r\n" % header for header in kept), b"\r\n"]
        self._parser = self._new_parser()
        self.data_received(b"".join(lines) + rest)


def _target(url: bytes) -> tuple[str, str]:
    """Return the path, decoded, and the query of a request's target (RFC 9112, 3.2).

    Raises:
        ValueError: It is not a URL.
    """
    if not url.startswith(b"/"):
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError as error:
            raise ValueError("the target is not a URL") from error
        return (parsed.path or b"").decode("latin-1"), (parsed.query or b"").decode("latin-1")
    path, _, query = url.partition(b"#")[0].partition(b"?")
    text = path.decode("latin-1")
    return unquote(text) if "%" in text else text, query.decode("latin-1")
