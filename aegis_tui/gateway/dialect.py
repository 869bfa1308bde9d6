"""Error bodies in the form of each API, so that every agent program understands the gateway's refusals.

Sources: OpenAI and Anthropic API error objects, as vLLM 0.32 sends them; google.rpc.Status for Google's API.
"""

from __future__ import annotations

import json
from typing import Any, Literal

Dialect = Literal["chat", "responses", "messages", "google"]

COUNT_PATH = "/v1/messages/count_tokens"
"""The path that only counts the tokens of a prompt."""

TOKENIZE_PATH = "/tokenize"
"""The path at which vLLM counts the tokens of a chat."""

COUNT_PATHS = frozenset({COUNT_PATH, TOKENIZE_PATH})
"""The paths that compute nothing but a number of tokens."""

RELAYED: dict[str, Dialect] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    COUNT_PATH: "messages",
    TOKENIZE_PATH: "chat",
}
"""The paths whose requests are passed on, and the dialect of each."""

GOOGLE_PREFIX = "/v1beta/"
"""Beginning of the paths of Google's Gemini API, whose requests are translated (`gateway/google.py`)."""

_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}


def dialect_of(path: str) -> Dialect:
    """Return the API that a request's path belongs to, which decides the form of errors; `chat` if it is of none."""
    return "google" if path.startswith(GOOGLE_PREFIX) else RELAYED.get(path, "chat")


def _type_of(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 403:
        return "permission_error"
    return "api_error" if status >= 500 else "invalid_request_error"


def error_body(dialect: Dialect, status: int, *, code: str, message: str, hint: str = "") -> bytes:
    """Return the JSON body of a refusal, in the form of the client's API.

    Args:
        dialect: The API that the client uses.
        status: The HTTP status of the response; the kind of the error follows from it.
        code: A stable code, as in `AegisError.code`; Google's form has no place for it.
        message: One sentence.
        hint: What to do next, put after the message and a colon; left out when empty.
    """
    said = f"{message}: {hint}" if hint else message
    if dialect == "google":
        usual = "UNAVAILABLE" if status >= 500 else "INVALID_ARGUMENT"
        fields = {"code": status, "message": said, "status": _GOOGLE_STATUS.get(status, usual)}
        return json.dumps({"error": fields}).encode()
    error: dict[str, Any] = {"message": said, "type": _type_of(status), "code": code}
    if dialect == "messages":
        return json.dumps({"type": "error", "error": error}).encode()
    return json.dumps({"error": {**error, "param": None}}).encode()


def stream_error(dialect: Dialect, *, code: str, message: str) -> bytes:
    """Return the bytes of the error event that ends a broken stream of server-sent events.

    No client can take it for a successful end. The leading blank line ends the event that was cut off.

    Args:
        dialect: The API that the client uses; not `google`, whose streams have a form of their own.
        code: A stable code, such as `upstream.lost`.
        message: One sentence.
    """
    error = {"message": message, "type": "api_error", "code": code}
    if dialect == "chat":
        return b"\n\ndata: " + json.dumps({"error": error}).encode() + b"\n\n"
    body = {"type": "error", "error": error, "code": code, "message": message}
    return b"\n\nevent: error\ndata: " + json.dumps(body).encode() + b"\n\n"
