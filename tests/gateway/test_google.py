"""Google's routes through a real gateway process, in front of a server that has chat completions only (LLM-10)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from tests.gateway.conftest import (
    PERSON_TOKEN,
    STREAM_HEAD,
    TOKEN,
    Gateway,
    ModelServer,
    Seen,
    chunked,
    streamed,
    until,
    whole,
)
from tests.gateway.test_routing import vllm

CHAT = "/v1/chat/completions"
ASK = "/v1beta/models/gemini-2.5-pro"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
USAGE = {"prompt_tokens": 40, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 32}}


def event(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice], **more}).encode() + b"\n\n"


def fragment(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"tool_calls": [{"index": index, **more, "function": {**name, "arguments": arguments}}]}


LAST = b"data: " + json.dumps({"id": "c1", "choices": [], "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"
CALLS = b"".join(
    (
        event({"role": "assistant", "content": ""}),
        event({"reasoning_content": "think"}),
        event({"content": "I rea"}),
        event({"content": "d."}),
        event(fragment(0, "", id="a", name="read")),
        event(fragment(0, '{"path": ')),
        event(fragment(1, "", id="b", name="now")),
        event(fragment(0, '"x.py"}')),
        event({}, "tool_calls"),
        LAST,
    )
)


def test_a_prompt_is_remembered_as_the_server_gets_it_with_the_salt_and_the_priority(
    gateway_folders: Gateway, model_server: ModelServer
) -> None:
    vllm(model_server, has_priority=True)
    gateway_folders.write_map(model_server.url, urgencies={"NATIVE-w01": 4})
    gateway_folders.start()

    def sent() -> dict[str, Any]:
        assert google(gateway_folders).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO).status_code == 200
        return model_server.calls(CHAT)[-1].json

    until(lambda: sent().get("cache_salt"), "the abilities are known")
    last = sent()
    assert last["cache_salt"] == (gateway_folders.state / "gateway.salt").read_text() and last["priority"] == 6
    assert google(gateway_folders).post(f"{ASK}:countTokens", json=HELLO).status_code == 200
    (seen,) = gateway_folders.client(PERSON_TOKEN).get("/v1/prefixes").json()["prompts"]
    assert (seen["agent_id"], seen["model"], seen["chars"]) == ("NATIVE-w01", "tiny", len("hello"))


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "text/event-stream"
    pieces = answer.text.split("\r\n\r\n")
    assert pieces.pop() == ""
    return [json.loads(piece.removeprefix("data: ")) for piece in pieces]


def google(gateway: Gateway, **options: Any) -> httpx.Client:
    """A client as gemini-cli is one: over TCP, with the key in Google's header."""
    client = gateway.client("", tcp=True, **options)
    client.headers["x-goog-api-key"] = TOKEN
    return client


def test_a_stream_passes_text_at_once_and_calls_when_they_are_whole(
    gateway: Gateway, model_server: ModelServer
) -> None:
    model_server.answers[CHAT] = lambda _: streamed(CALLS)
    answer = google(gateway).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO)

    assert answer.status_code == 200
    *texts, last = events(answer)
    assert [item["candidates"][0]["content"]["parts"] for item in texts] == [[{"text": "I rea"}], [{"text": "d."}]]
    (candidate,) = last["candidates"]
    assert candidate["content"] == {
        "role": "model",
        "parts": [
            {"functionCall": {"id": "a", "name": "read", "args": {"path": "x.py"}}},
            {"functionCall": {"id": "b", "name": "now", "args": {}}},
        ],
    }
    assert (candidate["finishReason"], candidate["index"]) == ("STOP", 0)
    assert last["usageMetadata"] == {
        **{"promptTokenCount": 40, "candidatesTokenCount": 6, "totalTokenCount": 46, "cachedContentTokenCount": 32}
    }
    assert (last["modelVersion"], last["responseId"]) == ("tiny", "c1")
    (sent,) = model_server.calls(CHAT)
    assert sent.json["stream"] is True and sent.json["stream_options"] == {"include_usage": True}
    (line,) = gateway.wait_for_lines(1)
    assert (line["agent_id"], line["route"], line["model"], line["stream"], line["status"], line["error"]) == (
        *("NATIVE-w01", "/v1beta/models:streamGenerateContent", "tiny", True, 200, None),
    )
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (40, 6, 32)
    assert line["ttft_s"] is not None


