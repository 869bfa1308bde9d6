"""Makes the gateway's unix socket reachable for programs that speak only TCP: a port of this sandbox's own loopback.

Bytes are passed on unchanged in both directions, and reading stops while the other side does not take them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from http.client import HTTPException
from types import TracebackType
from typing import NamedTuple, Self

from aegis_tui.agent.hosted.message_tap import HttpMessage, MessageTap, status_of
from aegis_tui.ports.llm import Usage
from aegis_tui.sdk.listener import stop_accepting
from aegis_tui.sdk.pump import close, join_both
from aegis_tui.sdk.unix_http import UnixConnection

_ANSWER_S = 5.0
_ANSWER_BYTES = 1024 * 1024
_PARTS = ("prompt", "completion", "cached")


class Counted(NamedTuple):
    """What the gateway has counted for one instance."""

    usage: Usage
    calls: int
    """How many calls to the model it has begun since the gateway began to count."""
    running: int
    """How many of these calls have no complete answer yet."""


class GatewayRelay:
    """Listens on a free port of 127.0.0.1 while the context is open.

    Args:
        socket_path: The gateway's unix socket.
        on_request: Gets the body of each request that passes, if it has one.
        on_answer: Gets each answer that passes, with its body if it is an error, and the length of its request's body
            in bytes.
    """

    def __init__(
        self,
        socket_path: str,
        *,
        on_request: Callable[[bytes], Awaitable[None]] | None = None,
        on_answer: Callable[[HttpMessage, int], Awaitable[None]] | None = None,
    ) -> None:
        self._socket_path, self._on_request, self._on_answer = socket_path, on_request, on_answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            OSError: No port is free.
        """
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            await stop_accepting(self._server)
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def url(self) -> str:
        """The base URL that stands for the gateway, without `/v1`.

        Raises:
            RuntimeError: The relay is not open.
        """
        if self._server is None:
            raise RuntimeError("the relay is not open")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def count(self, token: str) -> Counted | None:
        """Return what the gateway has counted for the instance with this token; None if it refuses or does not answer.

        Waits up to 5 s for each part of the answer, in a thread.
        """
        return await asyncio.to_thread(self._ask_count, token)

    def _ask_count(self, token: str) -> Counted | None:
        connection = UnixConnection(self._socket_path, _ANSWER_S)
        try:
            connection.request("GET", "/v1/usage", headers={"Authorization": f"Bearer {token}"})
            agents = json.loads(connection.getresponse().read(_ANSWER_BYTES))["agents"].values()
            usages = (Usage(*(item[f"{part}_tokens"] for part in _PARTS)) for item in agents)
            calls, running = (sum(item[name] for item in agents) for name in ("requests", "running"))
            return Counted(sum(usages, Usage()), calls, running)
        except (OSError, HTTPException, LookupError, TypeError, ValueError, AttributeError):
            return None
        finally:
            connection.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close, writer)
            with suppress(OSError):
                upward = await asyncio.open_unix_connection(self._socket_path)
                stack.push_async_callback(close, upward[1])
                watch = _TrafficWatch(self._on_request, self._on_answer)
                await join_both((reader, writer), upward, on_chunk=watch.take_sent, on_answer=watch.take_answered)


class _TrafficWatch:
    """Tells what passes through one connection, which answers its requests in their order (RFC 9112, 9.3.2)."""

    def __init__(
        self,
        on_request: Callable[[bytes], Awaitable[None]] | None,
        on_answer: Callable[[HttpMessage, int], Awaitable[None]] | None,
    ) -> None:
        self._on_request, self._on_answer = on_request, on_answer
        self._asked: deque[int] = deque()
        """The lengths of the bodies of the requests that have no answer yet, in bytes."""
        self._sent = MessageTap(lambda start: on_request is not None)
        self._answered = MessageTap(_is_error)

    async def take_sent(self, chunk: bytes) -> None:
        """Take the next bytes that the program has sent; report the bodies of the requests that they complete."""
        for request in self._sent.feed(chunk):
            if request.start:
                self._asked.append(request.size_bytes)
            if request.body and self._on_request is not None:
                await self._on_request(request.body)

    async def take_answered(self, chunk: bytes) -> None:
        """Take the next bytes that the gateway has sent.

        Report the answers that they complete, without interim ones.
        """
        for answer in self._answered.feed(chunk):
            if answer.status >= 200:
                size_bytes = self._asked.popleft() if self._asked else 0
                if self._on_answer is not None:
                    await self._on_answer(answer, size_bytes)


def _is_error(start: bytes) -> bool:
    return status_of(start) >= 400
