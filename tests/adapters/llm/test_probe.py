"""A first look at a server: what it serves, whether it wants a key, and what a person does next."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aegis_tui.adapters.llm import probe
from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.llm.probe import EndpointFound, probe_endpoint
from aegis_tui.adapters.llm.trial import try_model
from aegis_tui.errors import AegisError, ModelKeyRefused, ModelRefused, ModelUnavailable
from aegis_tui.testing.canned_llm import Canned, CannedModel, calls, says
from aegis_tui.testing.scripted_http import HttpReply, HttpRequest, HttpServer, json_reply

LIST = {"object": "list", "data": [{"id": "m", "object": "model"}]}


def looked(reply: Any, *, key: str = "", status: int = 200, wants: str = "") -> EndpointFound:
    """The answer to a look at a server that answers `reply` to those who know the key that it wants."""

    async def answer(request: HttpRequest) -> HttpReply:
        if wants and request.headers.get("authorization") != f"Bearer {wants}":
            return json_reply({"error": f"not {request.headers.get('authorization')}"}, 401)
        if isinstance(reply, bytes) or hasattr(reply, "__anext__"):
            return HttpReply(status, reply)
        return json_reply(reply, status)

    async def run() -> EndpointFound:
        server = HttpServer(answer)
        host, port = await server.start()
        try:
            return await probe_endpoint(f"http://{host}:{port}", find_key=lambda: key)
        finally:
            await server.stop()

    return asyncio.run(run())


def test_a_server_is_seen_with_its_models_and_gets_the_key() -> None:
    assert looked(LIST).models == ("m",)
    assert looked(LIST, key="sekret", wants="sekret").models == ("m",)


def test_a_server_that_wants_a_key_is_told_with_how_to_give_one() -> None:
    for key, words in (("", "requires a key"), ("wrong0", "does not accept the key")):
        with pytest.raises(ModelUnavailable, match=words) as caught:
            looked(LIST, key=key, wants="sekret")
        assert caught.value.code == "model.key"
        assert "api_key_file" in caught.value.hint and "AEGIS_API_KEY_FILE" in caught.value.hint
        assert "wrong0" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"[" * 100_000,
        [],
        {"data": 5},
        {"data": [5]},
        {"data": [{"id": None}]},
        {"data": [{"id": "a\x1b[2J"}]},
        {"data": [{"id": "x" * 300}]},
        {"models": []},
    ],
)
def test_what_is_no_list_of_models_is_none(reply: Any) -> None:
    with pytest.raises(ModelUnavailable, match="does not list its models") as caught:
        looked(reply)
    assert "AEGIS_BASE_URL" in caught.value.hint and "--base-url" in caught.value.hint


async def without_end(piece: bytes, *, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    """A list of models that goes on for ever."""
    yield b"["
    while True:
        yield piece
        await asyncio.sleep(pause_s)


def test_a_list_that_does_not_end_is_not_read_into_memory() -> None:
    with pytest.raises(ModelUnavailable, match="is too long: more than 4 MiB"):
        looked(without_end(b"1," * 50_000))


def test_a_list_that_comes_drop_by_drop_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_TIMEOUT_S", 0.3)
    with pytest.raises(ModelUnavailable, match=r"no model server answers at .* within 0.3 s"):
        looked(without_end(b"1,", pause_s=0.02))


def test_an_agent_does_not_read_such_a_list_either() -> None:
    async def run() -> None:
        async def answer(_: HttpRequest) -> HttpReply:
            return HttpReply(200, without_end(b"1," * 50_000))

        server = HttpServer(answer)
        host, port = await server.start()
        client = OpenAIChat(f"http://{host}:{port}/v1", attempts=1)
        try:
            with pytest.raises(ModelUnavailable, match="does not answer: EndlessAnswer"):
                await client.list_models()
        finally:
            await client.close()
            await server.stop()

    asyncio.run(run())


def test_a_server_that_refuses_says_why() -> None:
    with pytest.raises(ModelUnavailable, match="answered 503: still loading"):
        looked({"error": {"message": "still loading"}}, status=503)


def tried(*answers: Canned) -> bool:
    async def run() -> bool:
        async with CannedModel() as server:
            server.will(*answers)
            called = await try_model(server.base_url, "m", find_key=lambda: "sekret")
            assert server.authorizations == ["Bearer sekret"] * len(server.requests)
            assert server.requests[0]["tools"] and server.requests[0]["max_tokens"] <= 256
            return called

    return asyncio.run(run())


def test_a_trial_says_whether_the_model_calls_tools() -> None:
    assert tried(calls(("ping", {"word": "ready"})))
    assert not tried(says("ready"))


@pytest.mark.parametrize(
    ("status", "kind"), [(400, ModelRefused), (404, AegisError), (401, ModelKeyRefused), (422, ModelRefused)]
)
def test_a_model_that_does_not_chat_refuses_its_trial(status: int, kind: type[AegisError]) -> None:
    with pytest.raises(kind, match="does not support chat"):
        tried(Canned([json.dumps({"error": {"message": "does not support chat"}}).encode()], status))


@pytest.mark.anyio
async def test_a_server_that_ends_before_it_listens_says_why_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object, sockets: object = None) -> None:
        raise RuntimeError("no protocol")

    monkeypatch.setattr("aegis_tui.testing.scripted_http._EmbeddedServer.startup", broken)
    with pytest.raises(RuntimeError, match="no protocol"):
        await HttpServer(lambda request: pytest.fail("never asked")).start()


def test_where_nobody_listens_the_message_is_free_of_names_of_classes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with pytest.raises(ModelUnavailable) as caught:
        asyncio.run(probe_endpoint(url))
    assert caught.value.message == f"no model server answers at {url}"
