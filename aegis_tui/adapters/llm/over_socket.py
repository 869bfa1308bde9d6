"""Calls of the model gateway over its unix socket: HTTP/1.1, parsed by llhttp (RFC 9112).

It is imported in a tenth of the time that httpx takes. Bodies are not decompressed: the server is asked for plain ones.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httptools

from aegis_tui.adapters.llm.http_call import HttpAnswer, HttpFailed
from aegis_tui.errors import UsageError

_READ_BYTES = 1 << 16
_KEEPALIVE_S = 5.0
"""How long a connection that is not in use is kept, in seconds."""
_QUIET_BYTES = 128 * 1024
"""The longest headers, and the most bytes that hold no part of a body: a server may send neither for ever."""
_INTERIM = range(100, 200)
_UNSAFE = re.compile(r"[^\x20-\x7e]")


class SocketClient:
    """An `HttpClient` of the server behind a unix socket.

    Args:
        path: The socket.
        prefix: The path that the paths of requests are relative to, beginning and ending with a slash.
        headers: Sent with each request.
        idle_timeout_s: Seconds without data after which an answer counts as lost.
        connect_timeout_s: How long connecting may take, in seconds.

    Raises:
        UsageError: A header cannot be sent, because it contains a control character or is not ASCII.
    """

    def __init__(
        self,
        path: str,
        prefix: str,
        headers: Mapping[str, str],
        *,
        idle_timeout_s: float,
        connect_timeout_s: float,
    ) -> None:
        for name, value in headers.items():
            if _UNSAFE.search(value):
                raise UsageError(f"the value for {name} has characters that no HTTP header may have")
        self._path, self._prefix, self._root = path, prefix, prefix.removesuffix("/").removesuffix("/v1")
        always = {"Host": "localhost", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in always.items())
        self._idle_timeout_s, self._connect_timeout_s = idle_timeout_s, connect_timeout_s
        self._kept: _Connection | None = None
        self._kept_since = 0.0

    @asynccontextmanager
    async def ask(self, method: str, path: str, body: bytes | None = None) -> AsyncIterator[HttpAnswer]:
        """Send a request; entering the context waits for the headers of the answer, leaving it ends the call.

        Args:
            method: `GET` or `POST`.
            path: The path, relative to the prefix; one that begins with a slash, to the prefix without `/v1/`.
            body: JSON; None for no body.

        Raises:
            HttpFailed: On entering: there is no connection, or it broke or was silent too long before the headers.
        """
        about = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        target = f"{self._root}{path}" if path.startswith("/") else f"{self._prefix}{path}"
        head = f"{method} {target} HTTP/1.1\r\n{self._head}{about}\r\n"
        connection = self._take() or await self._connect()
        try:
            answer = SocketAnswer(connection, self._idle_timeout_s)
            connection.writer.write(head.encode("ascii") + (body or b""))
            await answer.begun()
            yield answer
            if answer.is_whole and not answer.is_last and self._kept is None:
                self._kept, self._kept_since = connection, asyncio.get_running_loop().time()
        finally:
            if self._kept is not connection:
                connection.abort()

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        if (connection := self._take()) is not None:
            connection.abort()

    def _take(self) -> _Connection | None:
        """Take over the connection that is kept for the next request; None if there is none that can still be used.

        One that has ended, or was not used for 5 s, is aborted. After this, none is kept.
        """
        connection, self._kept = self._kept, None
        if connection is None:
            return None
        if connection.is_stale or asyncio.get_running_loop().time() - self._kept_since > _KEEPALIVE_S:
            connection.abort()
            return None
        return connection

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return _Connection(*await asyncio.open_unix_connection(self._path, limit=4 * _READ_BYTES))
        except TimeoutError as error:
            raise HttpFailed("ConnectTimeout") from error
        except OSError as error:
            raise HttpFailed("ConnectError") from error


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def is_stale(self) -> bool:
        return self.reader.at_eof() or self.writer.is_closing()

    def abort(self) -> None:
        self.writer.transport.abort()


class SocketAnswer:
    """An `HttpAnswer` while it is received; the methods whose names begin with `on_` are called by the parser.

    Args:
        connection: What the request is sent on.
        idle_timeout_s: Seconds without data after which it counts as lost.
    """

    def __init__(self, connection: _Connection, idle_timeout_s: float) -> None:
        self._reader, self._idle_timeout_s = connection.reader, idle_timeout_s
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_whole = False
        """Whether the body was received to its end."""
        self.is_last = False
        """Whether nothing more can be asked on this connection."""
        self._parts: list[bytes] = []
        self.on_body = self._parts.append
        self._parser = httptools.HttpResponseParser(self)
        self._quiet_bytes = 0
        self._failure: HttpFailed | None = None

    async def begun(self) -> None:
        """Wait for the headers.

        Raises:
            HttpFailed: They were not received in time or in full, or are no HTTP.
        """
        while not self.status:
            await self._receive()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, not decompressed; call it once, after `begun`.

        Raises:
            HttpFailed: The connection broke before the end of the body, nothing was received for the idle timeout, or
                what was received is no HTTP.
        """
        while True:
            if self._parts:
                part = b"".join(self._parts)
                self._parts.clear()
                yield part
            elif self.is_whole:
                return
            else:
                await self._receive()

    def on_message_begin(self) -> None:
        """Raise ValueError if the answer is complete, as only one was asked for; the parser stops then."""
        if self.is_whole:
            raise ValueError("more than one answer to a request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header or a trailer in `headers`; a further value of the same name is added after a comma."""
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """Set `status` and `is_last` from the headers; the headers of an interim answer, such as 100, are dropped."""
        status = self._parser.get_status_code()
        if status in _INTERIM:
            self.headers.clear()
        else:
            self.is_last = not self._parser.should_keep_alive()
            self.status = status

    def on_message_complete(self) -> None:
        """Set `is_whole`: the body is complete; an interim answer, such as 100, does not count."""
        self.is_whole = self.status != 0

    async def _receive(self) -> None:
        """Wait for more of the answer, and parse it; what was received is then in `status`, `headers` and `_parts`.

        Raises:
            HttpFailed: Nothing was received for the idle timeout, the connection ended too early, or what was received
                before is not HTTP.
        """
        if self._failure is not None:
            raise self._failure
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                data = await self._reader.read(_READ_BYTES)
        except TimeoutError as error:
            raise HttpFailed("ReadTimeout") from error
        except OSError as error:
            raise HttpFailed("ReadError") from error
        if not data:
            self._end()
            return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail()
        self._quiet_bytes = 0 if self._parts else self._quiet_bytes + len(data)
        if self._quiet_bytes > _QUIET_BYTES and not self.is_whole:
            self._fail()

    def _fail(self) -> None:
        """Note that the rest of the answer cannot be read: the next `_receive` raises.

        What was received before can be used.
        """
        self.is_last = True
        self._failure = HttpFailed("RemoteProtocolError")

    def _end(self) -> None:
        """Take note of the end of the connection, which is the end of a body without a length too (RFC 9112, 6.3).

        Raises:
            HttpFailed: The answer is not complete: its headers are missing, or they give its body a length.
        """
        is_open_ended = not {"content-length", "transfer-encoding"} & self.headers.keys()
        if not self.status or not is_open_ended:
            raise HttpFailed("RemoteProtocolError")
        self.is_whole = self.is_last = True
