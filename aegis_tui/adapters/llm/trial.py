"""One small request to a model: can it chat, and does it call tools? Embedding models and rerankers refuse it."""

from __future__ import annotations

from contextlib import aclosing

from aegis_tui.adapters.llm.key import FindKey
from aegis_tui.ports.llm import ChatReply, ping_request
from aegis_tui.sdk.resolve import resolve_endpoint

_TOKENS = 256


async def try_model(base_url: str, model: str, *, find_key: FindKey = str) -> bool:
    """Whether the model answers a request with a tool by calling one. It can chat when this returns at all.

    Args:
        base_url: Of an endpoint that was looked at before.
        model: A name that it serves, or may serve.
        find_key: The key to send, if any.

    Raises:
        ModelRefused: The server does not let this model chat with tools.
        ModelError: It answers something that is no reply.
        ModelUnavailable: It does not answer now.
        Refused: The endpoint is outside the boundary.
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
