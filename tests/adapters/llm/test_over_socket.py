from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.llm.http_call import HttpFailed, get_whole
from aegis_tui.adapters.llm.over_socket import SocketClient
from aegis_tui.errors import UsageError

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"


@dataclass
class RawServer:
    """Answers each request with the next of the prepared texts, and closes the connection if it ends with None."""

    path: Path
    answers: list[list[bytes | None]]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or b"0")))
                for piece in self.answers.pop(0):
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()


def play(
    scenario: Callable[[RawServer, SocketClient], Awaitable[None]],
    *answers: list[bytes | None],
    idle_timeout_s: float = 10.0,
) -> None:
    async def run(path: Path) -> None:
        raw = RawServer(path, list(answers))
        headers = {"Authorization": "Bearer x"}
        client = SocketClient(str(path), "/v1/", headers, idle_timeout_s=idle_timeout_s, connect_timeout_s=10.0)
        async with await asyncio.start_unix_server(raw.serve, path=path):
            await scenario(raw, client)
            await client.close()
            await client.close()

    with TemporaryDirectory(prefix="g") as folder:
        asyncio.run(run(Path(folder, "g.sock")))


async def read(client: SocketClient) -> bytes:
    async with client.ask("POST", "chat", b"{}") as answer:
        return b"".join([chunk async for chunk in answer.chunks()])


def test_calls_share_a_connection_and_headers_of_one_name_are_joined() -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        whole = await get_whole(client, "models", deadline_s=10.0)
        assert (whole.status, whole.content, whole.headers["x-a"]) == (200, b"hello", "1, 2")
        assert await read(client) == b"hello"
        assert server.connections == 1
        assert server.requests[0].startswith(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n")
        assert b"Authorization: Bearer x\r\n" in server.requests[0]
        assert server.requests[1].endswith(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    play(scenario, [WHOLE], [WHOLE])


@pytest.mark.parametrize(
    "first",
    [
        [WHOLE, None],
        [b"HTTP/1.1 200 OK\r\n\r\nhello", None],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None],
        [b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE, None],
    ],
)
def test_a_connection_that_the_server_closed_is_not_used_again(first: list[bytes | None]) -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        assert await read(client) == b"hello"
        await asyncio.sleep(0.01)
        assert await read(client) == b"hello"
        assert server.connections == 2

    play(scenario, first, [WHOLE])


def test_what_follows_an_answer_is_dropped_with_its_connection() -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        assert await read(client) == b"hello"
        assert await read(client) == b"hello"
        assert server.connections == 2

    play(scenario, [WHOLE + WHOLE], [WHOLE])


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([None], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le", None], "RemoteProtocolError"),
        ([b"SSH-2.0-OpenSSH\r\n"], "RemoteProtocolError"),
        ([b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70_000 + b"\r\n"] * 3, "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\n"], "ReadTimeout"),
    ],
)
def test_what_is_no_answer_fails(pieces: list[bytes | None], kind: str) -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        with pytest.raises(HttpFailed, match=kind):
            await read(client)

    play(scenario, pieces, idle_timeout_s=0.3)


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", None], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n"], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", None], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"], "ReadTimeout"),
    ],
)
def test_what_was_received_before_the_break_is_read_first(pieces: list[bytes | None], kind: str) -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        seen = b""
        with pytest.raises(HttpFailed, match=kind):
            async with client.ask("POST", "chat", b"{}") as answer:
                async for chunk in answer.chunks():
                    seen += chunk
        assert seen == b"hello"

    play(scenario, pieces, idle_timeout_s=0.3)


def test_leaving_an_answer_before_its_end_tells_the_server() -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        async with client.ask("POST", "chat", b"{}") as answer:
            assert answer.status == 200
        async with asyncio.timeout(10):
            await server.hung_up.wait()

    play(scenario, [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"])


def test_a_whole_answer_has_a_size_and_a_deadline() -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        with pytest.raises(HttpFailed, match="EndlessAnswer"):
            await get_whole(client, "models", deadline_s=10.0)
        with pytest.raises(HttpFailed, match="ReadTimeout"):
            await get_whole(client, "models", deadline_s=0.3)

    play(scenario, [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (5 << 20), None], [b"HTTP/1.1 200 OK\r\n\r\nx"])


def test_a_token_that_would_end_its_header_is_refused() -> None:
    with pytest.raises(UsageError, match="Authorization"):
        SocketClient("g", "/", {"Authorization": "x\r\nHost: y"}, idle_timeout_s=1.0, connect_timeout_s=1.0)


pieces = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 Early\r\n",
        b"HTTP/1.1 204 None\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
    ]
)


@pytest.mark.thorough
@settings(max_examples=80, deadline=None)
@given(st.lists(pieces | st.binary(max_size=6), max_size=9))
def test_any_bytes_are_an_answer_or_a_failure(parts: list[bytes]) -> None:
    async def scenario(server: RawServer, client: SocketClient) -> None:
        try:
            await read(client)
        except HttpFailed as error:
            assert str(error) == "RemoteProtocolError"

    play(scenario, [*parts, None])
