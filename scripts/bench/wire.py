"""Thin clients for load: they cost little, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
from collections.abc import Callable
from typing import Any

_FIN_TEXT = 0x81
_MASKED = 0x80
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_CLOSE = 0x8


class RawStream(asyncio.Protocol):
    """A WebSocket client of the hub, without checks: whole text frames in and out (RFC 6455)."""

    def __init__(self, on_text: Callable[[bytes], None]) -> None:
        self._on_text = on_text
        self._buffer = bytearray()
        self._is_open = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    @classmethod
    async def open(cls, socket: str, on_text: Callable[[bytes], None]) -> RawStream:
        """Connect to the hub's unix socket and upgrade."""
        loop = asyncio.get_running_loop()
        transport, stream = await loop.create_unix_connection(lambda: cls(on_text), socket)
        stream.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        head = "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        transport.write(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        await stream._is_open
        return stream

    def data_received(self, data: bytes) -> None:
        """Take bytes in; call `on_text` for each whole message."""
        self._buffer += data
        if not self._is_open.done():
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            self._buffer = rest
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._is_open.set_exception(ConnectionError(bytes(head[:200])))
                return
            self._is_open.set_result(None)
        self._take_frames()

    def _take_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, begin = buffer[at + 1], at + 2
            if size == _TWO_BYTES:
                size, begin = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == _EIGHT_BYTES:
                size, begin = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if begin > len(buffer) or len(buffer) - begin < size:
                break
            if buffer[at] == _FIN_TEXT:
                self._on_text(bytes(buffer[begin : begin + size]))
            elif buffer[at] & 0x0F == _CLOSE:
                self.transport.close()
            at = begin + size
        del buffer[:at]

    def send(self, frame: dict[str, Any]) -> None:
        """Send one JSON object; the mask is all zeros, which costs nothing."""
        body = json.dumps(frame, separators=(",", ":")).encode()
        if len(body) < _TWO_BYTES:
            head = bytes((_FIN_TEXT, _MASKED | len(body)))
        else:
            head = bytes((_FIN_TEXT, _MASKED | _TWO_BYTES)) + len(body).to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + body)

    def stall(self) -> None:
        """Read nothing from now on."""
        self.transport.pause_reading()

    def close(self) -> None:
        """Drop the connection."""
        self.transport.abort()


class RawAgent:
    """One agent that has one command under way at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._stream: RawStream
        self._number = 0

    @classmethod
    async def open(cls, socket: str, token: str) -> RawAgent:
        """Connect as the owner of the token, listening to no events."""
        agent = cls()
        agent._stream = await RawStream.open(socket, agent._took)
        await agent.ask({"v": 1, "type": "hello", "token": token, "types": []})
        return agent

    def _took(self, text: bytes) -> None:
        reply = json.loads(text)
        if "ok" in reply and self._answer is not None and not self._answer.done():
            self._answer.set_result(reply)

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send one command and wait for its reply.

        Raises:
            RuntimeError: It was refused.
        """
        self._number += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._stream.send({"v": 1, "request_id": f"b{self._number}", **frame})
        reply = await self._answer
        if not reply["ok"]:
            raise RuntimeError(str(reply["error"]))
        return reply

    def close(self) -> None:
        """Drop the connection."""
        self._stream.close()


def allow_many_files() -> None:
    """Raise this process's own limit of open files as far as it may; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(16_384, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def quantile(samples: list[float], share: float) -> float:
    """The smallest sample that `share` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
