"""Answers in a form that the gateway did not ask for, through a real gateway process."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from tests.gateway.conftest import CHAT_STREAM, STREAM_HEAD, Gateway, ModelServer, Seen, chunked

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_answer_that_was_compressed_unasked_is_passed_on_plain_and_counted(
    gateway: Gateway, model_server: ModelServer, encoding: str
) -> None:
    packed = gzip.compress(CHAT_STREAM) if encoding == "gzip" else zlib.compress(CHAT_STREAM)

    async def answer(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: %s\r\n\r\n" % encoding.encode())
        for start in range(0, len(packed), 7):
            yield chunked(packed[start : start + 7])
        yield chunked(b"")

    model_server.answers[CHAT] = answer
    passed = gateway.client().post(CHAT, json={"model": "tiny", "stream": True})
    assert passed.content == CHAT_STREAM
    (line,) = gateway.wait_for_lines(1)
    assert (line["prompt_tokens"], line["error"]) == (100, None)


@pytest.mark.parametrize(
    ("encoding", "words"), [("br", "an encoding that is not supported: 'br'"), ("gzip", "that is not valid gzip")]
)
def test_an_answer_in_an_encoding_that_cannot_be_read_names_the_server(
    gateway: Gateway, model_server: ModelServer, encoding: str, words: str
) -> None:
    async def answer(_: Seen) -> AsyncIterator[bytes]:
        body = b'{"choices": []}'
        yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: %s\r\n" % encoding.encode()
        yield b"content-length: %d\r\n\r\n" % len(body) + body

    model_server.answers[CHAT] = answer
    passed = gateway.client().post(CHAT, json={"model": "tiny"})
    assert passed.status_code == 502
    assert words in passed.json()["error"]["message"]
    assert model_server.url in passed.json()["error"]["message"]


@pytest.mark.parametrize("media_type", ["Text/Event-Stream", "text/plain; charset=utf-8", ""])
def test_a_stream_under_another_name_passes_as_it_comes_and_is_counted(
    gateway: Gateway, model_server: ModelServer, media_type: str
) -> None:
    going_on = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def two_parts(_: Seen) -> AsyncIterator[bytes]:
        loops.append(asyncio.get_running_loop())
        named = f"content-type: {media_type}\r\n" if media_type else ""
        yield f"HTTP/1.1 200 OK\r\n{named}transfer-encoding: chunked\r\n\r\n".encode() + chunked(b"data: {}\n\n")
        await going_on.wait()
        yield chunked(CHAT_STREAM) + chunked(b"")

    model_server.answers[CHAT] = two_parts
    with gateway.client().stream("POST", CHAT, json={"model": "tiny", "stream": True}) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"data: {}\n\n"
        loops[0].call_soon_threadsafe(going_on.set)
        assert b"".join(parts) == CHAT_STREAM
    (line,) = gateway.wait_for_lines(1)
    assert (line["prompt_tokens"], line["error"]) == (100, None)


def test_what_is_not_http_is_shown_without_the_words_of_a_library(gateway: Gateway, model_server: ModelServer) -> None:
    async def answer(_: Seen) -> AsyncIterator[bytes]:
        yield b"SSH-2.0-OpenSSH_9.2\r\n\r\n"

    model_server.answers[CHAT] = answer
    message = gateway.client().post(CHAT, json={"model": "tiny"}).json()["error"]["message"]
    assert "illegal status line: 'SSH-2.0-OpenSSH_9.2'" in message
    assert "bytearray" not in message


def test_a_list_of_models_that_does_not_end_is_given_up_with_the_servers_name(
    gateway: Gateway, model_server: ModelServer
) -> None:
    async def answer(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        while True:
            yield chunked(b"1," * 50_000)

    model_server.answers["/v1/models"] = answer
    passed = gateway.client().get("/v1/models")
    assert passed.status_code == 502
    assert f"{model_server.url}/v1 sent too long an answer: more than 4 MiB" in passed.json()["error"]["message"]
