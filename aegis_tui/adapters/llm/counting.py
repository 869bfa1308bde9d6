"""What a model server says about lengths: the context of a model, and the tokens of a prompt."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

from aegis_tui.adapters.llm.http_call import HttpClient, HttpFailed, get_whole
from aegis_tui.ports.llm import ChatRequest

_DEADLINE_S = 10.0
_ANSWER_BYTES = 16 << 20
"""An answer of `/tokenize` also has the number of each token."""


async def find_context_tokens(http: HttpClient, model: str) -> int | None:
    """Return how many tokens a model's context has, as the list of models says (`max_model_len`, as vLLM has it).

    None if it does not say so, or cannot be had. Raises nothing.

    Args:
        http: The server, or the gateway before it.
        model: The name of the model.
    """
    try:
        answer = await get_whole(http, "models", deadline_s=_DEADLINE_S)
        entries = json.loads(answer.content)["data"]
        length = next((entry.get("max_model_len") for entry in entries if entry.get("id") == model), None)
    except (HttpFailed, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return length if isinstance(length, int) and length > 0 else None


async def count_tokens(http: HttpClient, request: ChatRequest) -> int | None:
    """Return the number of tokens of a request's prompt, as the server's `/tokenize` counts them.

    None if it has no `/tokenize`, or does not answer in time. Raises nothing.

    Args:
        http: The server, or the gateway before it.
        request: The request.
    """
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": list(request.messages),
        "add_generation_prompt": True,
    }
    if request.tools:
        fields["tools"] = list(request.tools)
    said = bytearray()
    try:
        body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
        async with (
            asyncio.timeout(_DEADLINE_S),
            http.ask("POST", "/tokenize", body) as answer,
            aclosing(answer.chunks()) as chunks,
        ):
            async for chunk in chunks:
                said += chunk
                if len(said) > _ANSWER_BYTES:
                    return None
        count = json.loads(said)["count"] if answer.status == 200 else None
    except (HttpFailed, TimeoutError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return count if isinstance(count, int) and count > 0 else None
