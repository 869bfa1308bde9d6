"""The clients of the gateway's benchmark, in a process of their own: JSON lines in, one answer for each out.

A line is `{"do": "turns", ...}` for requests one after the other, through each target in turn, or `{"do": "together",
...}` for streams at the same time through one target. A target is a name, a port and a token.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

_SENT_AT = re.compile(rb'"content": ?"(\d+\.\d{6})"')
_GOOD = b"HTTP/1.1 200"
_LAST = b"0\r\n\r\n"
_ANSWER_S = 120.0


@dataclass
class Stream:
    """One streamed answer, as the client saw it."""

    begun_at: float
    sent_at: list[float] = field(default_factory=list)
    """When each token left the server."""
    received_at: list[float] = field(default_factory=list)

    @property
    def first_ms(self) -> float:
        """From the request, or from opening its connection, to the first token."""
        return (self.received_at[0] - self.begun_at) * 1000


class Connection(asyncio.Protocol):
    """A client that costs little: it sends ready bytes and reads when each token was sent."""

    def __init__(self) -> None:
        self._rest = b""
        self._stream: Stream
        self._done: asyncio.Future[Stream]
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to a port of this machine."""
        transport, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        connection._transport = transport
        return connection

    async def ask(self, request: bytes, begun_at: float | None = None) -> Stream:
        """Send a request and read its answer to the end.

        Raises:
            ConnectionError: The answer is an error, or was cut off.
            TimeoutError: It did not end in two minutes.
        """
        self._done = asyncio.get_running_loop().create_future()
        self._stream = Stream(time.monotonic() if begun_at is None else begun_at)
        self._transport.write(request)
        async with asyncio.timeout(_ANSWER_S):
            return await self._done

    def data_received(self, data: bytes) -> None:
        """Note the tokens that have arrived."""
        now = time.monotonic()
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(_GOOD):
            self._fail(str(data[:300]))
            return
        data = self._rest + data
        end = 0
        for match in _SENT_AT.finditer(data):
            self._stream.sent_at.append(float(match[1]))
            self._stream.received_at.append(now)
            end = match.end()
        self._rest = data[max(end, len(data) - 1000) :]
        if self._rest.endswith(_LAST):
            self._rest = b""
            if self._stream.sent_at:
                self._done.set_result(self._stream)
            else:
                self._fail("an answer without a token")

    def connection_lost(self, exc: Exception | None) -> None:
        """Report an answer that was cut off."""
        self._fail("an answer that was cut off")

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError(why))

    def close(self) -> None:
        """Drop the connection."""
        self._transport.abort()


def request_bytes(target: dict[str, Any], body: dict[str, Any]) -> bytes:
    """Return the bytes of a chat request."""
    text = json.dumps({**body, "stream": True}).encode()
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{target['port']}\r\n"
        f"Authorization: Bearer {target['token']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n\r\n"
    ).encode() + text


async def turns(targets: list[dict[str, Any]], body: dict[str, Any], count: int) -> dict[str, list[float]]:
    """Send requests one after the other, each in turn through every target, on a connection that stays open.

    Returns:
        Target's name -> milliseconds to each first token; the first tenth, which warms up, is left out.
    """
    connections = [await Connection.open(target["port"]) for target in targets]
    requests = [request_bytes(target, body) for target in targets]
    spent: dict[str, list[float]] = {target["name"]: [] for target in targets}
    for number in range(count + count // 10):
        for target, connection, request in zip(targets, connections, requests, strict=True):
            stream = await connection.ask(request)
            if number >= count // 10:
                spent[target["name"]].append(stream.first_ms)
    for connection in connections:
        connection.close()
    return spent


async def together(target: dict[str, Any], body: dict[str, Any], count: int, spacing_s: float) -> dict[str, Any]:
    """Send requests at the same time, or a little apart, each on a connection that it opens first.

    Returns:
        `first_ms`: milliseconds from opening the connection to the first token, of each stream. `gaps_ms`: by how many
        milliseconds each gap between two tokens was longer or shorter than when they were sent. `tokens_per_s`: of all
        streams together, from the first request to the last token.
    """
    request = request_bytes(target, body)
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.05

    async def one(number: int) -> Stream:
        due = start + number * spacing_s
        await asyncio.sleep(due - loop.time())
        begun_at = time.monotonic()
        connection = await Connection.open(target["port"])
        try:
            return await connection.ask(request, begun_at)
        finally:
            connection.close()

    streams = await asyncio.gather(*(one(number) for number in range(count)))
    tokens = sum(len(stream.sent_at) for stream in streams)
    spent_s = max(stream.received_at[-1] for stream in streams) - min(stream.begun_at for stream in streams)
    return {
        "first_ms": [stream.first_ms for stream in streams],
        "gaps_ms": [gap for stream in streams for gap in _changed_gaps(stream)],
        "tokens_per_s": tokens / spent_s,
    }


def _changed_gaps(stream: Stream) -> list[float]:
    ways = [received - sent for sent, received in zip(stream.sent_at, stream.received_at, strict=True)]
    return [abs(later - earlier) * 1000 for earlier, later in itertools.pairwise(ways)]


def main() -> None:
    """Do what each line asks for; end with the input."""
    work: dict[str, Callable[..., Coroutine[Any, Any, object]]] = {"turns": turns, "together": together}
    gc.freeze()
    for line in sys.stdin:
        wanted = json.loads(line)
        gc.collect()
        gc.disable()
        try:
            result = asyncio.run(work[wanted.pop("do")](**wanted))
        except (OSError, ConnectionError) as error:
            result = {"error": str(error)}
        finally:
            gc.enable()
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
