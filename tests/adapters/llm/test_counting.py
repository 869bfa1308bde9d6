"""What a server says about lengths: the context of its model, and the tokens of a prompt (LLM-4)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.ports.llm import ChatRequest
from aegis_tui.testing.canned_llm import CannedModel
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scripted_meters import render_prompt, split_tokens

MESSAGES = [{"role": "user", "content": "Count these words, please."}]
TOOLS = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]


def test_the_tokens_of_a_prompt_are_counted_by_the_server(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"steps": [{"text": "x"}]}))
    server = RecordedLLM(tmp_path, max_model_len=777)

    async def ask() -> tuple[int | None, ...]:
        client = OpenAIChat(server.base_url)
        (model,) = await client.list_models()
        asked = [ChatRequest(model, MESSAGES), ChatRequest(model, MESSAGES, TOOLS), ChatRequest("other", MESSAGES)]
        counts = [await client.count_tokens(request) for request in asked]
        limits = [await client.find_context_tokens(name) for name in (model, "other")]
        await client.close()
        return (*counts, *limits)

    try:
        few, more, none, limit, unknown = asyncio.run(ask())
    finally:
        server.close()
    assert (few, more) == (
        len(split_tokens(render_prompt(MESSAGES))),
        len(split_tokens(render_prompt(MESSAGES, TOOLS))),
    )
    assert (none, limit, unknown) == (None, 777, None)


@pytest.mark.parametrize("over_socket", [False, True])
def test_a_server_that_does_not_count_gives_no_number(tmp_path: Path, *, over_socket: bool) -> None:
    async def ask() -> None:
        async with CannedModel(socket=tmp_path / "s" if over_socket else None) as server:
            client = OpenAIChat(server.base_url)
            assert await client.count_tokens(ChatRequest("canned", MESSAGES)) is None
            assert await client.find_context_tokens("canned") is None
            server.context_tokens, server.counted_tokens = 100, 7
            assert await client.count_tokens(ChatRequest("canned", MESSAGES)) == 7
            assert await client.find_context_tokens("canned") == 100
            await client.close()
        client = OpenAIChat(server_url)
        assert await client.count_tokens(ChatRequest("canned", MESSAGES)) is None
        assert await client.find_context_tokens("canned") is None
        await client.close()

    server_url = f"http+unix:{tmp_path / 'gone'}" if over_socket else "http://127.0.0.1:9"
    asyncio.run(ask())