def test_the_first_text_does_not_wait_for_the_second(gateway: Gateway, model_server: ModelServer) -> None:
    going_on = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def two_parts(_: Seen) -> AsyncIterator[bytes]:
        loops.append(asyncio.get_running_loop())
        yield STREAM_HEAD + chunked(event({"content": "one"}))
        await going_on.wait()
        yield chunked(event({"content": "two"}, "stop") + LAST) + chunked(b"")

    model_server.answers[CHAT] = two_parts
    with google(gateway).stream("POST", f"{ASK}:streamGenerateContent?alt=sse", json=HELLO) as answer:
        pieces = answer.iter_bytes()
        assert b'"one"' in next(pieces)
        loops[0].call_soon_threadsafe(going_on.set)
        assert b'"finishReason": "STOP"' in b"".join(pieces)


def test_without_sse_a_stream_is_one_json_list(gateway: Gateway, model_server: ModelServer) -> None:
    model_server.answers[CHAT] = lambda _: streamed(CALLS)
    answer = google(gateway).post(f"{ASK}:streamGenerateContent", json=HELLO)

    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert len(found) == 3 and found[-1]["candidates"][0]["finishReason"] == "STOP"


def test_a_whole_answer_has_text_calls_reason_and_counts(gateway: Gateway, model_server: ModelServer) -> None:
    function = {"name": "read", "arguments": '{"path": "a"}'}
    message = {"content": "Well.", "reasoning": "hmm", "tool_calls": [{"id": "q", "function": function}]}
    body = {"id": "c2", "choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": USAGE}
    model_server.answers[CHAT] = lambda _: whole(json.dumps(body).encode())
    answer = google(gateway).post(f"{ASK}:generateContent", json=HELLO)

    (candidate,) = answer.json()["candidates"]
    assert candidate["content"]["parts"] == [
        {"text": "Well."},
        {"functionCall": {"id": "q", "name": "read", "args": {"path": "a"}}},
    ]
    assert candidate["finishReason"] == "MAX_TOKENS"
    assert answer.json()["usageMetadata"]["totalTokenCount"] == 46
    assert "stream" not in model_server.calls(CHAT)[0].json
    assert gateway.wait_for_lines(1)[0]["prompt_tokens"] == 40


def test_a_server_that_answers_a_stream_with_one_body_is_understood(
    gateway: Gateway, model_server: ModelServer
) -> None:
    body = {"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}], "usage": USAGE}
    model_server.answers[CHAT] = lambda _: whole(json.dumps(body).encode())
    (found,) = events(google(gateway).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO))
    assert found["candidates"][0]["content"]["parts"] == [{"text": "all"}]


def test_arguments_that_are_no_object_are_told_and_never_made_up(gateway: Gateway, model_server: ModelServer) -> None:
    broken = event(fragment(0, '{"path": "x', id="a", name="read")) + event({}, "tool_calls") + LAST
    model_server.answers[CHAT] = lambda _: streamed(broken)
    (found,) = events(google(gateway).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO))
    (candidate,) = found["candidates"]
    assert candidate["finishReason"] == "MALFORMED_FUNCTION_CALL" and "read" in candidate["finishMessage"]
    assert candidate["content"]["parts"] == [{"text": ""}]


@pytest.mark.parametrize("tail", [b"", event({"content": "half"})], ids=["nothing", "half"])
def test_a_server_that_dies_in_the_middle_is_told_and_is_no_end(
    gateway: Gateway, model_server: ModelServer, tail: bytes
) -> None:
    async def dying(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD + chunked(event({"content": "begin"}) + tail)

    model_server.answers[CHAT] = dying
    answer = google(gateway).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO)
    assert b"finishReason" not in answer.content
    *_, told, bare = answer.text.split("\r\n\r\n")
    assert json.loads(told.removeprefix("data: ")) == json.loads(bare)
    assert json.loads(bare)["error"]["status"] == "UNAVAILABLE" and json.loads(bare)["error"]["code"] == 502
    assert gateway.wait_for_lines(1)[0]["error"] == "upstream.lost"


def test_an_error_in_the_stream_reaches_the_client_with_its_words(gateway: Gateway, model_server: ModelServer) -> None:
    said = b'data: {"error": {"message": "the engine died", "code": 500}}\n\n'
    model_server.answers[CHAT] = lambda _: streamed(event({"content": "a"}) + said)
    answer = google(gateway).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO)
    assert "the engine died" in answer.text and "finishReason" not in answer.text


