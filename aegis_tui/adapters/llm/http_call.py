"""HTTP as the client of a model server needs it: one interface, over TCP (`over_tcp`) and a socket (`over_socket`).

There are two, because importing httpx takes a quarter of the start of an agent, which only calls the gateway's socket.
The connections of `sdk.unix_http` block their thread: they are for short questions, not for streams to be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

ANSWER_LIMIT_BYTES = 4 << 20
"""Far more than any list of models needs; a longer answer counts as endless."""


class HttpFailed(Exception):
    """No whole answer was received; the text is the kind of failure, such as `ConnectError`, as httpx names it."""


class HttpAnswer(Protocol):
    """An answer of which status and headers were received; its body is received while `chunks` is read."""

    @property
    def status(self) -> int:
        """The HTTP status of the final answer, such as 200; an error status is an answer like any other."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case name to value; several values of one name are separated by commas."""
        ...

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, decompressed; call it once.

        Raises:
            HttpFailed: The connection broke before the end of the body, or nothing was received for too long.
        """
        ...


class HttpClient(Protocol):
    """Sends requests to one server, and keeps a connection for the next one; `close` ends its use."""

    def ask(self, method: str, path: str, body: bytes | None = None) -> AbstractAsyncContextManager[HttpAnswer]:
        """Send a request; entering the context waits for the headers of the answer, leaving it ends the call.

        Args:
            method: `GET` or `POST`.
            path: The path, relative to the base URL; one that begins with a slash, to the base URL without `/v1/`.
            body: JSON; None for no body.

        Raises:
            HttpFailed: On entering: there is no connection, or it broke before the headers.
        """
        ...

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that was received to its end; its status may be that of an error."""

    status: int
    headers: Mapping[str, str]
    """Name in lower case -> value; the values of a name that was sent several times are separated by commas."""
    content: bytes
    """The whole body, without the compression of its transfer; may be empty."""


async def get_whole(client: HttpClient, path: str, *, deadline_s: float) -> WholeAnswer:
    """Get a whole small answer; size and total time are limited, whatever the server sends and however slowly.

    An answer with an error status is returned, not raised.

    Args:
        client: Sends the request.
        path: The path, relative to the base URL.
        deadline_s: The limit for everything, in seconds.

    Raises:
        HttpFailed: The request failed, the answer was not complete in time (`ReadTimeout`), or it is larger than
            `ANSWER_LIMIT_BYTES` (`EndlessAnswer`).
    """
    body = bytearray()
    try:
        async with (
            asyncio.timeout(deadline_s),
            client.ask("GET", path) as answer,
            aclosing(answer.chunks()) as chunks,
        ):
            async for chunk in chunks:
                body += chunk
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise HttpFailed("EndlessAnswer")
    except TimeoutError as error:
        raise HttpFailed("ReadTimeout") from error
    return WholeAnswer(answer.status, answer.headers, bytes(body))
