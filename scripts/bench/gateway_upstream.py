"""A model server for the gateway's benchmark, as light as asyncio permits: `gateway_upstream.py` prints its port.

A request names what it gets: the model `paced` sends 80 tokens a second, `flat` as many as the connection takes; the
field `max_tokens` is their number. The text of each token is the time at which it was sent, in seconds of the clock
that all processes of the machine share, so that a client knows how long each token was on its way.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import time

PACE_S = 1 / 80
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":'
    b'[{"index":0,"delta":{"content":"%.6f"},"logprobs":null,"finish_reason":null}]}\n\n'
)
_END = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":'
    b'[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}\n\ndata: [DONE]\n\n'
)
_MODELS = b'{"object":"list","data":[{"id":"paced","object":"model"},{"id":"flat","object":"model"}]}'
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model": *"(\w+)"')
_TOKENS = re.compile(rb'"max_tokens": *(\d+)')


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


class Engine:
    """Sends one token to each stream of the model `flat` in turn, as a batched engine does."""

    def __init__(self) -> None:
        self._streams: dict[Connection, None] = {}

    def add(self, stream: Connection) -> None:
        """Begin to send to a stream."""
        self._streams[stream] = None
        if len(self._streams) == 1:
            asyncio.get_running_loop().call_soon(self._step)

    def drop(self, stream: Connection) -> None:
        """Send nothing more to a stream."""
        self._streams.pop(stream, None)

    def _step(self) -> None:
        for stream in [*self._streams]:
            if not stream.is_full and not stream.send_token():
                self.drop(stream)
        if self._streams:
            asyncio.get_running_loop().call_soon(self._step)


class Connection(asyncio.Protocol):
    """One connection, which carries one request after the other.

    Args:
        engine: Sends the tokens of the model `flat`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._received = bytearray()
        self._needed_bytes = 0
        self._tokens = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self.is_full = False
        """Whether the client takes less than is sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a client."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client."""
        self._engine.drop(self)
        self._tokens = 0

    def pause_writing(self) -> None:
        """The client is slower than the server."""
        self.is_full = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.is_full = False

    def data_received(self, data: bytes) -> None:
        """Take a request in; answer it once it is whole."""
        self._received += data
        if not self._needed_bytes:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._received, 0, end)
            self._needed_bytes = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= self._needed_bytes:
            request = bytes(self._received)
            self._received.clear()
            self._needed_bytes = 0
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(_MODELS) + _MODELS)
            return
        model, tokens = _MODEL.search(request), _TOKENS.search(request)
        self._tokens = int(tokens[1]) if tokens else 1
        self._transport.write(_HEAD)
        if model and model[1] == b"flat":
            self._engine.add(self)
        else:
            self._pace(self._loop.time())

    def _pace(self, due: float) -> None:
        if self.send_token():
            self._loop.call_at(due + PACE_S, self._pace, due + PACE_S)

    def send_token(self) -> bool:
        """Send the next token; return whether more follow."""
        if self._tokens <= 0:
            return False
        self._tokens -= 1
        self._transport.write(_chunked(_EVENT % time.monotonic()))
        if not self._tokens:
            self._transport.write(_chunked(_END) + b"0\r\n\r\n")
        return self._tokens > 0


async def _serve() -> None:
    engine = Engine()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(engine), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    gc.freeze()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