def test_a_client_that_hangs_up_cancels_the_call(gateway: Gateway, model_server: ModelServer) -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        while True:
            yield chunked(event({"content": "x"}))
            await asyncio.sleep(0.01)

    model_server.answers[CHAT] = endless
    with google(gateway).stream("POST", f"{ASK}:streamGenerateContent?alt=sse", json=HELLO) as answer:
        next(answer.iter_bytes())
    until(lambda: model_server.hung_up, "the model server sees the end")
    assert gateway.wait_for_lines(1)[0]["error"] == "cancelled"


def test_a_refusal_of_the_server_keeps_status_and_words_in_googles_form(
    gateway: Gateway, model_server: ModelServer
) -> None:
    said = b'{"error": {"message": "maximum context length is 100 tokens", "type": "BadRequestError", "code": 400}}'
    model_server.answers[CHAT] = lambda _: whole(said, status=400)
    for verb in ("generateContent", "streamGenerateContent?alt=sse"):
        answer = google(gateway).post(f"{ASK}:{verb}", json=HELLO)
        assert answer.status_code == 400
        assert answer.json() == {
            "error": {"code": 400, "message": "maximum context length is 100 tokens", "status": "INVALID_ARGUMENT"}
        }
    assert [line["error"] for line in gateway.wait_for_lines(2)] == ["http.400", "http.400"]


def test_the_gateways_own_refusals_have_googles_form(gateway: Gateway, model_server: ModelServer) -> None:
    refused = gateway.client("nobody").post(f"{ASK}:generateContent", json=HELLO)
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    client = google(gateway)
    for body, words in ((b"{", "not JSON"), (b"{}", "contents"), (b'{"contents": [{"parts": 1}]}', "parts")):
        answer = client.post(f"{ASK}:generateContent", content=body)
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT"), body
        assert words in answer.json()["error"]["message"]
    deep = b'{"contents": [{"parts": [{"functionResponse": {"name": "f", "response": ' + b"[" * 5000
    assert client.post(f"{ASK}:generateContent", content=deep).status_code == 400
    for path in (f"{ASK}:embedContent", "/v1beta/files", "/v1beta/models/:generateContent"):
        assert client.post(path, json=HELLO).json()["error"]["status"] == "NOT_FOUND", path
    gateway.write_map("")
    none = client.post(f"{ASK}:generateContent", json=HELLO)
    assert (none.status_code, none.json()["error"]["status"]) == (503, "UNAVAILABLE")
    assert model_server.calls(CHAT) == []


def test_the_token_is_taken_from_every_place_and_never_passed_on(gateway: Gateway, model_server: ModelServer) -> None:
    model_server.answers["/tokenize"] = lambda _: whole(b'{"count": 17}')
    bare = gateway.client("")
    assert bare.post(f"{ASK}:countTokens?key={TOKEN}", json=HELLO).json() == {"totalTokens": 17}
    assert bare.get(f"/v1/models?key={TOKEN}").status_code == 200
    assert bare.post(f"{CHAT}?%6bey={TOKEN}&x=1%202", json={"model": "tiny", "stream": True}).status_code == 200
    assert bare.post(f"{CHAT}?x=1%202", json={"model": "tiny"}, headers={"x-goog-api-key": TOKEN}).status_code == 200
    assert bare.get(f"/v1/models?key={TOKEN}0").status_code == 401
    passed = [seen.path for seen in model_server.seen if seen.path.startswith(CHAT)]
    assert passed == [f"{CHAT}?x=1%202"] * 2
    assert not [seen for seen in model_server.seen if TOKEN in f"{seen.path}{seen.headers}{seen.body.decode()}"]


def test_a_model_that_the_server_does_not_list_is_replaced_by_the_gateways(
    gateway: Gateway, model_server: ModelServer
) -> None:
    listed = b'{"data":[{"id":"tiny"},{"id":"org/large"}]}'
    model_server.answers["/v1/models"] = lambda _: whole(listed)
    gateway.write_map(model_server.url, model="tiny")
    client = google(gateway)
    deadline = time.monotonic() + 10  # what the server listed before counts for two seconds
    while len(client.get("/v1beta/models").json()["models"]) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    for name in ("gemini-2.5-pro", "auto", "org/large", "tiny"):
        client.post(f"/v1beta/models/{name}:generateContent", json=HELLO)
    assert [seen.json["model"] for seen in model_server.calls(CHAT)] == ["tiny", "tiny", "org/large", "tiny"]
    listing = client.get("/v1beta/models").json()["models"]
    assert [item["name"] for item in listing] == ["models/tiny", "models/org/large"]
    assert "generateContent" in listing[0]["supportedGenerationMethods"]
    assert client.get("/v1beta/models/org/large").json()["name"] == "models/org/large"
    assert client.get("/v1beta/models/gemini-2.5-flash").json()["name"] == "models/tiny"


