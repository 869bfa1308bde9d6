"""Model calls through a real gateway process, to a model server whose every byte is decided here."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.gateway.conftest import (
    CHAT_STREAM,
    MESSAGES_STREAM,
    OTHER_TOKEN,
    RESPONSES_STREAM,
    STREAM_HEAD,
    TOKEN,
    Gateway,
    ModelServer,
    Seen,
    chunked,
    until,
    whole,
)

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "stream", "tokens"),
    [
        (CHAT, CHAT_STREAM, (100, 7, 64)),
        ("/v1/messages", MESSAGES_STREAM, (100, 9, 80)),
        ("/v1/responses", RESPONSES_STREAM, (50, 5, 32)),
    ],
    ids=["chat", "messages", "responses"],
)
def test_a_stream_passes_byte_for_byte_and_is_counted(
    gateway: Gateway, path: str, stream: bytes, tokens: tuple[int, int, int]
) -> None:
    for tcp in (False, True):
        answer = gateway.client(tcp=tcp).post(path, json={"model": "tiny", "stream": True})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.content == stream

    line, _ = gateway.wait_for_lines(2)
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == tokens
    assert (line["agent_id"], line["route"], line["model"]) == ("NATIVE-w01", path, "tiny")
    assert (line["status"], line["error"]) == (200, None)
    assert 0 < line["ttft_s"] <= line["latency_s"]


def test_the_first_bytes_arrive_before_the_rest_is_made(gateway: Gateway, model_server: ModelServer) -> None:
    going_on = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def two_parts(_: Seen) -> AsyncIterator[bytes]:
        loops.append(asyncio.get_running_loop())
        yield STREAM_HEAD + chunked(b"data: {}\n\n")
        await going_on.wait()
        yield chunked(b"data: [DONE]\n\n") + chunked(b"")

    model_server.answers[CHAT] = two_parts
    with gateway.client().stream("POST", CHAT, json={"model": "tiny", "stream": True}) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"data: {}\n\n"
        loops[0].call_soon_threadsafe(going_on.set)
        assert b"".join(parts) == b"data: [DONE]\n\n"


def test_a_complete_body_is_sent_on_unchanged(gateway: Gateway, model_server: ModelServer) -> None:
    body = b'{ "model":"tiny",\n "messages": [{"role":"user","content":"gr\xc3\xbc\xc3\x9f \\u00fc"}] }'
    gateway.client().post(CHAT, content=body, headers={"content-type": "application/json"})

    assert model_server.calls(CHAT)[0].body == body


def test_what_is_missing_is_filled_in_and_nothing_else_changes(gateway: Gateway, model_server: ModelServer) -> None:
    client = gateway.client()
    client.post(CHAT, content=b'{"stream":true, "messages":[{"content":"\xc3\xbc"}]}')
    client.post(CHAT, json={"model": "default", "stream": True, "stream_options": {"x": 1}, "temperature": 0.5})
    client.post("/v1/messages", json={"stream": True, "max_tokens": 4})

    first, second = model_server.calls(CHAT)
    assert first.body.endswith(b'"stream":true, "messages":[{"content":"\xc3\xbc"}]}')
    assert (first.json["model"], first.json["stream_options"]) == ("tiny", {"include_usage": True})
    assert second.json == {
        "model": "tiny",
        "stream": True,
        "stream_options": {"x": 1, "include_usage": True},
        "temperature": 0.5,
    }
    (third,) = model_server.calls("/v1/messages")
    assert third.json == {"model": "tiny", "stream": True, "max_tokens": 4}


def test_the_model_of_the_map_goes_before_the_servers_first(gateway: Gateway, model_server: ModelServer) -> None:
    gateway.write_map(model_server.url, model="big")
    gateway.client().post(CHAT, json={"messages": []})

    assert model_server.calls(CHAT)[0].json["model"] == "big"


def test_a_connection_that_dies_under_a_request_is_no_failed_call(gateway: Gateway, model_server: ModelServer) -> None:
    model_server.lingers = True
    client = gateway.client()
    statuses = [client.post(CHAT, json={"model": "tiny", "n": count}).status_code for count in range(5)]

    assert statuses == [200] * 5
    assert [call.json["n"] for call in model_server.calls(CHAT)] == [0, 1, 2, 3, 4]


def test_no_token_of_an_instance_reaches_the_model_server(gateway: Gateway, model_server: ModelServer) -> None:
    headers = {"x-api-key": TOKEN, "cookie": "a=b", "anthropic-version": "2023-06-01"}
    gateway.client().post("/v1/messages?beta=true", json={"model": "tiny"}, headers=headers)

    (seen,) = model_server.calls("/v1/messages?beta=true")
    assert TOKEN not in json.dumps(seen.headers)
    assert not {"authorization", "x-api-key", "cookie"} & seen.headers.keys()
    assert seen.headers["anthropic-version"] == "2023-06-01"


def test_a_key_for_the_model_server_comes_from_its_file(gateway: Gateway, model_server: ModelServer) -> None:
    key_file = gateway.state / "key"
    key_file.write_text("sk-own\n", encoding="utf-8")
    gateway.write_map(model_server.url, upstream_token_file=str(key_file))
    gateway.client().post(CHAT, json={"model": "tiny"})

    assert model_server.calls(CHAT)[0].headers["authorization"] == "Bearer sk-own"


def test_an_answer_that_is_no_stream_is_passed_whole_and_counted(gateway: Gateway, model_server: ModelServer) -> None:
    body = b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": null}}'
    model_server.answers[CHAT] = lambda _: whole(body)
    answer = gateway.client().post(CHAT, json={"model": "tiny"})

    assert answer.content == body
    (line,) = gateway.wait_for_lines(1)
    assert (line["prompt_tokens"], line["completion_tokens"], line["stream"]) == (3, 2, False)


def test_an_error_of_the_model_server_is_passed_on_as_it_is(gateway: Gateway, model_server: ModelServer) -> None:
    body = b'{"error":{"message":"no such model","type":"NotFoundError","code":404}}'
    model_server.answers[CHAT] = lambda _: whole(body, status=404)
    answer = gateway.client().post(CHAT, json={"model": "other"})

    assert (answer.status_code, answer.content) == (404, body)
    (line,) = gateway.wait_for_lines(1)
    assert line["error"] == "http.404"


def _closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


def test_a_model_server_that_is_down_is_named_in_the_answer(gateway: Gateway) -> None:
    url = f"http://127.0.0.1:{_closed_port()}/v1"
    gateway.write_map(url)
    for path in (CHAT, "/v1/messages"):
        answer = gateway.client().post(path, json={"model": "tiny", "stream": True})

        assert answer.status_code == 502
        error = answer.json()["error"]
        assert error["code"] == "model.unavailable"
        assert url in error["message"]
        assert (answer.json().get("type") == "error") == (path == "/v1/messages")
    lines = gateway.wait_for_lines(2)
    assert [(line["status"], line["error"]) for line in lines] == [(502, "model.unavailable")] * 2


def until_broken(gateway: Gateway, path: str) -> bytes:
    """What a stream brings until its connection breaks, which it has to."""
    received = b""
    with (
        gateway.client().stream("POST", path, json={"model": "tiny", "stream": True}) as answer,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete"),
    ):
        for part in answer.iter_raw():
            received += part
    return received


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "until the connection ends"])
def test_a_stream_that_breaks_ends_in_an_error_and_never_in_a_good_end(
    gateway: Gateway, model_server: ModelServer, is_chunked: bool
) -> None:
    begun = b'data: {"a": 1}\n\ndata: {"cut'

    async def breaks(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD if is_chunked else b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        yield chunked(begun) if is_chunked else begun

    for path in (CHAT, "/v1/messages", "/v1/responses"):
        model_server.answers[path] = breaks
        received = until_broken(gateway, path)

        assert received.startswith(begun + b"\n\n")
        last = received.decode().strip().split("\n\n")[-1]
        assert json.loads(last.partition("data: ")[2])["error"]["code"] == "upstream.lost"
        assert last.startswith("data: " if path == CHAT else "event: error\n")
        assert b"[DONE]" not in received
    assert [line["error"] for line in gateway.wait_for_lines(3)] == ["upstream.lost"] * 3


@pytest.mark.parametrize("has_begun", [True, False], ids=["in the middle", "before the first byte"])
def test_a_client_that_hangs_up_ends_the_call_on_the_server(
    gateway: Gateway, model_server: ModelServer, has_begun: bool
) -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD if has_begun else b""
        while True:
            yield chunked(b"data: {}\n\n") if has_begun else b""
            await asyncio.sleep(0.01)

    model_server.answers[CHAT] = endless
    body = b'{"model":"tiny","stream":true}'
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gateway.runtime / "gateway.sock"))
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
            % (TOKEN.encode(), len(body), body)
        )
        if has_begun:
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        else:
            until(lambda: model_server.calls(CHAT), "the model server has the call")
    until(lambda: model_server.hung_up, "the model server sees the end")
    (line,) = gateway.wait_for_lines(1)
    assert line["error"] == "cancelled"


def test_a_public_endpoint_is_refused_before_a_byte_is_sent(gateway: Gateway) -> None:
    gateway.write_map("http://8.8.8.8/v1")
    first = gateway.client().post(CHAT, json={"model": "tiny"})
    gateway.write_map("https://api.example.com/v1")
    second = gateway.client().post(CHAT, json={"model": "tiny"})

    assert [answer.status_code for answer in (first, second)] == [502, 502]
    assert [answer.json()["error"]["code"] for answer in (first, second)] == ["boundary.endpoint"] * 2
    assert "not looked up" in second.json()["error"]["message"]


def test_without_the_setting_no_prompt_is_written_down_and_a_token_never(gateway: Gateway) -> None:
    gateway.client().post(CHAT, json={"model": "tiny", "stream": True, "messages": [{"content": "my secret plan"}]})
    gateway.client(OTHER_TOKEN).post(CHAT, content=b"my secret plan, torn")
    gateway.wait_for_lines(1)
    gateway.stop()

    written = [path.read_bytes() for path in gateway.state.rglob("*") if path.is_file()]
    assert len(written) >= 2
    for text in written:
        for secret in (b"secret plan", TOKEN.encode(), OTHER_TOKEN.encode()):
            assert secret not in text
    log = gateway.state / "logs" / "model-calls.jsonl"
    assert log.stat().st_mode & 0o077 == 0


def test_thirty_two_streams_at_once_all_arrive_whole(gateway: Gateway) -> None:
    async def all_at_once() -> list[bytes]:
        transport = httpx.AsyncHTTPTransport(uds=str(gateway.runtime / "gateway.sock"))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://g", headers=headers, timeout=20) as client:
            body = {"model": "tiny", "stream": True}
            answers = await asyncio.gather(*(client.post(CHAT, json=body) for _ in range(32)))
            return [answer.content for answer in answers]

    assert asyncio.run(all_at_once()) == [CHAT_STREAM] * 32
    lines = gateway.wait_for_lines(32)
    assert sum(line["completion_tokens"] for line in lines) == 32 * 7


FINISHED = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
OPEN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


async def sent(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (OPEN_HEAD, FINISHED),
        (OPEN_HEAD, FINISHED.rstrip()),
        (OPEN_HEAD, FINISHED.replace(b"\n", b"\r")),
        (OPEN_HEAD, b'{\n "choices": [{\n  "finish_reason" : "stop"}]}'),
        (STREAM_HEAD, chunked(FINISHED)),
    ],
    ids=["no done marker", "no line end", "CR", "one JSON body", "chunks without their end"],
)
def test_an_answer_that_says_why_it_stopped_is_whole(
    gateway: Gateway, model_server: ModelServer, head: bytes, body: bytes
) -> None:
    model_server.answers[CHAT] = lambda _: sent(head, body)
    answer = gateway.client().post(CHAT, json={"model": "tiny", "stream": True})

    assert b'"error"' not in answer.content
    assert gateway.wait_for_lines(1)[0]["error"] is None


def test_an_answer_names_the_server_and_a_refusal_of_the_gateway_itself(
    gateway: Gateway, model_server: ModelServer
) -> None:
    client = gateway.client()
    url = f"{model_server.url}/v1"
    assert client.get("/v1/models").headers["x-aegis-upstream"] == url
    assert client.post(CHAT, json={"model": "tiny", "stream": True}).headers["x-aegis-upstream"] == url
    model_server.answers[CHAT] = lambda _: whole(b'{"error": "no"}', status=400)
    refused = client.post(CHAT, json={"model": "tiny"})
    assert (refused.headers["x-aegis-upstream"], "x-aegis-refused" in refused.headers) == (url, False)
    assert gateway.client("nobody").post(CHAT).headers["x-aegis-refused"] == "token"


def test_a_key_that_the_server_repeats_reaches_no_agent_and_no_log(gateway: Gateway, model_server: ModelServer) -> None:
    (gateway.state / "key").write_text("sk-own-secret\n", encoding="utf-8")
    gateway.write_map(model_server.url, upstream_token_file=str(gateway.state / "key"))
    for kind in (b"application/json", b"text/event-stream"):
        body = b'{"error": {"message": "Incorrect API key provided: sk-own-secret"}}'
        head = b"HTTP/1.1 401 X\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        model_server.answers[CHAT] = lambda _, head=head, body=body: sent(head, body)  # type: ignore[misc]
        answer = gateway.client().post(CHAT, json={"model": "tiny", "stream": True})
        assert answer.status_code == 401
        assert b"[key]" in answer.content and b"sk-own" not in answer.content
    assert "sk-own" not in (gateway.state / "gateway.log").read_text()
    assert "sk-own" not in json.dumps(gateway.wait_for_lines(2))


def test_a_key_file_that_is_not_usable_is_said_without_its_place(gateway: Gateway, model_server: ModelServer) -> None:
    gateway.write_map(model_server.url, upstream_token_file=str(gateway.state / "gone"))
    answer = gateway.client().post(CHAT, json={"model": "tiny"})

    assert (answer.status_code, answer.headers["x-aegis-refused"]) == (503, "model.key")
    assert str(gateway.state) not in answer.text
    assert model_server.calls(CHAT) == []


@pytest.mark.parametrize(
    ("path", "stream"),
    [(CHAT, CHAT_STREAM), ("/v1/messages", MESSAGES_STREAM), ("/v1/responses", RESPONSES_STREAM)],
    ids=["chat", "messages", "responses"],
)
def test_a_client_that_hangs_up_after_the_last_event_had_a_good_call(
    gateway: Gateway, model_server: ModelServer, path: str, stream: bytes
) -> None:
    """Programs stop to read at the event that ends an answer; the body may end much later."""

    async def lingering(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD + chunked(stream)
        while True:
            await asyncio.sleep(0.01)
            yield chunked(b": still here\n\n")

    model_server.answers[path] = lingering
    body = b'{"model":"tiny","stream":true}'
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gateway.runtime / "gateway.sock"))
        head = (
            f"POST {path} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        received = b""
        while stream.rstrip()[-20:] not in received:
            received += client.recv(65536)
    until(lambda: model_server.hung_up, "the model server sees the end")
    (line,) = gateway.wait_for_lines(1)
    assert (line["status"], line["error"]) == (200, None)
