"""The way out of a sandbox to the addresses that the person has listed for a kind of agent, and to no other (SEC-4).

An HTTP proxy on a unix socket that knows only CONNECT (RFC 9110, 9.3.6): the bytes that follow, usually TLS, are passed
on unread. The caller is known by its token, the addresses by the map that the hub writes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import NamedTuple

from aegis_tui.domain.boundary import may_stand_for, parse_address
from aegis_tui.gateway.access import AccessMap
from aegis_tui.sdk.pump import close, join_both
from aegis_tui.sdk.strangers import ACCEPTED_AT_ONCE, Strangers, queue_deeply

_LOG = logging.getLogger(__name__)
_HEAD_BYTES = 16 * 1024
_HEAD_S = 10.0
_PATIENCE_S = 2 * _HEAD_S
"""How long a connection may last without a valid request, in seconds: longer than a head, so that it gets its 400."""
_CONNECT_S = 15.0
_MOST_OPEN = 64
"""Connections that one instance may have open at the same time."""


class _Refusal(Exception):
    """The answer to a request that is not carried out: a status line, and why."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class _Request(NamedTuple):
    host: str
    port: int
    token: str


class Egress:
    """Connects instances with the addresses that `access` lists for them.

    Args:
        access: Who may reach what.
        most_fresh: How many connections without a valid request may wait; one more aborts the oldest (SEC-3).
    """

    def __init__(self, access: AccessMap, *, most_fresh: int) -> None:
        self._access = access
        self._fresh = Strangers(most_fresh)
        self._open: Counter[str] = Counter()

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """Start to answer at a listening unix socket, and return the server; closing that ends only the accepting.

        Connections accepted by then are still answered and passed on until their ends close them; those without a valid
        request end within 20 s.

        Raises:
            OSError: The socket cannot be served.
        """
        server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=_HEAD_BYTES, backlog=ACCEPTED_AT_ONCE
        )
        queue_deeply([listener])
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close, writer)
            self._fresh.wait_for(transport, _PATIENCE_S)
            stack.callback(self._fresh.settle, transport)
            with suppress(OSError):
                try:
                    await self._carry_out(reader, writer, partial(self._fresh.settle, transport))
                except _Refusal as refusal:
                    writer.write(_answer(refusal))
                    await writer.drain()

    async def _carry_out(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settle: Callable[[], None]
    ) -> None:
        """Read a CONNECT request, connect, answer it, and pass bytes on until both sides have ended.

        Args:
            reader: Reads what the caller sends.
            writer: Writes to the caller.
            settle: Called once the request is allowed, before the connection is opened: it ends the time limit for
                connections without a valid request.

        Raises:
            _Refusal: The request is not valid or not allowed, or the connection fails.
            OSError: The caller is gone.
        """
        request = _parse(await _read_head(reader))
        caller = self._check(request)
        settle()
        self._open[caller] += 1
        try:
            outward = await _connect(request)
            _LOG.info("connected", extra={"aegis_agent": caller, "address": f"{request.host}:{request.port}"})
            try:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await join_both((reader, writer), outward)
            finally:
                await close(outward[1])
        finally:
            self._open[caller] -= 1

    def _check(self, request: _Request) -> str:
        """Return the agent id of the caller of a request that is allowed.

        Raises:
            _Refusal: The token is unknown (407), its instance may not reach the address (403, logged), or it has 64
                connections open (429).
        """
        caller = self._access.find_caller(request.token)
        if caller is None:
            raise _Refusal("407 Proxy Authentication Required", "this token does not belong to a running instance")
        allowed = {parse_address(address) for address in self._access.current.allowed.get(caller, ())}
        if (request.host, request.port) not in allowed:
            _LOG.warning(
                "a connection to an address was refused",
                extra={"aegis_agent": caller, "address": f"{request.host}:{request.port}"},
            )
            words = f"{request.host}:{request.port} is not among the addresses that {caller} may reach"
            raise _Refusal("403 Forbidden", words)
        if self._open[caller] >= _MOST_OPEN:
            raise _Refusal("429 Too Many Requests", f"{caller} has {_MOST_OPEN} connections open")
        return caller


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(_HEAD_S):
            return await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise _Refusal("400 Bad Request", "no complete request arrived") from error


def _parse(head: bytes) -> _Request:
    """Return host, port and token of the request in the head of a message; the token is empty if none is sent.

    It is the bearer token of the header Proxy-Authorization.

    Raises:
        _Refusal: It is not a CONNECT (405), or its target is not a host and a port (400).
    """
    first, *fields = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    if method != "CONNECT":
        raise _Refusal("405 Method Not Allowed", "only HTTPS connections, by CONNECT, are passed on")
    try:
        host, port = parse_address(rest.partition(" ")[0])
    except ValueError as error:
        raise _Refusal("400 Bad Request", str(error)) from error
    named = (field.partition(":") for field in fields)
    given = [value.split() for name, _, value in named if name.strip().lower() == "proxy-authorization"]
    token = next((words[1] for words in given if len(words) == 2 and words[0].lower() == "bearer"), "")
    return _Request(host, port, token)


async def _connect(request: _Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to the host and port of a request, which the machine's own name server may resolve.

    Its addresses are tried one after the other, 15 s in all.

    Raises:
        _Refusal: All its addresses are ones of this machine or link-local (403); or the name is unknown, or nobody
            answers (502).
    """
    words = f"{request.host}:{request.port} cannot be reached"
    try:
        async with asyncio.timeout(_CONNECT_S):
            loop = asyncio.get_running_loop()
            entries = await loop.getaddrinfo(request.host, request.port, type=socket.SOCK_STREAM)
            addresses = [str(item[4][0]) for item in entries]
            possible = [address for address in addresses if may_stand_for(request.host, address)]
            if not possible:
                raise _Refusal("403 Forbidden", f"{request.host} is an address of this machine or a link-local address")
            for address in possible:
                with suppress(OSError):
                    return await asyncio.open_connection(address, request.port)
    except (OSError, TimeoutError) as error:
        raise _Refusal("502 Bad Gateway", words) from error
    raise _Refusal("502 Bad Gateway", words)


def _answer(refusal: _Refusal) -> bytes:
    words = f"aegis-tui: {refusal.words}\n".encode()
    head = f"HTTP/1.1 {refusal.status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(words)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + words
