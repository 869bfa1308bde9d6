from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from aegis_tui.adapters.llm.openai import OpenAIChat, split_base_url
from aegis_tui.errors import AegisError, ModelError, ModelMalformed, ModelRefused, ModelUnavailable, UsageError
from aegis_tui.ports.llm import ChatModel, ChatReply, ChatRequest, TextDelta, ToolCall, Usage
from aegis_tui.testing.canned_llm import Canned, CannedModel, calls, delta, says, sse, usage

ASK = ChatRequest("m", [{"role": "user", "content": "hi"}], [{"type": "function", "function": {"name": "f"}}])


def with_server(scenario: Callable[[CannedModel, OpenAIChat], Awaitable[None]], *, socket: Path | None = None) -> None:
    """Play a scenario with a server on this socket; without one, first over TCP and then over a socket."""
    if socket is not None:
        play_once(scenario, socket)
        return
    play_once(scenario, None)
    with TemporaryDirectory(prefix="g") as folder:
        play_once(scenario, Path(folder, "g.sock"))


def play_once(scenario: Callable[[CannedModel, OpenAIChat], Awaitable[None]], socket: Path | None) -> None:
    async def run() -> None:
        async with CannedModel(socket=socket) as server:
            client = OpenAIChat(server.base_url, api_key="secret", attempts=3, backoff_s=0.01, idle_timeout_s=5.0)
            try:
                await scenario(server, client)
            finally:
                await client.close()

    asyncio.run(run())


async def collect(client: ChatModel, request: ChatRequest = ASK) -> tuple[str, ChatReply]:
    shown, reply = "", None
    async for part in client.stream(request):
        if isinstance(part, TextDelta):
            shown += part.text
        else:
            assert reply is None
            reply = part
    assert reply is not None
    return shown, reply


def test_text_comes_in_pieces_and_then_as_a_whole_with_its_usage() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(says("hello there"))
        shown, reply = await collect(client)
        assert shown == reply.text == "hello there "
        assert reply.finish_reason == "stop"
        assert reply.usage == Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=50)
        assert server.authorizations == ["Bearer secret"]
        assert server.requests[0]["stream_options"] == {"include_usage": True}
        assert server.requests[0]["tools"] == list(ASK.tools)

    with_server(scenario)


def test_several_calls_are_put_together_from_fragments() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(calls(("read", {"path": "a.py", "start": 1}), ("bash", "{broken"), text="Looking."))
        _, reply = await collect(client)
        assert reply.text == "Looking."
        assert reply.tool_calls == (
            ToolCall("c0", "read", '{"path": "a.py", "start": 1}'),
            ToolCall("c1", "bash", "{broken"),
        )

    with_server(scenario)


def test_fragments_without_index_or_id_are_still_put_together() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(
            Canned(
                [
                    delta(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": '{"x"'}}]),
                    delta(tool_calls=[{"function": {"arguments": ": 1}"}}]),
                    delta(tool_calls=[{"id": "b", "function": {"name": "g", "arguments": "{}"}}]),
                    delta(finish="tool_calls", content=None),
                    sse("[DONE]"),
                ]
            )
        )
        server.will(
            Canned(
                [
                    delta(tool_calls=[{"index": 0, "id": "", "function": {"name": "f", "arguments": None}}]),
                    delta(tool_calls=[{"index": 1, "id": None, "function": {"name": "g", "arguments": "{}"}}]),
                    delta(finish="tool_calls"),
                ]
            )
        )
        _, first = await collect(client)
        assert first.tool_calls == (ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "{}"))
        _, second = await collect(client)
        assert [call.name for call in second.tool_calls] == ["f", "g"]
        assert len({call.id for call in second.tool_calls}) == 2

    with_server(scenario)


def test_bytes_may_be_split_anywhere_even_inside_a_character() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        whole = sse({"choices": [{"delta": {"content": "한국어"}}]}).replace(
            b"\\ud55c\\uad6d\\uc5b4", "한국어".encode()
        ) + delta(finish="stop")
        server.will(Canned([whole[place : place + 1] for place in range(len(whole))]))
        shown, _ = await collect(client)
        assert shown == "한국어"

    with_server(scenario)


