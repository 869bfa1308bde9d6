"""Lines on stdin that are no message are answered: the library drops them, and their sender waits (JSON-RPC 2.0, 5)."""

from __future__ import annotations

from typing import Any, Protocol

from anyio.streams.memory import MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

Item = SessionMessage | Exception


class Incoming(Protocol):
    """What was read, a message or why it is none."""

    def __aiter__(self) -> Any:
        """Until stdin ends."""
        ...


class Outgoing(Protocol):
    """What is written."""

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message."""
        ...


async def sift(incoming: Incoming, messages: MemoryObjectSendStream[Item], outgoing: Outgoing) -> None:
    """Pass messages on until there are no more; answer the rest with -32700 or -32600."""
    async with messages:
        async for item in incoming:
            if isinstance(item, Exception):
                answer = JSONRPCError(jsonrpc="2.0", id=None, error=_fault(item))
                await outgoing.send(SessionMessage(answer))
            else:
                await messages.send(item)


def _fault(error: Exception) -> ErrorData:
    is_json = isinstance(error, ValidationError) and all(item["type"] != "json_invalid" for item in error.errors())
    if is_json:
        return ErrorData(code=INVALID_REQUEST, message="Invalid Request: not one JSON-RPC 2.0 message")
    return ErrorData(code=PARSE_ERROR, message="Parse error: a line must be one JSON object")
