"""Tests by one small request whether a model can chat and calls tools; embedding models and rerankers refuse it."""

from __future__ import annotations

from contextlib import aclosing

from aegis_tui.adapters.llm.key import FindKey
from aegis_tui.ports.llm import ChatReply, ping_request
from aegis_tui.sdk.resolve import resolve_endpoint

_TOKENS = 256


async def try_model(base_url: str, model: str, *, find_key: FindKey = str) -> bool:
    """Return whether the model calls a tool when asked to; if this returns at all, True or False, the model can chat.

    It is asked once, and once more if the server does not answer or refuses for the moment.

    Args:
        base_url: The URL of an endpoint that was probed before.
        model: The name of the model.
        find_key: Returns the key to send; empty for none.

    Raises:
        ModelRefused: The server does not allow this model to chat with tools.
        ModelError: The answer is not a valid reply, or is broken off.
        ModelUnavailable: The server does not answer, or its host is unknown.
        Refused: The endpoint is outside the boundary.
        UsageError: The key file cannot be used.
    """
    from aegis_tui.adapters.llm.openai import OpenAIChat  # brings httpx, and every hub imports this module

    await resolve_endpoint(base_url)
    client = OpenAIChat(base_url, api_key=find_key(), attempts=2)
    request = ping_request(model, max_tokens=_TOKENS)
    try:
        async with aclosing(client.stream(request)) as parts:
            async for part in parts:
                if isinstance(part, ChatReply):
                    return bool(part.tool_calls)
    finally:
        await client.close()
    return False
