"""Model servers that speak HTTP in ways that are rare, slow or wrong, behind a real gateway process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.gateway.conftest import (
    CHAT_STREAM,
    STREAM_HEAD,
    Gateway,
    ModelServer,
    Seen,
    chunked,
    until,
    whole,
)

CHAT = "/v1/chat/completions"
ASK = {"model": "tiny", "stream": True}
EVENTS = b"content-type: text/event-stream\r\n"


async def sent(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def one_by_one(text: bytes) -> AsyncIterator[bytes]:
    for at in range(len(text)):
        yield text[at : at + 1]
        await asyncio.sleep(0)


WAYS = {
    "chunks with extensions": STREAM_HEAD
    + b'%x;a=b;c="d e"\r\n%s\r\n' % (len(CHAT_STREAM), CHAT_STREAM)
    + b"0;last\r\n\r\n",
    "a size with leading zeros": STREAM_HEAD + b"000%X\r\n%s\r\n" % (len(CHAT_STREAM), CHAT_STREAM) + b"000\r\n\r\n",
    "a size with blanks": STREAM_HEAD + b"%x  \r\n%s\r\n" % (len(CHAT_STREAM), CHAT_STREAM) + b"0\r\n\r\n",
    "trailers": STREAM_HEAD + chunked(CHAT_STREAM) + b"0\r\nx-took: 3\r\nx-usage: none\r\n\r\n",
    "no length and an end": b"HTTP/1.1 200 OK\r\n" + EVENTS + b"\r\n" + CHAT_STREAM,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + EVENTS + b"\r\n" + CHAT_STREAM,
    "a length": b"HTTP/1.1 200 OK\r\n" + EVENTS + b"content-length: %d\r\n\r\n" % len(CHAT_STREAM) + CHAT_STREAM,
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    + STREAM_HEAD
    + chunked(CHAT_STREAM)
    + chunked(b""),
    "names in capitals": b"HTTP/1.1 200 OK\r\nCONTENT-TYPE:text/event-stream\r\nTRANSFER-ENCODING:   Chunked  \r\n\r\n"
    + chunked(CHAT_STREAM)
    + chunked(b""),
    "no reason and empty values": b"HTTP/1.1 200\r\nServer:\r\nx-name: gr\xc3\xbc\xc3\x9f\r\n"
    + EVENTS
    + b"transfer-encoding: chunked\r\n\r\n"
    + chunked(CHAT_STREAM)
    + chunked(b""),
    "long headers": b"HTTP/1.1 200 OK\r\nset-cookie: %s\r\n" % (b"c" * 60_000)
    + EVENTS
    + b"transfer-encoding: chunked\r\n\r\n"
    + chunked(CHAT_STREAM)
    + chunked(b""),
    "lines that end in LF": (b"HTTP/1.1 200 OK\r\n" + EVENTS).replace(b"\r\n", b"\n") + b"\n" + CHAT_STREAM,
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"
    + EVENTS
    + b"transfer-encoding: chunked\r\n\r\n"
    + chunked(CHAT_STREAM)
    + chunked(b""),
    "no coding and no length": b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n" + EVENTS + b"\r\n" + CHAT_STREAM,
    "an empty line before": b"\r\n" + STREAM_HEAD + chunked(CHAT_STREAM) + chunked(b""),
}


@pytest.mark.parametrize(
    ("way", "is_slow"),
    [*((way, False) for way in WAYS), *((way, True) for way in WAYS if way != "long headers")],
    ids=lambda value: value if isinstance(value, str) else "byte by byte" if value else "at once",
)
def test_a_stream_passes_byte_for_byte_however_it_is_framed(
    gateway: Gateway, model_server: ModelServer, way: str, is_slow: bool
) -> None:
    model_server.answers[CHAT] = lambda _: one_by_one(WAYS[way]) if is_slow else sent(WAYS[way])
    client = gateway.client()
    answer = client.post(CHAT, json=ASK)

    assert (answer.status_code, answer.content) == (200, CHAT_STREAM)
    assert "set-cookie" not in answer.headers and "x-took" not in answer.headers
    assert client.post(CHAT, json=ASK).content == CHAT_STREAM
    for line in gateway.wait_for_lines(2):
        assert (line["error"], line["completion_tokens"]) == (None, 7)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 300_000 + b"\r\n\r\n", "without any part of a body"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 60_000, "without any part of a body"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "a transfer coding that is not supported"),
        (b"HTTP/1.1 abc\r\n\r\n", "tatus"),
        (b"HTTP/2 200 OK\r\n\r\n", "does not answer"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "the connection was closed"),
        (b"", "the connection was closed"),
    ],
    ids=[
        "switched",
        "a long header",
        "many headers",
        "a coding",
        "no status",
        "HTTP/2",
        "TLS",
        "a length below 0",
        "cut",
        "none",
    ],
)
def test_what_is_no_answer_is_a_502_that_names_the_server_and_why(
    gateway: Gateway, model_server: ModelServer, answer: bytes, words: str
) -> None:
    model_server.answers[CHAT] = lambda _: sent(answer)
    refused = gateway.client().post(CHAT, json=ASK)

    assert refused.status_code == 502
    error = refused.json()["error"]
    assert (error["code"], model_server.url in error["message"]) == ("model.unavailable", True)
    assert words in error["message"]
    assert gateway.wait_for_lines(1)[0]["error"] == "model.unavailable"


async def forever(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
    yield head
    while True:
        yield piece


@pytest.mark.parametrize(
    ("head", "piece"),
    [(STREAM_HEAD + b"5;a=", b"b" * 9000), (STREAM_HEAD + chunked(b"data: {}\n\n") + b"0\r\n", b"x-a: b\r\n" * 900)],
    ids=["an extension", "trailers"],
)
def test_a_body_that_goes_on_without_content_is_given_up(
    gateway: Gateway, model_server: ModelServer, head: bytes, piece: bytes
) -> None:
    model_server.answers[CHAT] = lambda _: forever(head, piece)
    with gateway.client().stream("POST", CHAT, json=ASK) as answer:
        received = b""
        with pytest.raises(Exception, match="incomplete"):
            for part in answer.iter_raw():
                received += part
    assert b"without any part of a body" in received
    until(lambda: model_server.closed, "the model server sees the end")
    assert gateway.wait_for_lines(1)[0]["error"] == "upstream.lost"


def test_a_chunk_that_is_not_valid_breaks_the_stream_after_what_was_good(
    gateway: Gateway, model_server: ModelServer
) -> None:
    model_server.answers[CHAT] = lambda _: sent(STREAM_HEAD + chunked(b"data: 1\n\n") + b"zz\r\n")
    with gateway.client().stream("POST", CHAT, json=ASK) as answer:
        received = b""
        with pytest.raises(Exception, match="incomplete"):
            for part in answer.iter_raw():
                received += part
    assert received.startswith(b"data: 1\n\n\n\n") and b"upstream.lost" in received


def test_only_the_first_of_two_answers_is_passed_on_and_the_connection_is_given_up(
    gateway: Gateway, model_server: ModelServer
) -> None:
    two = b"".join(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number for number in (1, 2))
    model_server.answers[CHAT] = lambda _: sent(two)
    client = gateway.client()

    assert client.post(CHAT, json={"model": "tiny"}).content == b"1"
    model_server.answers[CHAT] = lambda _: whole(b"{}")
    assert client.post(CHAT, json={"model": "tiny"}).content == b"{}"


def test_a_server_that_answers_before_it_has_the_whole_body_is_heard(
    gateway: Gateway, model_server: ModelServer
) -> None:
    async def early(seen: Seen) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 413 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"

    model_server.reads_body = False
    model_server.answers[CHAT] = early
    answer = gateway.client().post(CHAT, json={"model": "tiny", "messages": "x" * 8_000_000})

    assert (answer.status_code, answer.content) == (413, b"{}")


@pytest.mark.parametrize("begins", [False, True], ids=["before the first byte", "in the middle"])
def test_a_server_that_goes_silent_is_given_up(
    gateway_folders: Gateway, model_server: ModelServer, begins: bool
) -> None:
    async def silent(_: Seen) -> AsyncIterator[bytes]:
        if begins:
            yield STREAM_HEAD + chunked(b"data: {}\n\n")
        await asyncio.sleep(60)

    model_server.answers[CHAT] = silent
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(numbers={"aegis_tui.gateway.upstream:IDLE_TIMEOUT_S": 0.3})
    with gateway_folders.client().stream("POST", CHAT, json=ASK) as answer:
        received = b""
        try:
            for part in answer.iter_raw():
                received += part
        except Exception as error:
            assert begins and "incomplete" in str(error)
    assert answer.status_code == (200 if begins else 502)
    assert b"it sent nothing for 0.3 s" in received


def test_a_server_that_takes_nothing_of_a_request_is_given_up(
    gateway_folders: Gateway, model_server: ModelServer
) -> None:
    model_server.reads_body = False

    async def deaf(_: Seen) -> AsyncIterator[bytes]:
        await asyncio.sleep(60)
        yield b""

    model_server.answers[CHAT] = deaf
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(numbers={"aegis_tui.gateway.upstream_connection:_WRITE_TIMEOUT_S": 0.3})
    answer = gateway_folders.client().post(CHAT, json={"model": "tiny", "messages": "x" * 20_000_000})

    assert answer.status_code == 502
    assert "it accepted nothing for 0.3 s" in answer.json()["error"]["message"]


def test_a_server_is_not_read_faster_than_the_client_reads(gateway: Gateway, model_server: ModelServer) -> None:
    """The bytes that are under way are in buffers of the system, not in the gateway's memory."""
    event = b"data: %s\n\n" % (b"x" * 65_000)
    sizes: list[int] = []

    async def plenty(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        for number in range(1600):
            sizes.append(len(event))
            yield chunked(event)
            if number % 100 == 0:
                await asyncio.sleep(0)
        yield chunked(b"data: [DONE]\n\n") + chunked(b"")

    model_server.answers[CHAT] = plenty
    with gateway.client().stream("POST", CHAT, json=ASK) as answer:
        deadline, before = time.monotonic() + 10, -1
        while len(sizes) != before and time.monotonic() < deadline:
            before = len(sizes)
            time.sleep(0.3)
        assert len(sizes) < 800
        received = 0
        for part in answer.iter_raw():
            received += len(part)
    assert received == 1600 * len(event) + len(b"data: [DONE]\n\n")
    assert gateway.wait_for_lines(1)[0]["error"] is None


def test_a_client_that_rests_does_not_make_its_server_look_silent(
    gateway_folders: Gateway, model_server: ModelServer
) -> None:
    event = b"data: %s\n\n" % (b"x" * 65_000)
    model_server.answers[CHAT] = lambda _: sent(STREAM_HEAD, *[chunked(event)] * 400, chunked(b""))
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(numbers={"aegis_tui.gateway.upstream:IDLE_TIMEOUT_S": 0.3})
    with gateway_folders.client().stream("POST", CHAT, json=ASK) as answer:
        time.sleep(1.5)
        assert sum(len(part) for part in answer.iter_raw()) == 400 * len(event)


def test_connections_are_kept_for_the_next_call_and_closed_after_some_seconds(
    gateway_folders: Gateway, model_server: ModelServer
) -> None:
    gateway_folders.write_map(model_server.url)
    model_server.serves_many = True
    gateway_folders.start(numbers={"aegis_tui.gateway.upstream_pool:_KEEPALIVE_S": 0.3})
    client = gateway_folders.client()
    for _ in range(5):
        assert client.post(CHAT, json=ASK).content == CHAT_STREAM
    assert model_server.connections == 1
    until(lambda: model_server.closed == 1, "the idle connection is closed")
    assert client.post(CHAT, json=ASK).content == CHAT_STREAM
    assert model_server.connections == 2
    assert json.loads(json.dumps([line["error"] for line in gateway_folders.wait_for_lines(6)])) == [None] * 6
