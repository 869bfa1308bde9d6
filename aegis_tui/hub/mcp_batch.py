"""JSON-RPC batches for an MCP application that accepts only single messages.

Revision 2025-03-26 of MCP requires servers to accept batches (basic, "Batching"); 2025-06-18 removed them again. A
client of the former revision names it in its headers, or names none.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aegis_tui.errors import UsageError
from aegis_tui.hub.guard import MAX_BODY_BYTES, refuse, too_large
from aegis_tui.hub.request import parse_json

_VERSION_HEADER = "mcp-protocol-version"
_WITH_BATCHES = "2025-03-26"
_INVALID_REQUEST = -32600
_PARSE_ERROR = -32700
MAX_MESSAGES = 100
"""The most messages in one batch: the library creates a transport for each."""


class Batches:
    """Answers the messages of a batch one after the other, and passes every other request to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: a batch with the list of its answers, any other by the application.

        A batch is a JSON list that is not empty, from a client whose headers name the MCP revision 2025-03-26 or none.
        One of notifications alone is answered with 202 and no body. 413 for a body that is too large, 400 for one that
        is not strict JSON or a batch of over `MAX_MESSAGES` (100).
        """
        body = await _body(receive)
        if body is None:
            await refuse(scope, send, 413, too_large())
            return
        try:
            content = parse_json(body)
        except UsageError as error:
            await _send_json(send, 400, _invalid(None, error.message, code=_PARSE_ERROR))
            return
        takes_batches = Headers(scope=scope).get(_VERSION_HEADER, _WITH_BATCHES) == _WITH_BATCHES
        messages = content if takes_batches and isinstance(content, list) else []
        if len(messages) > MAX_MESSAGES:
            await _send_json(send, 400, _invalid(None, f"a batch has at most {MAX_MESSAGES} messages"))
        elif messages:
            answers = [answer for message in messages if (answer := await self._answer(scope, receive, message))]
            await _send_json(send, 200 if answers else 202, answers or None)
        else:
            await self._app(scope, _replayed(body, receive), send)

    async def _answer(self, scope: Scope, receive: Receive, message: object) -> Any:
        """Return the answer of the application to one message of a batch, as parsed JSON; None for a notification.

        For `initialize`, which must not be in a batch, it is an error object.

        Raises:
            JSONDecodeError: The application's answer has a body that is not JSON.
        """
        if isinstance(message, dict) and message.get("method") == "initialize":
            return _invalid(message.get("id"), "initialize must not be part of a batch")
        answer = bytearray()

        async def keep(part: Message) -> None:
            answer.extend(part.get("body", b""))

        await self._app(scope, _replayed(json.dumps(message).encode(), receive), keep)
        return json.loads(answer) if answer else None


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, or what has arrived when the client disconnects; None when it is over 1 MiB."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first gives the whole body, then the further messages of the connection."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _invalid(message_id: object, why: str, *, code: int = _INVALID_REQUEST) -> dict[str, Any]:
    name = "Parse error" if code == _PARSE_ERROR else "Invalid Request"
    error = {"code": code, "message": f"{name}: {why}"}
    return {"jsonrpc": "2.0", "id": message_id, "error": error}


async def _send_json(send: Send, status: int, content: object) -> None:
    """Send a JSON answer; for None, one without a body."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if content is None else json.dumps(content).encode()})
