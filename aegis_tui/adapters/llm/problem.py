"""Classifies a model server's error: temporary, or about the key, the model or the conversation.

The wordings are those of vLLM 0.32, SGLang, llama.cpp, Ollama, LM Studio, TGI, OpenAI and Anthropic, and of the chat
templates that they run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aegis_tui.adapters.llm.event_stream import show_piece
from aegis_tui.domain.prompt import inert
from aegis_tui.errors import (
    AegisError,
    ContextOverflow,
    HistoryRefused,
    ModelAbsent,
    ModelKeyRefused,
    ModelMalformed,
    ModelRefused,
    ModelUnavailable,
)
from aegis_tui.sdk.retry_after import parse_retry_after

KEY_HINT = (
    "put its key into a file of your own and name it: api_key_file in the user configuration, or AEGIS_API_KEY_FILE"
)
GATEWAY_HEADER = "x-aegis-refused"
"""Header of an answer by the gateway itself, not the model server: the code of the refusal."""
UPSTREAM_HEADER = "x-aegis-upstream"
"""Header of every answer that the gateway passes on: the model server's base URL."""

_LONG_HINT = "serve the model with a longer context (AEGIS_MAX_LEN), or split the piece"
_TEXT_CHARS = 500
_PASSING_STATUS = frozenset({408, 409, 425, 429})
_CERTAIN_STATUS = frozenset({501, 505})
_OVERFLOW = re.compile(
    r"context.{0,3}(length|size|window)|context_length_exceeded|exceed_context_size|context shift|input_tokens"
    r"|maximum (model|input) length|longer than the maximum|max(imum)?[_ ](model[_ ]len|input[_ ]len|seq|input|total)"
    r"|(prompt|input|request|conversation)( is| are)? too (long|large)|too many (input |prompt )?tokens"
    r"|tokens must be at least 1, got -"
    r"|(inputs?|prompt).{0,20}tokens.{0,60}(exceed|must be <=|>)|maximum number of tokens|context.{0,20}overflow",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(
    r"chat.?template|jinja|templateerror|raise_exception|roles? must alternate|conversation roles|single tool.?call"
    r"|one tool.?call|parallel tool|multiple tool|system (role|message|prompt)s?\b.{0,40}(support|begin|first|start)"
    r"|only (support|user|system)|expected last role|last message|assistant messages? (at the end|must)"
    r"|must (have|contain|not have).{0,30}content|content.{0,20}(empty|must|required)|no user query|tool.?call.?ids?\b"
    r"|(after|before) the (optional )?system|tool role|prefill",
    re.IGNORECASE | re.DOTALL,
)


def problem_of(status: int, body: bytes | str, headers: Mapping[str, str], server: str) -> AegisError:
    """Return (not raise) the error that an HTTP answer with a status of 300 or more represents.

    `ModelUnavailable` if trying again may help; else `ContextOverflow`, `ModelKeyRefused`, `ModelAbsent` or
    `HistoryRefused` (the chat template does not accept the conversation) if the status or the text says so, and
    `ModelRefused` otherwise, also for a redirect. A refusal by the gateway itself may be `ModelMalformed` too.

    Args:
        status: The HTTP status.
        body: The answer's body, in any form.
        headers: Header values by lower-case name.
        server: The server's description for the message.
    """
    text, names = _read(body)
    if refused := headers.get(GATEWAY_HEADER):
        return _of_the_gateway(status, refused, text)
    if status < 400:
        place = inert(headers.get("location", ""))[:_TEXT_CHARS]
        message = f"{server} answered {status}, a redirect" + (f" to {place}" if place else "")
        return ModelRefused(message, "Name the URL that it redirects to as the base URL", status=status)
    return _classified(status, f"{server} answered {status}: {text}", names, headers)


def problem_in_stream(chunk: Mapping[str, Any], server: str) -> AegisError | None:
    """Return (not raise) the error in a chunk of a stream or in a body with status 200; None if it is a normal reply.

    The class is chosen as by `problem_of`, for the status from 400 to 599 that the error names, or else for 500.

    Args:
        chunk: The parsed JSON object.
        server: The server's description for the message.
    """
    problem = chunk.get("error")
    if not problem and chunk.get("object") == "error":
        problem = chunk
    if not problem:
        return None
    text, names = _read(json.dumps({"error": problem}, default=str))
    code = problem.get("code", problem.get("status")) if isinstance(problem, Mapping) else None
    code = int(code) if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3 else code
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    said = text if text.startswith(server) else f"{server} stopped: {text}"  # the gateway names the server already
    return _classified(status, said, names, {})


def _classified(status: int, message: str, names: str, headers: Mapping[str, str]) -> AegisError:
    said = f"{message} {names}"
    if status == 413 or (status in (400, 422, 500) and _OVERFLOW.search(said)):
        limit, asked = _token_counts(message)
        return ContextOverflow(message, _LONG_HINT, status=status, limit_tokens=limit, asked_tokens=asked)
    if status in (401, 403):
        return ModelKeyRefused(message, KEY_HINT, status=status)
    if status == 404:
        return ModelAbsent(message, "Name a model that it serves: --model, or AEGIS_MODEL", status=status)
    if status in (400, 422, 500) and _TEMPLATE.search(said):
        return HistoryRefused(message, "Serve the model with a chat template for tool calls", status=status)
    if status in _PASSING_STATUS or (status >= 500 and status not in _CERTAIN_STATUS):
        hint = "Check it with: aegis-tui doctor"
        return ModelUnavailable(message, hint, status=status, retry_after_s=parse_retry_after(headers))
    return ModelRefused(message, "Check it with: aegis-tui doctor", status=status)


def _of_the_gateway(status: int, code: str, message: str) -> AegisError:
    """Return the error for a refusal by the gateway itself; its message already names the server and the next step.

    Args:
        status: The HTTP status.
        code: The gateway's code of the refusal.
        message: What the gateway said.
    """
    if status == 413:
        return ContextOverflow(message, _LONG_HINT, status=status, limit_tokens=None, asked_tokens=None)
    if code == ModelKeyRefused.code:
        return ModelKeyRefused(message, status=status)
    if code == ModelMalformed.code:
        return ModelMalformed(message)
    if status >= 500 or status == 408:
        return ModelUnavailable(message, status=status, retry_after_s=None)
    return ModelRefused(message, status=status)


def _read(body: bytes | str) -> tuple[str, str]:
    """Return the text in a refusal's body, shortened and safe to show, and the values of type, code and param in it.

    The body may be JSON of any form, HTML or plain text; for one without text, the text is `nothing`.
    """
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        problem = json.loads(text)
    except (ValueError, RecursionError):
        return _shown(re.sub(r"<[^<>]{0,300}>", " ", text)), ""
    if isinstance(problem, dict):
        problem = problem.get("error") or problem
    if not isinstance(problem, dict):
        return (_shown(problem) if isinstance(problem, str) else show_piece(problem)), ""
    detail = problem.get("message") or problem.get("detail") or problem.get("msg") or problem
    names = " ".join(str(problem.get(name)) for name in ("type", "code", "param") if isinstance(problem.get(name), str))
    return (_shown(detail) if isinstance(detail, str) else show_piece(detail)), names[:_TEXT_CHARS]


def _shown(text: str) -> str:
    flat = " ".join(inert(text[: 8 * _TEXT_CHARS]).split())
    return (flat[:_TEXT_CHARS] + "…" if len(flat) > _TEXT_CHARS else flat) or "nothing"


def _token_counts(message: str) -> tuple[int | None, int | None]:
    """Return the model's token limit and the number that was asked for, as a message names them; else None for both.

    The largest number in it counts as the one asked for, the next smaller one of at least 128 as the limit.
    """
    numbers = [int(text.replace(",", "")) for text in re.findall(r"\d[\d,]{2,11}", message)]
    asked = max(numbers, default=0)
    limits = [number for number in numbers if 128 <= number < asked]
    return (max(limits), asked) if limits else (None, None)
