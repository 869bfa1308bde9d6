"""The name server of one sandbox: no name exists, and every name that a program asks for is noted (AGENT-5, SEC-1).

A sandbox sends all lookups to port 53 of its own loopback address. Nothing else answers there, and no query can leave.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import cast

from aegis_tui.domain.instance.model import MOST_NAMES

_ADDRESS = ("127.0.0.1", 53)
_HEADER_BYTES = 12
_CAPABILITY_VERSION_3 = 0x20080522


class NameServer:
    """Answers each query at once with "no such name" (RFC 1035, NXDOMAIN), and reports each name once.

    Args:
        listener: A bound UDP socket; closed at the end of `serve`.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    @asynccontextmanager
    async def serve(self, on_name: Callable[[str], None]) -> AsyncIterator[None]:
        """Answer queries while the context is open; afterwards the socket is closed, so it can be used once.

        Args:
            on_name: Gets each new name in lower case, without its final dot; it may hold any character. After
                `MOST_NAMES` names it gets no more.
        """
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(on_name), sock=self._listener)
        try:
            yield
        finally:
            transport.close()


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, on_name: Callable[[str], None]) -> None:
        self._on_name = on_name
        self._seen: set[str] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = read_question(data)
        if question is None or self._transport is None:
            return
        name, end = question
        self._transport.sendto(no_such_name(data, end), addr)
        if name and name not in self._seen and len(self._seen) < MOST_NAMES:
            self._seen.add(name)
            self._on_name(name)


def open_name_server(environ: Mapping[str, str]) -> NameServer | None:
    """Return the name server of this process's sandbox; None outside a sandbox, or if it may not listen there.

    In a sandbox, this process and those that it starts have no capabilities afterwards. Call it before the first
    thread starts. Outside, nothing is changed.

    Args:
        environ: The process's environment; AEGIS_SANDBOX says whether it runs in a sandbox.
    """
    if environ.get("AEGIS_SANDBOX", "none") == "none":
        return None  # port 53 would be that of the machine
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setblocking(False)
    try:
        listener.bind(_ADDRESS)
    except OSError:
        listener.close()
        return None
    finally:
        drop_capabilities()
    return NameServer(listener)


def drop_capabilities() -> None:
    """Take all capabilities away from this thread and what it starts. Linux only; no effect if that is refused."""
    if not sys.platform.startswith("linux"):
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none_of_them = (ctypes.c_uint32 * 6)()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).capset(header, none_of_them)


def read_question(query: bytes) -> tuple[str, int] | None:
    """Return the first name in a DNS query, in lower case, and the offset at which its question ends.

    None if it is no query with a question. The labels are joined by dots; other characters stay as they are.

    Args:
        query: A DNS message (RFC 1035, 4.1).
    """
    if len(query) < _HEADER_BYTES or query[2] & 0x80 or query[4:6] == b"\0\0":
        return None
    labels, place = [], _HEADER_BYTES
    while place < len(query) and (size := query[place]):
        if size > 63 or place + 1 + size > len(query):
            return None
        labels.append(query[place + 1 : place + 1 + size])
        place += 1 + size
    end = place + 5  # the empty label, type and class
    name = b".".join(labels).decode("latin-1").lower()
    return (name, end) if end <= len(query) and len(name) <= 253 else None


def no_such_name(query: bytes, end: int) -> bytes:
    """Return the answer NXDOMAIN ("no such name") to a DNS query that `read_question` could read.

    Args:
        query: The query.
        end: The offset at which its first question ends.
    """
    flags = bytes((0x80 | (query[2] & 0x79), 0x83))  # response, opcode and RD as asked; RA, rcode 3
    return query[:2] + flags + b"\0\1" + b"\0" * 6 + query[_HEADER_BYTES:end]