def test_a_model_of_another_dialect_stays_the_servers_affair(gateway: Gateway, model_server: ModelServer) -> None:
    model_server.answers[CHAT] = lambda _: whole(b'{"error": {"message": "no such model"}}', status=404)
    answer = gateway.client().post(CHAT, json={"model": "gemini-2.5-pro"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "no such model")
    assert model_server.calls(CHAT)[0].json["model"] == "gemini-2.5-pro"


def test_tokens_are_counted_by_the_server_with_or_without_a_route_for_it(
    gateway: Gateway, model_server: ModelServer
) -> None:
    client = google(gateway)
    inner = {"generateContentRequest": {**HELLO, "systemInstruction": {"parts": [{"text": "s"}]}}}
    model_server.answers["/tokenize"] = lambda _: whole(b'{"count": 17, "tokens": []}')
    assert client.post(f"{ASK}:countTokens", json=inner).json() == {"totalTokens": 17}
    (sent,) = model_server.calls("/tokenize")
    assert [item["role"] for item in sent.json["messages"]] == ["system", "user"]
    del model_server.answers["/tokenize"]
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "length"}], "usage": USAGE}
    model_server.answers[CHAT] = lambda _: whole(json.dumps(body).encode())
    assert client.post(f"{ASK}:countTokens", json=HELLO).json() == {"totalTokens": 40}
    assert model_server.calls(CHAT)[0].json["max_tokens"] == 1
    model_server.answers[CHAT] = lambda _: whole(b'{"error": {"message": "busy"}}', status=503)
    refused = client.post(f"{ASK}:countTokens", json=HELLO)
    assert (refused.status_code, refused.json()["error"]["message"]) == (503, "busy")
    assert [line["error"] for line in gateway.wait_for_lines(3)] == [None, None, "http.503"]


def test_a_dead_server_is_told_in_googles_form(gateway: Gateway) -> None:
    gateway.write_map("http://127.0.0.1:9/v1", model="tiny")
    answer = google(gateway).post(f"{ASK}:streamGenerateContent?alt=sse", json=HELLO)
    assert (answer.status_code, answer.json()["error"]["status"]) == (502, "UNAVAILABLE")
    assert "does not answer" in answer.json()["error"]["message"]


def test_a_tool_loop_of_two_turns_runs_against_the_scripted_server(gateway: Gateway, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario"
    scenario.mkdir()
    steps = [{"say": "I look.", "tool": "read", "args": {"path": "grüß.py"}}, {"text": "It is fine."}]
    (scenario / "look.json").write_text(json.dumps({"steps": steps}))
    model = RecordedLLM(scenario)
    try:
        gateway.write_map(model.base_url)
        client = google(gateway)
        tools = [{"functionDeclarations": [{"name": "read", "parameters": {"type": "OBJECT"}}]}]
        contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": "Look. [[script:look]]"}]}]
        body = {"contents": contents, "tools": tools}
        found = events(client.post(f"{ASK}:streamGenerateContent?alt=sse", json=body))
        parts = [part for item in found for part in item["candidates"][0]["content"]["parts"]]
        assert "".join(part.get("text", "") for part in parts) == "I look."
        call = parts[-1]["functionCall"]
        assert (call["name"], call["args"]) == ("read", {"path": "grüß.py"})
        response = {"name": "read", "response": {"output": "x = 1"}}
        contents += [{"role": "model", "parts": parts}, {"role": "user", "parts": [{"functionResponse": response}]}]
        end = client.post(f"{ASK}:generateContent", json=body).json()
        assert end["candidates"][0]["content"]["parts"] == [{"text": "It is fine."}]
        assert model.results("look") == ["x = 1"]
        assert client.post(f"{ASK}:countTokens", json=body).json()["totalTokens"] > 10
    finally:
        model.close()
