"""A model server that sends prepared replies, in order, over real HTTP; for tests that need one exact stream."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aegis_tui.sdk.listener import stop_accepting


@dataclass(frozen=True, slots=True)
class Canned:
    """One prepared answer: a status and the chunks of its body, each sent and flushed separately."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Sequence[str] = ()
    dies: bool = False
    """Drop the connection after the last piece instead of ending the body."""
    hold: asyncio.Event | None = None
    """If set, the last piece is sent only after this event."""


def sse(chunk: dict[str, Any] | str) -> bytes:
    """Return the bytes of one server-sent event; a dictionary is sent as JSON."""
    return f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n".encode()


def delta(*, finish: str | None = None, **fields: Any) -> bytes:
    """Return one chunk of a streamed chat completion, with these fields in its delta."""
    return sse({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def usage(prompt: int, completion: int, cached: int = 0) -> bytes:
    """Return the chunk of a streamed reply with the numbers of prompt, completion and cached tokens."""
    details = {"cached_tokens": cached}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}
    return sse({"choices": [], "usage": counts})


def says(text: str, *, dies: bool = False, hold: asyncio.Event | None = None) -> Canned:
    """Return a streamed reply of text only, one word per chunk.

    Args:
        text: The text.
        dies: Drop the connection after the last word, without an end of the stream.
        hold: Send the end of the stream only after this event; not with `dies`.
    """
    words = [delta(role="assistant", content="")] + [delta(content=f"{word} ") for word in text.split()]
    if dies:
        return Canned(words, dies=True)
    return Canned([*words, delta(finish="stop"), usage(100, 10, 50), sse("[DONE]")], hold=hold)


def calls(*wanted: tuple[str, dict[str, Any] | str], text: str = "") -> Canned:
    """Return a streamed reply that calls tools.

    Args:
        wanted: Name and arguments of each call. Arguments given as text are sent unchanged, a dictionary as JSON;
            both in fragments of seven characters.
        text: The text before the calls.
    """
    pieces = [delta(role="assistant", content=text)]
    for index, (name, arguments) in enumerate(wanted):
        body = arguments if isinstance(arguments, str) else json.dumps(arguments)
        head = {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        pieces.append(delta(tool_calls=[head]))
        pieces += [
            delta(tool_calls=[{"index": index, "function": {"arguments": body[start : start + 7]}}])
            for start in range(0, len(body), 7)
        ]
    return Canned([*pieces, delta(finish="tool_calls"), usage(100, 20, 60), sse("[DONE]")])


@dataclass
class CannedModel:
    """Serves prepared answers to chat requests and records their JSON; without an answer left it sends status 500."""

    answers: deque[Canned] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    context_tokens: int | None = None
    """The context of its model, as the list of models says; None: it does not say so."""
    counted_tokens: int | None = None
    """What `/tokenize` answers; None: there is none."""
    counted: int = 0
    """How often it was asked to count."""
    socket: Path | None = None
    """Listen on this unix socket instead of a free port of 127.0.0.1."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        """The base URL for clients, without `/v1`.

        Raises:
            RuntimeError: The server is not started.
        """
        if self._server is None:
            raise RuntimeError("the server is not started")
        if self.socket is not None:
            return f"http+unix:{self.socket}"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def will(self, *answers: Canned) -> None:
        """Queue answers for the next chat requests, after those that are queued already; each is sent once."""
        self.answers.extend(answers)

    async def __aenter__(self) -> Self:
        if self.socket is not None:
            self._server = await asyncio.start_unix_server(self._serve, path=self.socket)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await stop_accepting(self._server)
            self._server.close()
            await self._server.wait_closed()
        for writer in self._open:
            writer.transport.abort()  # a client that reads no more would keep the socket open
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            answer = self._answer(*await _read_request(reader))
            await self._send(writer, answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            if not writer.transport.get_write_buffer_size():
                self._open.discard(writer)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Canned:
        self.authorizations.append(headers.get("authorization", ""))
        if path == "/v1/models":
            more = {} if self.context_tokens is None else {"max_model_len": self.context_tokens}
            card = {"id": "canned", "object": "model", **more}
            return Canned([json.dumps({"object": "list", "data": [card]}).encode()])
        if path == "/tokenize":
            self.counted += 1
            status = 404 if self.counted_tokens is None else 200
            return Canned([json.dumps({"count": self.counted_tokens}).encode()], status)
        self.requests.append(json.loads(body))
        return self.answers.popleft() if self.answers else Canned([b'{"error": {"message": "no answer left"}}'], 500)

    async def _send(self, writer: asyncio.StreamWriter, answer: Canned) -> None:
        head = [f"HTTP/1.1 {answer.status} X", "Connection: close", "Transfer-Encoding: chunked", *answer.headers]
        writer.write("\r\n".join([*head, "", ""]).encode())
        for number, piece in enumerate(answer.pieces):
            if answer.hold is not None and number == len(answer.pieces) - 1:
                await answer.hold.wait()
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if not answer.dies:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return head[0].split(" ")[1], headers, body