def test_usage_in_every_chunk_counts_once() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([usage(5, 1), delta(content="x", finish="stop"), usage(5, 2), sse("[DONE]")]))
        _, reply = await collect(client)
        assert reply.usage == Usage(5, 2, 0)

    with_server(scenario)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_server_that_is_busy_is_asked_again(status: int) -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([b'{"error": {"message": "busy"}}'], status), Canned([], status, ["Retry-After: 0"]))
        server.will(says("at last"))
        shown, _ = await collect(client)
        assert shown == "at last "
        assert len(server.requests) == 3

    with_server(scenario)


def test_a_server_that_stays_busy_is_unavailable_in_the_end() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(*[Canned([b'{"error": {"message": "queue full"}}'], 429)] * 3)
        with pytest.raises(ModelUnavailable, match="queue full"):
            await collect(client)
        assert len(server.requests) == 3

    with_server(scenario)


def test_a_connection_lost_before_the_first_token_is_tried_again() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([], dies=True), Canned([delta(role="assistant")]), says("back"))
        shown, _ = await collect(client)
        assert shown == "back "

    with_server(scenario)


def test_a_model_that_dies_in_its_reply_is_reported_as_lost_and_not_asked_again() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        for answer in (
            says("half a", dies=True),
            Canned([delta(content="half")]),
            Canned([delta(content="half"), sse({"error": {"message": "upstream.lost"}})]),
        ):
            server.requests.clear()
            server.will(answer)
            with pytest.raises(ModelError) as caught:
                await collect(client)
            assert caught.value.code == "model.lost"
            assert len(server.requests) == 1

    with_server(scenario)


def test_a_refusal_says_what_the_server_said_and_is_not_repeated() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([b'{"error": {"message": "too long", "param": "input_tokens"}}'], 400))
        with pytest.raises(ModelError, match="400: too long") as caught:
            await collect(client)
        assert caught.value.data["status"] == 400
        assert len(server.requests) == 1

    with_server(scenario)


def test_the_served_models_are_listed() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        assert await client.list_models() == ["canned"]

    with_server(scenario)


def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(says("over the socket"))
        shown, _ = await collect(client)
        assert shown == "over the socket "

    with_server(scenario, socket=tmp_path / "g.sock")


def test_no_server_is_unavailable_with_a_hint() -> None:
    async def run() -> AegisError:
        client = OpenAIChat("http://127.0.0.1:9", attempts=2, backoff_s=0.01)
        try:
            await client.list_models()
        except AegisError as error:
            return error
        finally:
            await client.close()
        raise AssertionError("no error")

    error = asyncio.run(run())
    assert isinstance(error, ModelUnavailable)
    assert error.hint


@pytest.mark.parametrize(
    ("given", "url", "socket"),
    [
        ("http://localhost:8001", "http://localhost:8001/v1/", None),
        ("http://localhost:8001/v1/", "http://localhost:8001/v1/", None),
        ("https://h/llm/v1", "https://h/llm/v1/", None),
        ("http+unix:/run/x/gateway.sock", "http://localhost/v1/", "/run/x/gateway.sock"),
        ("http+unix://%2Frun%2Fg.sock", "http://localhost/v1/", "/run/g.sock"),
    ],
)
def test_base_urls_are_taken_in_every_form(given: str, url: str, socket: str | None) -> None:
    assert split_base_url(given) == (url, socket)


def test_another_scheme_is_refused() -> None:
    with pytest.raises(UsageError):
        split_base_url("ftp://x")


