"""How each API says that something went wrong, so that every agent program understands the gateway's refusals.

Sources: OpenAI and Anthropic API error objects, as vLLM 0.32 answers them.
"""

from __future__ import annotations

import json
from typing import Any, Literal

Dialect = Literal["chat", "responses", "messages"]

RELAYED: dict[str, Dialect] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages",
}
"""The paths that are passed on, and the dialect spoken there."""


def dialect_of(path: str) -> Dialect:
    """The dialect of a path; chat for those that no API owns."""
    return RELAYED.get(path, "chat")


def _type_of(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 403:
        return "permission_error"
    return "api_error" if status >= 500 else "invalid_request_error"


def error_body(dialect: Dialect, status: int, *, code: str, message: str, hint: str = "") -> bytes:
    """The JSON body of a refusal.

    Args:
        dialect: Who asks.
        status: The HTTP status it goes with.
        code: Stable, as in `AegisError.code`.
        message: One sentence.
        hint: The next step; left out when empty.
    """
    said = f"{message}: {hint}" if hint else message
    error: dict[str, Any] = {"message": said, "type": _type_of(status), "code": code}
    if dialect == "messages":
        return json.dumps({"type": "error", "error": error}).encode()
    return json.dumps({"error": {**error, "param": None}}).encode()


def stream_error(dialect: Dialect, *, code: str, message: str) -> bytes:
    """The last event of a stream that broke; never a sign of a good end.

    The leading blank line ends whatever event was cut off.
    """
    error = {"message": message, "type": "api_error", "code": code}
    if dialect == "chat":
        return b"\n\ndata: " + json.dumps({"error": error}).encode() + b"\n\n"
    body = {"type": "error", "error": error, "code": code, "message": message}
    return b"\n\nevent: error\ndata: " + json.dumps(body).encode() + b"\n\n"
