"""Answers lines on stdin that are not messages: the MCP library drops them without a reply (JSON-RPC 2.0, 5)."""

from __future__ import annotations

from typing import Any, Protocol

from anyio.streams.memory import MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

Item = SessionMessage | Exception


class Incoming(Protocol):
    """The stream of what was read: messages, and an exception for each line that is not one."""

    def __aiter__(self) -> Any:
        """Return an asynchronous iterator over the messages and exceptions; it ends when stdin ends."""
        ...


class Outgoing(Protocol):
    """The stream to write messages to."""

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message."""
        ...


async def sift(incoming: Incoming, messages: MemoryObjectSendStream[Item], outgoing: Outgoing) -> None:
    """Pass on messages until the input ends, then close `messages`.

    Any other line is answered on `outgoing`: with error -32700 if it is no JSON, with -32600 if it is no message.
    Errors of the streams are passed on.
    """
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