@pytest.mark.parametrize(
    "pieces",
    [
        [b'data: {"choices":[{"delta":{"content":"a\xe2\x80\xa8b\xc2\x85c"},"finish_reason":"stop"}]}\n\n'],
        [b'{"choices":[{"message":{"role":"assistant","content":"a\xe2\x80\xa8b\xc2\x85c"},"finish_reason":"stop"}]}'],
        [b'{"choices":[{"delta":{"content":"a\xe2\x80\xa8b\xc2\x85c"}}]}\n{"choices":[{"finish_reason":"stop"}]}\n'],
        [
            b'data:{"choices":[{"delta":{"content":[{"type":"text","text":"a\xe2\x80\xa8b\xc2\x85c"}]}}]}\r\r',
            b'data: {"choices":[{"finish_reason":"stop"}]}',
        ],
    ],
    ids=["separators", "one JSON body", "a value a line", "CR and an unended last event"],
)
def test_every_form_of_a_whole_reply_is_read(pieces: list[bytes]) -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned(pieces))
        shown, reply = await collect(client)
        assert shown == reply.text == "a\u2028b\x85c"
        assert reply.finish_reason == "stop"

    with_server(scenario)


def test_a_finished_reply_is_whole_whatever_comes_after() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        whole = [delta(content="ok"), delta(finish="stop")]
        for after in ([], [sse({"error": {"message": "late"}})], [b"data: {cut"]):
            server.will(Canned([*whole, *after], dies=True))
            _, reply = await collect(client)
            assert reply.text == "ok"

    with_server(scenario)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><body>Please log in</body></html>\n", "Please log in"),
        (b"data: {nonsense\n\n", "{nonsense"),
        (b"data: [1]\n\n", "a chunk that is not an object: [1]"),
        (b'data: {"choices": "x"}\n\n', "choices that are not a list: x"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "not JSON"),
    ],
)
def test_an_odd_reply_names_the_server_and_the_piece(body: bytes, said: str) -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([body]))
        with pytest.raises(ModelMalformed) as caught:
            await collect(client)
        assert said in str(caught.value) and server.base_url in str(caught.value)
        assert len(server.requests) == 1

    play_once(scenario, None)


def test_behind_the_gateways_socket_errors_name_the_server_and_never_the_socket(tmp_path: Path) -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        upstream = "X-Aegis-Upstream: http://10.0.0.7:8001/v1"
        for answer in (
            Canned([b'{"error": "no"}'], 400, [upstream]),
            Canned([b"data: x\n\n"], 200, [upstream]),
            Canned([delta(content="half")], 200, [upstream], dies=True),
            *[Canned([b'{"error": {"message": "at http://10.0.0.7:8001/v1"}}'], 502, ["X-Aegis-Refused: lost"])] * 3,
        ):
            server.will(answer)
        for _ in range(4):
            with pytest.raises(AegisError) as caught:
                await collect(client)
            assert "http://10.0.0.7:8001/v1" in str(caught.value)
            assert "sock" not in str(caught.value)

    with_server(scenario, socket=tmp_path / "gateway.sock")


def test_without_a_gateway_the_socket_is_not_named(tmp_path: Path) -> None:
    async def run() -> None:
        client = OpenAIChat(f"http+unix:{tmp_path}/gateway.sock", attempts=1)
        with pytest.raises(ModelUnavailable, match="the model gateway does not answer") as caught:
            await collect(client)
        assert "sock" not in str(caught.value)
        await client.close()

    asyncio.run(run())


def test_a_pause_follows_what_the_server_asks_and_otherwise_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([], 503, ["Retry-After: 30"]), Canned([], 500), says("ok"))
        with monkeypatch.context() as patch:
            patch.setattr("aegis_tui.adapters.llm.openai.asyncio.sleep", note)
            await collect(client)
        server.will(Canned([], 429, ["Retry-After: 1e9"]), says("ok"))
        with monkeypatch.context() as patch:
            patch.setattr("aegis_tui.adapters.llm.openai.asyncio.sleep", note)
            await collect(client)

    with_server(scenario)
    assert 30 <= pauses[0] <= 33
    assert 0.01 <= pauses[1] <= 0.02
    assert 60 <= pauses[2] <= 66


def test_a_redirect_is_told_with_its_place_and_not_followed() -> None:
    async def scenario(server: CannedModel, client: OpenAIChat) -> None:
        server.will(Canned([], 307, ["Location: http://elsewhere/v1"]))
        with pytest.raises(ModelRefused, match="a redirect to http://elsewhere/v1"):
            await collect(client)

    with_server(scenario)
