"""Clients that speak HTTP in ways that are rare, slow or wrong, on real sockets of a real gateway process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.gateway.conftest import CHAT_STREAM, STREAM_HEAD, TOKEN, Gateway, ModelServer, Seen, chunked, until, whole

CHAT = "/v1/chat/completions"
BODY = b'{"model":"tiny","stream":true}'


@contextlib.contextmanager
def dial(gateway: Gateway) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gateway.runtime / "gateway.sock"))
        client.settimeout(10)
        yield client


def head(method: str = "POST", path: str = CHAT, *lines: str, version: str = "1.1") -> bytes:
    named = ("Host: g", f"Authorization: Bearer {TOKEN}", *lines)
    return "\r\n".join((f"{method} {path} HTTP/{version}", *named, "", "")).encode()


CALL = head("POST", CHAT, f"Content-Length: {len(BODY)}") + BODY


def read_until(client: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        part = client.recv(65536)
        assert part, f"the connection ended before {mark!r}: {received!r}"
        received += part
    return received


def read_to_end(client: socket.socket) -> bytes:
    received = b""
    while part := client.recv(65536):
        received += part
    return received


def body_of(received: bytes) -> bytes:
    """The content of the one chunked answer."""
    rest, body = received.partition(b"\r\n\r\n")[2], b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if not (length := int(size, 16)):
            return body
        body, rest = body + rest[:length], rest[length + 2 :]


LONE = {
    "names in any case": CALL.replace(b"Authorization", b"aUTHORIZATIOn").replace(b"Length", b"LENGTH"),
    "a whole URL": CALL.replace(b"POST /", b"POST http://gateway/"),
    "chunks with extensions and trailers": head("POST", CHAT, "Transfer-Encoding: chunked")
    + b"10;a=b\r\n%b\r\n%x\r\n%b\r\n0\r\nx-a: b\r\n\r\n" % (BODY[:16], len(BODY) - 16, BODY[16:]),
    "another protocol offered": CALL.replace(
        b"Host: g", b"Host: g\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ"
    ),
    "an empty line before": b"\r\n" + CALL,
    "a long header": CALL.replace(b"Host: g", b"Host: g\r\nx-a: " + b"a" * 50_000),
}


@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("way", LONE)
def test_a_call_passes_however_it_is_framed(
    gateway: Gateway, model_server: ModelServer, way: str, is_slow: bool
) -> None:
    text = LONE[way]
    with dial(gateway) as client:
        for at in range(0, len(text), 1 if is_slow and len(text) < 10_000 else 30_000):
            client.sendall(text[at : at + 1] if is_slow and len(text) < 10_000 else text[at : at + 30_000])
        received = read_until(client, b"0\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body_of(received) == CHAT_STREAM
        client.sendall(CALL)  # the connection stays
        assert body_of(read_until(client, b"0\r\n\r\n")) == CHAT_STREAM
    assert [call.json["model"] for call in model_server.calls(CHAT)] == ["tiny", "tiny"]


def test_requests_that_are_sent_ahead_are_answered_in_their_order(gateway: Gateway, model_server: ModelServer) -> None:
    model_server.answers[CHAT] = lambda seen: whole(b'{"n": %d}' % seen.json["n"])
    bodies = [b'{"model":"tiny","n":%d}' % number for number in range(20)]
    calls = [head("POST", CHAT, f"Content-Length: {len(body)}") + body for body in bodies]
    with dial(gateway) as client:
        client.sendall(b"".join(calls) + head("GET", "/v1/usage"))
        received = read_until(client, b'"agents"')
    assert [received.index(b'{"n": %d}' % number) for number in range(20)] == sorted(
        received.index(b'{"n": %d}' % number) for number in range(20)
    )
    assert received.count(b"HTTP/1.1 200 OK") == 21
    assert [call.json["n"] for call in model_server.calls(CHAT)] == [*range(20)]


def test_requests_without_end_that_are_sent_ahead_are_not_kept(gateway: Gateway) -> None:
    assert gateway.process is not None
    with dial(gateway) as client:
        gateway.process.send_signal(signal.SIGSTOP)  # so that it receives all at once
        client.sendall(head("GET", "/v1/usage") * 1_000)
        gateway.process.send_signal(signal.SIGCONT)
        received = read_to_end(client)
    assert received.count(b"HTTP/1.1 200 OK") == 1


def test_an_answer_that_is_not_read_holds_the_next_one_back_too(gateway: Gateway, model_server: ModelServer) -> None:
    long, event, sent = b'{"n": "%b"}' % (b"x" * 8_000_000), b"data: %s\n\n" % (b"x" * 20_000), 0

    async def answers(seen: Seen) -> AsyncIterator[bytes]:
        nonlocal sent
        if seen.json["n"] == 1:
            yield b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(long) + long
            return
        yield STREAM_HEAD
        for _ in range(1600):
            sent += 1
            yield chunked(event)
        yield chunked(b"data: [DONE]\n\n") + chunked(b"")

    model_server.answers[CHAT] = answers
    bodies = [b'{"model":"tiny","stream":%s,"n":%d}' % pair for pair in ((b"false", 1), (b"true", 2))]
    with dial(gateway) as client:
        client.sendall(b"".join(head("POST", CHAT, f"Content-Length: {len(body)}") + body for body in bodies))
        until(lambda: sent, "the second answer has begun")
        before = 0
        while sent != before:
            before = sent
            time.sleep(0.5)
        assert sent < 1200
        received = 0
        while received < len(long) + 1600 * len(event):
            received += len(client.recv(1 << 20))
    assert sent == 1600


def test_who_asks_before_it_sends_a_body_is_told_to_go_on(gateway: Gateway, model_server: ModelServer) -> None:
    asking = head("POST", CHAT, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    with dial(gateway) as client:
        client.sendall(asking)
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not model_server.calls(CHAT)
        client.sendall(BODY)
        assert body_of(read_until(client, b"0\r\n\r\n")) == CHAT_STREAM
        client.sendall(asking + BODY)  # it did not wait
        received = read_until(client, b"0\r\n\r\n")
        assert body_of(received[received.rindex(b"HTTP/1.1 ") :]) == CHAT_STREAM


@pytest.mark.parametrize(
    ("asking", "status"),
    [
        (head("POST", CHAT, "Content-Length: 40000000", "Expect: 100-continue"), 413),
        (head("POST", "/v1/nothing", "Content-Length: 9", "Expect: 100-continue"), 404),
        (head("POST", CHAT, "Content-Length: 9", "Expect: 100-continue").replace(TOKEN.encode(), b"nobody"), 401),
    ],
    ids=["too long", "no such path", "no such caller"],
)
def test_who_asks_before_it_sends_a_body_is_refused_without_it(gateway: Gateway, asking: bytes, status: int) -> None:
    with dial(gateway) as client:
        client.sendall(asking)
        received = read_to_end(client)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b"100 Continue" not in received and b"connection: close\r\n" in received


def test_a_refusal_reaches_a_client_that_is_still_sending(gateway: Gateway) -> None:
    """A connection that is closed with bytes unread is reset, and the client loses the answer with it."""
    with dial(gateway) as client:
        client.sendall(head("POST", "/v1/nothing", "Content-Length: 3000000") + b" " * 100_000)
        time.sleep(0.1)
        for _ in range(10):
            client.sendall(b" " * 100_000)
        received = read_to_end(client)
    assert received.startswith(b"HTTP/1.1 404 ")


def test_a_body_that_does_not_come_is_refused_in_time(gateway_folders: Gateway, model_server: ModelServer) -> None:
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(numbers={"aegis_tui.gateway.request_body:_DEADLINE_S": 0.3})
    with dial(gateway_folders) as client:
        client.sendall(head("POST", CHAT, "Content-Length: 9") + b"{")
        received = read_to_end(client)
    assert received.startswith(b"HTTP/1.1 408 ") and b"body.slow" in received
    assert not model_server.calls(CHAT)


def test_head_has_the_headers_of_get_and_no_body(gateway: Gateway) -> None:
    with dial(gateway) as client:
        client.sendall(head("HEAD", "/healthz") + head("HEAD", "/v1/models") + head("HEAD", CHAT) + head("GET", "/x"))
        received = read_until(client, b"is not served here")
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"200", b"405", b"404"]
    assert b'"ok"' not in received and b"tiny" not in received


def test_a_client_of_http_1_0_gets_the_end_of_the_connection_as_the_end(gateway: Gateway) -> None:
    with dial(gateway) as client:
        client.sendall(head("POST", CHAT, f"Content-Length: {len(BODY)}", version="1.0") + BODY)
        received = read_to_end(client)
    assert received.partition(b"\r\n\r\n")[2] == CHAT_STREAM
    assert b"transfer-encoding" not in received


def test_a_client_that_ends_its_side_has_hung_up(gateway: Gateway, model_server: ModelServer) -> None:
    """Whoever ends one side and whoever ends both look the same; the server shall not work for nobody."""

    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        while True:
            yield chunked(b"data: {}\n\n")
            await asyncio.sleep(0.01)

    model_server.answers[CHAT] = endless
    with dial(gateway) as client:
        client.sendall(CALL)
        read_until(client, b"data: {}")
        client.shutdown(socket.SHUT_WR)
        assert b"0\r\n\r\n" not in read_to_end(client)
    until(lambda: model_server.closed, "the model server sees the end")
    assert gateway.wait_for_lines(1)[0]["error"] == "cancelled"


def test_a_client_that_reads_nothing_and_leaves_ends_its_call(gateway: Gateway, model_server: ModelServer) -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        while True:
            yield chunked(b"data: %s\n\n" % (b"x" * 50_000))

    model_server.answers[CHAT] = endless
    with dial(gateway) as client:
        client.sendall(CALL)
        read_until(client, b"data: ")
        time.sleep(0.5)
        client.shutdown(socket.SHUT_WR)
        until(lambda: model_server.closed, "the model server sees the end")
    assert gateway.wait_for_lines(1)[0]["error"] == "cancelled"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost g\r\n\r\n", 400),
        (head("POST", CHAT, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (head("POST", CHAT, "Content-Length: 5", "Content-Length: 6") + b"12345", 400),
        (head("POST", CHAT, "Content-Length: 99999999999999999999999") + b"x", 400),
        (head("POST", CHAT, "Transfer-Encoding: chunked") + b"5\r\nhello\r\nzz\r\n", 400),
        (head("GET", "/healthz", "x-a: " + "a" * 70_000), 431),
        (head("GET", "/healthz", *(["x-a: b"] * 20_000)), 431),
        (b"GET /healthz HTTP/1.1\r\nx-a: " + b"a" * 1_000_000, 431),
        (b"GET /" + b"a" * 1_000_000, 431),
        (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: g\r\n\r\n", 405),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
    ids=[
        *("words", "HTTP/2", "no colon", "length and chunks", "two lengths", "an endless length", "no chunk"),
        *("a long header", "many headers", "a header without end", "a target without end", "a proxy", "HTTP/2 at once"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(
    gateway: Gateway, model_server: ModelServer, text: bytes, status: int
) -> None:
    with dial(gateway) as client:
        with contextlib.suppress(BrokenPipeError):  # the refusal came before the end
            client.sendall(text)
        received = read_to_end(client)
    assert received.startswith(b"HTTP/1.1 %d " % status), received[:200]
    assert received.count(b"HTTP/1.1 ") == 1
    assert not model_server.calls(CHAT)
    assert gateway.client().get("/v1/models").status_code == 200


def test_what_is_no_request_after_a_good_one_does_not_harm_its_answer(
    gateway: Gateway, model_server: ModelServer
) -> None:
    with dial(gateway) as client:
        client.sendall(CALL + b"\x00\x01 nonsense\r\n\r\n")
        assert body_of(read_to_end(client)) == CHAT_STREAM
