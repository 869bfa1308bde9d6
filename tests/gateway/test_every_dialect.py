"""What holds for calls of every API that the gateway serves, in front of several servers (LLM-2, LLM-10)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from aegis_tui.gateway.text_files import TextFiles, TextPlace
from aegis_tui.gateway.tool_order import MOST_SETS, ToolOrder
from tests.gateway.conftest import (
    CHAT_STREAM,
    OTHER_TOKEN,
    PERSON_TOKEN,
    STREAM_HEAD,
    TOKEN,
    Gateway,
    ModelServer,
    Seen,
    chunked,
    open_model_server,
    streamed,
    whole,
)

MODEL = "/v1beta/models/gemini-2.5-pro"
CHAT, COUNT, TOKENIZE = "/v1/chat/completions", "/v1/messages/count_tokens", "/tokenize"
LONG = "a long beginning " * 400


class Route(NamedTuple):
    """A path of the gateway, and where the model server gets its calls."""

    path: str
    at_server: str
    is_google: bool = False

    def body(self, text: str) -> dict[str, Any]:
        if self.is_google:
            return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        turns = [{"role": "user", "content": text}]
        name = "input" if self.path == "/v1/responses" else "messages"
        return {"model": "tiny", "stream": self.path not in (COUNT, TOKENIZE), name: turns}


ROUTES = (
    Route(CHAT, CHAT),
    Route("/v1/messages", "/v1/messages"),
    Route("/v1/responses", "/v1/responses"),
    Route(COUNT, COUNT),
    Route(TOKENIZE, TOKENIZE),
    Route(f"{MODEL}:generateContent", CHAT, is_google=True),
    Route(f"{MODEL}:streamGenerateContent?alt=sse", CHAT, is_google=True),
    Route(f"{MODEL}:countTokens", TOKENIZE, is_google=True),
)
ANSWERING = [route for route in ROUTES if route.at_server not in (COUNT, TOKENIZE)]
COUNTING = [route for route in ROUTES if route not in ANSWERING]


def answer_all(server: ModelServer) -> None:
    reply = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 4}}

    def chat(seen: Seen) -> Any:
        if seen.json.get("stream"):
            return streamed(CHAT_STREAM.replace(b'"delta":{"content"', b'"finish_reason":"stop","delta":{"content"'))
        return whole(json.dumps(reply).encode())

    server.answers[CHAT] = chat
    server.answers[TOKENIZE] = lambda _: whole(b'{"count": 17}')
    server.answers[COUNT] = lambda _: whole(b'{"input_tokens": 17}')


@pytest.fixture
def second() -> Iterator[ModelServer]:
    with open_model_server() as server:
        yield server


@pytest.fixture
def servers(gateway: Gateway, model_server: ModelServer, second: ModelServer) -> tuple[ModelServer, ModelServer]:
    gateway.write_map(model_server.url, more=[second.url])
    for server in (model_server, second):
        answer_all(server)
    return model_server, second


def ask(gateway: Gateway, route: Route, text: str = "hi", *, token: str = TOKEN) -> int:
    return gateway.client(token).post(route.path, json=route.body(text)).status_code


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_another_server_takes_over_from_one_that_is_busy(
    gateway: Gateway, servers: tuple[ModelServer, ModelServer], route: Route
) -> None:
    first, second = servers
    first.answers[route.at_server] = lambda _: whole(b'{"error": {"message": "busy"}}', status=503)
    began = time.monotonic()
    for _ in range(3):
        assert ask(gateway, route) == 200
    is_rest_over = time.monotonic() - began >= 1  # as on a busy machine
    lines = gateway.wait_for_lines(3)
    assert {(line["endpoint"], line["status"], line["error"]) for line in lines} == {(f"{second.url}/v1", 200, None)}
    assert len(first.calls(route.at_server)) <= 1 or is_rest_over, "one that fails rests"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_another_server_takes_over_from_one_that_is_gone(
    gateway: Gateway, servers: tuple[ModelServer, ModelServer], route: Route
) -> None:
    _, second = servers
    gateway.write_map("http://127.0.0.1:9/v1", more=[second.url], model="tiny")
    for _ in range(3):
        assert ask(gateway, route) == 200
    assert {line["endpoint"] for line in gateway.wait_for_lines(3)} == {f"{second.url}/v1"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_failure_of_all_servers_is_the_answer(gateway: Gateway, model_server: ModelServer, route: Route) -> None:
    model_server.answers[route.at_server] = lambda _: whole(b'{"error": {"message": "busy"}}', status=503)
    gateway.write_map(model_server.url, more=["http://127.0.0.1:9/v1"])
    assert {ask(gateway, route) for _ in range(3)} <= {502, 503}
    assert {line["error"] for line in gateway.wait_for_lines(3)} <= {"http.503", "model.unavailable"}


@pytest.mark.parametrize("route", ANSWERING, ids=lambda route: route.path)
def test_an_agent_stays_where_its_prompt_is_and_another_one_goes_elsewhere(
    gateway: Gateway, servers: tuple[ModelServer, ModelServer], route: Route
) -> None:
    for turn in range(3):
        for name, token in (("one", TOKEN), ("two", OTHER_TOKEN)):
            assert ask(gateway, route, f"{name} {LONG}{'more ' * turn}", token=token) == 200
    texts = [[seen.body.decode() for seen in server.calls(route.at_server)] for server in servers]
    assert [len(sent) for sent in texts] == [3, 3]
    owners = [{next(name for name in ("one", "two") if f"{name} {LONG}" in text) for text in sent} for sent in texts]
    assert owners in ([{"one"}, {"two"}], [{"two"}, {"one"}])


@pytest.mark.parametrize("route", COUNTING, ids=lambda route: route.path)
def test_counting_tokens_is_no_prompt_and_fills_no_cache(
    gateway: Gateway, servers: tuple[ModelServer, ModelServer], route: Route
) -> None:
    assert ask(gateway, ROUTES[0], f"mine {LONG}") == 200
    for number in range(3):
        assert ask(gateway, route, f"other {number} {LONG}") == 200
    assert ask(gateway, ROUTES[0], f"mine {LONG} and more") == 200
    (seen,) = gateway.client(PERSON_TOKEN).get("/v1/prefixes").json()["prompts"]
    assert (seen["requests"], seen["rewritten"]) == (2, None)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_call_without_a_usable_key_is_counted_as_an_error(
    gateway: Gateway, model_server: ModelServer, route: Route
) -> None:
    gateway.write_map(model_server.url, model="tiny", upstream_token_file=str(gateway.state / "none"))
    assert ask(gateway, route) == 503
    (line,) = gateway.wait_for_lines(1)
    assert (line["status"], line["error"]) == (503, "model.key")
    assert not model_server.calls(route.at_server)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_what_was_said_is_stored_without_token_and_key_in_the_form_the_server_speaks(
    gateway: Gateway, model_server: ModelServer, route: Route
) -> None:
    answer_all(model_server)
    key_file = gateway.state / "key"
    key_file.write_text("sk-mine\n")
    key_file.chmod(0o600)
    gateway.write_map(model_server.url, kept_mb=1, upstream_token_file=str(key_file))
    assert ask(gateway, route, f"my plan, {TOKEN}, sk-mine") == 200
    (line,) = gateway.wait_for_lines(1)
    found = TextFiles(gateway.state / "logs" / "model-calls").read(TextPlace(*line["kept"]), id=1, at=line["at"])
    assert found is not None and found.head["target"] == route.at_server
    assert b"my plan, [key], [key]" in found.request
    texts = [path.read_bytes() for path in gateway.state.rglob("*") if path.is_file() and path != key_file]
    assert not any(secret in text for text in texts for secret in (TOKEN.encode(), b"sk-mine"))
    gateway.write_map(model_server.url, kept_mb=0)
    assert ask(gateway, route) == 200
    gateway.wait_for_lines(2)
    assert not list((gateway.state / "logs" / "model-calls").iterdir())


@pytest.mark.parametrize("route", [route for route in ANSWERING if "generateContent" not in route.path])
def test_a_stop_of_the_gateway_is_told_in_the_middle_of_a_stream(
    gateway: Gateway, model_server: ModelServer, route: Route
) -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        while True:
            yield chunked(b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n')
            await asyncio.sleep(0.02)

    model_server.answers[route.at_server] = endless
    received = b""
    with gateway.client().stream("POST", route.path, json=route.body("hi")) as answer:
        parts = answer.iter_raw()
        received += next(parts)
        assert gateway.stop() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            for part in parts:
                received += part
    assert b"the gateway was stopped in the middle of an answer" in received
    assert gateway.wait_for_lines(1)[0]["error"] == "gateway.stopped"


@pytest.mark.parametrize("route", ANSWERING, ids=lambda route: route.path)
def test_the_id_of_a_request_is_passed_on_both_ways(gateway: Gateway, model_server: ModelServer, route: Route) -> None:
    async def answer(_: Seen) -> AsyncIterator[bytes]:
        body = b'{"error": {"message": "bad"}}'
        yield b"HTTP/1.1 400 X\r\nx-request-id: theirs\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    model_server.answers[route.at_server] = answer
    said = gateway.client().post(route.path, json=route.body("hi"), headers={"X-Request-Id": "mine"})
    assert (said.status_code, said.headers["x-request-id"]) == (400, "theirs")
    assert model_server.calls(route.at_server)[0].headers["x-request-id"] == "mine"


def test_models_of_all_servers_are_listed_once_also_while_the_first_is_gone(
    gateway: Gateway, servers: tuple[ModelServer, ModelServer]
) -> None:
    first, second = servers
    second.answers["/v1/models"] = lambda _: whole(b'{"data": [{"id": "large", "owned_by": "us"}, {"id": "tiny"}, 7]}')
    listed = gateway.client().get("/v1/models").json()
    assert (listed["object"], [item["id"] for item in listed["data"]]) == ("list", ["tiny", "large"])
    assert listed["data"][1]["owned_by"] == "us"
    gateway.write_map("http://127.0.0.1:9/v1", more=[second.url])
    assert [item["id"] for item in gateway.client().get("/v1/models").json()["data"]] == ["large", "tiny"]
    gateway.write_map("http://127.0.0.1:9/v1", more=["http://127.0.0.1:9/x/v1"])
    assert gateway.client().get("/v1/models").status_code == 502
    first.answers["/v1/models"] = lambda _: whole(b'{"error": "no"}', status=401)
    gateway.write_map(first.url, more=["http://127.0.0.1:9/v1"])
    assert gateway.client().get("/v1/models").status_code == 401


def with_tools(route: Route, names: Iterable[str]) -> dict[str, Any]:
    """A request that offers these tools, each with a schema of its own."""
    listed = [{"name": name, "description": f"does {name}", "parameters": {"type": "object"}} for name in names]
    if route.is_google:
        return {**route.body("grüß dich"), "tools": [{"functionDeclarations": listed}]}
    if route.at_server == CHAT:
        return {**route.body("grüß dich"), "tools": [{"type": "function", "function": tool} for tool in listed]}
    return {**route.body("grüß dich"), "tools": listed}


@pytest.mark.parametrize("route", ANSWERING, ids=lambda route: route.path)
def test_the_same_tools_reach_the_server_in_the_same_order(
    gateway: Gateway, servers: tuple[ModelServer, ModelServer], route: Route
) -> None:
    model_server, _ = servers
    gateway.write_map(model_server.url)
    one, other = gateway.client(), gateway.client(OTHER_TOKEN)
    for client, names in ((one, "abc"), (other, "cab"), (one, "abcd"), (one, "bca")):
        assert client.post(route.path, json=with_tools(route, names)).status_code == 200
    first, second, more, last = (seen.json for seen in model_server.calls(route.at_server))
    assert first == second == last
    assert [tool.get("function", tool)["name"] for tool in first["tools"]] == ["a", "b", "c"]
    assert len(more["tools"]) == 4
    (between,) = gateway.client(PERSON_TOKEN).get("/v1/prefixes").json()["prefixes"]
    assert between["reason"] == "the prompts are equal"


def test_tools_that_cannot_be_told_apart_keep_their_order() -> None:
    order = ToolOrder()
    a, b = {"name": "a", "n": 1}, {"name": "b"}
    assert order.settle({"tools": [a, b]}) is None
    assert order.settle({"tools": [b, a]}) == [a, b]
    for kept in ([b, {**a, "cache_control": {}}], [b, a, a], [b, a, {}], [b, a, 7], [b], [], "ba", None):
        assert order.settle({"tools": kept}) is None


def test_the_order_of_a_limited_number_of_sets_is_kept() -> None:
    order = ToolOrder()
    for number in range(MOST_SETS + 1):
        order.settle({"tools": [{"name": "z"}, {"name": f"{number}"}]})
    assert order.settle({"tools": [{"name": "0"}, {"name": "z"}]}) is None, "it was forgotten"
    assert order.settle({"tools": [{"name": f"{MOST_SETS}"}, {"name": "z"}]}) is not None
