"""One end of a JSON-RPC 2.0 connection over two streams of lines; the other end is not trusted (AGENT-3).

Whatever the other end sends, reading goes on: what is no message is dropped and counted, and what asks for something
unknown gets an error. See https://www.jsonrpc.org/specification and https://agentclientprotocol.com/protocol/transports.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from aegis_tui.errors import AegisError, Unavailable

METHOD_NOT_FOUND: Final = -32601
INTERNAL_ERROR: Final = -32603
TOO_MANY: Final = -32000

LINE_BYTES: Final = 16 * 1024 * 1024
"""The longest message that is read. A longer one is dropped; if it is an answer, its request fails."""
_MOST_REQUESTS = 64
"""So many requests of the other end may run at a time; as many more are being refused, and others are dropped."""
_ID_CHARS = 1000
_ANSWER = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,9})\s*,\s*"(?:result|error)"')
_MESSAGE_CHARS = 2000
_log = logging.getLogger(__name__)

Params = Mapping[str, Any]
OnRequest = Callable[[str, Params], Awaitable[Any]]
"""Takes method and parameters of a request, and returns its result; any error that it raises is answered."""
OnNotice = Callable[[str, Params], None]
"""Takes method and parameters of a notification."""


class AcpError(Unavailable):
    """The error with which a request was answered, or is to be answered.

    Args:
        message: What went wrong; what another program sent is cut, and may hold hidden characters.
        number: The code, as JSON-RPC and ACP define them.
    """

    def __init__(self, message: str, number: int = INTERNAL_ERROR) -> None:
        super().__init__(message, code="agent.acp")
        self.number = number


class AcpClosed(AcpError):
    """The other end has closed the connection, or it was closed here."""


class Peer:
    """One end of the connection; `run` has to run for as long as it is used.

    Args:
        reader: What the other end sends. Its limit is the longest line; `LINE_BYTES` fits.
        writer: Where to write to the other end.
        on_request: Answers its requests; each runs in a task of its own.
        on_notice: Takes its notifications, in their order.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, on_request: OnRequest, on_notice: OnNotice
    ) -> None:
        self._reader, self._writer = reader, writer
        self._on_request, self._on_notice = on_request, on_notice
        self._next_id = 1
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_closed = False
        """Whether no message comes or goes any more."""
        self.dropped = 0
        """How many lines were dropped because they were no messages, too long, or too many requests."""

    async def run(self) -> None:
        """Read messages until the other end closes the stream; then `close`. Raises nothing."""
        try:
            while (line := await self._line()) is not None:
                self._take(line)
        finally:
            self.close()

    def close(self) -> None:
        """Let every request that waits for its answer fail, and cancel those of the other end; can be repeated."""
        self.is_closed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(AcpClosed("the connection has ended"))
                future.exception()  # whoever waits gets it; nobody has to
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        with suppress(OSError, RuntimeError):
            self._writer.close()

    async def request(self, method: str, params: Params) -> Any:
        """Send a request and return the result, which has any form; cancelling only ends the waiting.

        Raises:
            AcpClosed: The connection has ended, or ends before the answer.
            AcpError: The other end answered with an error, or with a message that is too long.
        """
        if self.is_closed:
            raise AcpClosed("the connection has ended")
        number, self._next_id = self._next_id, self._next_id + 1
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"id": number, "method": method, "params": params})
            return await future
        finally:
            self._waiting.pop(number, None)

    async def notify(self, method: str, params: Params) -> None:
        """Send a notification.

        Raises:
            AcpClosed: The connection has ended.
        """
        await self._send({"method": method, "params": params})

    async def _send(self, message: Params) -> None:
        if self.is_closed:
            raise AcpClosed("the connection has ended")
        try:
            self._writer.write(json.dumps({"jsonrpc": "2.0", **message}).encode("ascii") + b"\n")
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise AcpClosed(f"the connection has ended: {error}") from error

    async def _line(self) -> bytes | None:
        """Return the next line that is not too long; None at the end of the stream, also for a line cut by it."""
        while True:
            try:
                return await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                if not await self._skip(error.consumed):
                    return None
            except (asyncio.IncompleteReadError, OSError):
                return None

    async def _skip(self, consumed: int) -> bool:
        """Drop the rest of a line that is too long, and fail the request that it answers; False if the stream ends."""
        self.dropped += 1
        head = await self._reader.readexactly(consumed)
        if (
            (answer := _ANSWER.match(head[:200]))
            and (future := self._waiting.get(int(answer[1])))
            and not future.done()
        ):
            future.set_exception(AcpError("the answer is too long"))
        del head
        while True:
            try:
                await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                await self._reader.readexactly(error.consumed)
            except (asyncio.IncompleteReadError, OSError):
                return False
            else:
                return True

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.dropped += bool(line.strip())
            return
        method, number = message.get("method"), message.get("id")
        given = message.get("params")
        params = given if isinstance(given, dict) else {}
        if isinstance(method, str) and "id" in message:
            self._accept(method, params, number)
        elif isinstance(method, str):
            self._on_notice(method, params)
        elif isinstance(number, int) and (future := self._waiting.get(number)) is not None and not future.done():
            self._settle(future, message)
        else:
            self.dropped += 1

    def _settle(self, future: asyncio.Future[Any], message: Params) -> None:
        error = message.get("error")
        if error is None:
            future.set_result(message.get("result"))
            return
        said = error if isinstance(error, dict) else {}
        number = said.get("code")
        future.set_exception(AcpError(_words_of(said), number if isinstance(number, int) else INTERNAL_ERROR))

    def _accept(self, method: str, params: Params, number: Any) -> None:
        """Answer a request in a task; without one if so many wait that the other end seems to read no answers."""
        is_id = number is None or (isinstance(number, int | float | str) and len(str(number)) <= _ID_CHARS)
        if not is_id or len(self._tasks) >= 2 * _MOST_REQUESTS:
            self.dropped += 1
            return
        if len(self._tasks) >= _MOST_REQUESTS:
            answer: Awaitable[Any] = self._refuse(number)
        else:
            answer = self._answer(method, params, number)
        task = asyncio.ensure_future(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refuse(self, number: Any) -> None:
        with suppress(AcpClosed):
            await self._send({"id": number, "error": {"code": TOO_MANY, "message": "too many requests at a time"}})

    async def _answer(self, method: str, params: Params, number: Any) -> None:
        try:
            answer = {"id": number, "result": await self._on_request(method, params)}
        except AcpError as error:
            answer = {"id": number, "error": {"code": error.number, "message": error.message}}
        except AegisError as error:
            answer = {"id": number, "error": {"code": INTERNAL_ERROR, "message": str(error)}}
        except Exception:  # without an answer, the other end would wait for ever
            _log.exception("a request over ACP failed unexpectedly")
            answer = {"id": number, "error": {"code": INTERNAL_ERROR, "message": "the request failed unexpectedly"}}
        with suppress(AcpClosed):
            await self._send(answer)


def _words_of(error: Params) -> str:
    """Return what an error says: its message, and the details or the text in its data, at most 2,000 characters."""
    message, data = error.get("message"), error.get("data")
    if isinstance(data, dict):
        data = data.get("details") or data.get("message")
    words = [part.strip() for part in (message, data) if isinstance(part, str) and part.strip()]
    return ": ".join(words)[:_MESSAGE_CHARS] or "an error without words"
