"""Whatever bytes a server answers, a request ends in a reply or in one of our errors, which names the server."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.llm.over_tcp import TcpClient
from aegis_tui.errors import ModelError, ModelUnavailable
from aegis_tui.ports.llm import ChatReply, ChatRequest, TextDelta

URL = "http://127.0.0.1:8001/v1"
ASK = ChatRequest("m", [{"role": "user", "content": "hi"}])


def chunk(**choice: object) -> bytes:
    return b"data: " + json.dumps({"choices": [choice]}).encode()


pieces = st.sampled_from(
    [
        chunk(delta={"content": "a\u2028"}),
        chunk(delta={"tool_calls": [{"index": 0, "function": {"name": "read", "arguments": "{"}}]}),
        chunk(delta={"tool_calls": [{"function": {"arguments": [1]}}]}),
        chunk(delta={}, finish_reason="stop"),
        chunk(finish_reason={"type": ["x"]}),
        b'data: {"error": {"message": "maximum context length", "code": 400}}',
        b'data: {"error": [[]]}',
        b"data: [DONE]",
        b"data:",
        b"\n\n",
        b"\n",
        b"\r",
        b"\xef\xbb\xbf",
        b'{"choices": [',
        b"<html>",
    ]
)
bodies = st.lists(pieces | st.binary(max_size=6), max_size=8)
statuses = st.sampled_from([100, 200, 200, 200, 204, 301, 400, 401, 404, 413, 429, 500, 503])
heads = st.dictionaries(
    st.sampled_from(["content-encoding", "content-type", "retry-after", "x-aegis-refused", "x-aegis-upstream"]),
    st.sampled_from(["gzip", "br", "0", "text/event-stream", "application/json", "model.lost", "http://10.0.0.1/v1"]),
    max_size=3,
)


@pytest.mark.thorough
@settings(max_examples=80, deadline=None)
@given(bodies, statuses, heads)
def test_any_bytes_are_a_reply_or_one_of_our_errors(body: list[bytes], status: int, head: dict[str, str]) -> None:
    async def stream() -> object:
        async def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(status, headers=head, stream=_Pieces(body))

        client = OpenAIChat(URL, attempts=2, backoff_s=0.0)
        await client.close()
        tcp = TcpClient(f"{URL}/", {}, idle_timeout_s=5.0, connect_timeout_s=5.0)
        await tcp.close()
        tcp._http = httpx.AsyncClient(base_url=f"{URL}/", transport=httpx.MockTransport(answer))
        client._http = tcp
        try:
            async with aclosing(client.stream(ASK)) as parts:
                return [part async for part in parts]
        except (ModelError, ModelUnavailable) as error:
            return error
        finally:
            await client.close()

    outcome = asyncio.run(stream())
    if isinstance(outcome, list):
        assert isinstance(outcome[-1], ChatReply)
        assert all(isinstance(part, TextDelta) for part in outcome[:-1])
        assert "".join(part.text for part in outcome[:-1]) == outcome[-1].text
    else:
        assert isinstance(outcome, ModelError | ModelUnavailable)
        assert outcome.message.isprintable()
        assert URL in outcome.message


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for piece in self._pieces:
            yield piece
