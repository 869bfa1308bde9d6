"""The WebSocket client against a server of another maker: messages of all sizes, pings, closing, broken frames."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from aegis_tui.sdk import web_socket
from aegis_tui.sdk.web_frames import CLOSE, PING, TEXT, FrameError, FrameReader, render_close, render_frame
from aegis_tui.sdk.web_socket import ClientConnection, WebSocketLost, open_web_socket

_ACCEPT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
Serve = Callable[[ServerConnection], Awaitable[Any]]


async def _open(place: str | tuple[str, int], *, most_bytes: int = 1 << 24, open_s: float = 20.0) -> ClientConnection:
    return await open_web_socket(place, "/v1/stream", host="localhost", open_s=open_s, most_bytes=most_bytes)


def _run(tmp_path: Path, handler: Serve, client: Callable[[ClientConnection], Awaitable[Any]], **options: int) -> None:
    """Let a client talk to a server that runs `handler` for each connection, on a unix socket."""

    async def main() -> None:
        place = str(tmp_path / "s")
        async with unix_serve(handler, place, max_size=None), asyncio.timeout(30):
            ours = await _open(place, **options)
            try:
                await client(ours)
            finally:
                await ours.close(wait_s=10)

    asyncio.run(main())


async def _echo(server: ServerConnection) -> None:
    async for message in server:
        await server.send(message)


def test_messages_of_all_sizes_come_back_in_order(tmp_path: Path) -> None:
    texts = ["", "ä" * 3, "x" * 125, "x" * 126, "y" * 65_535, "y" * 65_536, "z" * 3_000_000]

    async def client(ours: ClientConnection) -> None:
        for text in texts:
            await ours.send(text)
        assert [await ours.receive() for _ in texts] == texts

    _run(tmp_path, _echo, client)


def test_a_port_and_a_message_in_parts() -> None:
    async def parts(server: ServerConnection) -> None:
        await server.send(iter(["one ", "", "message"]))
        await server.send(b"bytes")
        await server.wait_closed()

    async def main() -> None:
        async with serve(parts, "127.0.0.1", 0) as server, asyncio.timeout(30):
            ours = await _open(("127.0.0.1", server.sockets[0].getsockname()[1]))
            assert await ours.receive() == "one message"
            assert await ours.receive() == b"bytes"
            await ours.close(wait_s=10)
            assert ours.close_code == 1000

    asyncio.run(main())


def test_it_answers_pings_and_keeps_the_messages_before_a_close(tmp_path: Path) -> None:
    async def ping_and_leave(server: ServerConnection) -> None:
        await (await server.ping())
        await server.send("last")
        await server.close(1008, "no")

    async def client(ours: ClientConnection) -> None:
        assert await ours.receive() == "last"
        for ask in (ours.receive, lambda: ours.send("late")):
            with pytest.raises(WebSocketLost, match="1008"):
                await ask()
        assert ours.close_code == 1008

    _run(tmp_path, ping_and_leave, client)


def test_a_server_that_hangs_up_gives_1006_and_wakes_who_waits(tmp_path: Path) -> None:
    async def hang_up(server: ServerConnection) -> None:
        await server.recv()
        server.transport.abort()

    async def client(ours: ClientConnection) -> None:
        waiting = [asyncio.create_task(ours.receive()) for _ in range(2)]
        await ours.send("go")
        for task in waiting:
            with pytest.raises(WebSocketLost):
                await task
        assert ours.close_code == 1006

    _run(tmp_path, hang_up, client)


def test_a_message_that_is_too_long_ends_the_connection_and_is_not_held_against_us(tmp_path: Path) -> None:
    async def main() -> None:
        code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        async def too_much(server: ServerConnection) -> None:
            await server.send("x" * 1001)
            with pytest.raises(ConnectionClosed):
                await server.recv()
            code.set_result(server.close_code)

        async with unix_serve(too_much, str(tmp_path / "s")), asyncio.timeout(30):
            ours = await _open(str(tmp_path / "s"), most_bytes=1000)
            with pytest.raises(WebSocketLost, match="1000 bytes"):
                await ours.receive()
            assert await code == 1009
            await ours.close(wait_s=10)
            assert ours.close_code == 1006

    asyncio.run(main())


def test_who_does_not_read_holds_the_server_back_and_loses_nothing(tmp_path: Path) -> None:
    sent: list[int] = []

    async def flood(server: ServerConnection) -> None:
        for number in range(100):
            await server.send(f"{number} " + "x" * 500_000)
            sent.append(number)

    async def client(ours: ClientConnection) -> None:
        before = -1
        while len(sent) != before:  # until the server stands still
            before = len(sent)
            await asyncio.sleep(0.3)
        assert before < 100
        for number in range(100):
            assert str(await ours.receive()).startswith(f"{number} ")

    _run(tmp_path, flood, client)


def test_sending_waits_for_a_server_that_does_not_read(tmp_path: Path) -> None:
    async def main() -> None:
        place = str(tmp_path / "s")
        gates = asyncio.Event()

        async def slow(server: ServerConnection) -> None:
            server.transport.pause_reading()
            await gates.wait()
            server.transport.resume_reading()
            async for _ in server:
                pass

        async with unix_serve(slow, place, max_size=None), asyncio.timeout(30):
            ours = await _open(place)
            sending = asyncio.create_task(ours.send("x" * 8_000_000))
            await asyncio.sleep(0.2)
            assert not sending.done()
            gates.set()
            await sending
            await ours.close(wait_s=10)

    asyncio.run(main())


def test_a_server_that_no_longer_answers_pings_counts_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_socket, "PING_S", 0.1)

    async def silent(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await server.wait_closed()

    async def client(ours: ClientConnection) -> None:
        with pytest.raises(WebSocketLost, match="does not answer"):
            await ours.receive()

    _run(tmp_path, silent, client)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"nonsense\r\n\r\n",
        _ACCEPT + b"Sec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"x" * 100_000,
        b"",
    ],
)
def test_an_answer_that_does_not_agree_is_refused(tmp_path: Path, answer: bytes) -> None:
    async def main() -> None:
        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(hear, str(tmp_path / "s")), asyncio.timeout(30):
            with pytest.raises(WebSocketLost):
                await _open(str(tmp_path / "s"))

    asyncio.run(main())


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s"))
            server.listen()
            with pytest.raises(TimeoutError):
                await _open(str(tmp_path / "s"), open_s=0.2)
            with pytest.raises(OSError, match="No such file"):
                await _open(str(tmp_path / "none"))

    asyncio.run(main())


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(1, 4))), st.integers(1, 50))
def test_frames_are_read_whatever_pieces_they_come_in(messages: list[tuple[bytes, int]], step: int) -> None:
    sent = b""
    for content, parts in messages:
        cuts = [content[at * len(content) // parts : (at + 1) * len(content) // parts] for at in range(parts)]
        for at, cut in enumerate(cuts):
            frame = Frame(Opcode.CONT if at else Opcode.TEXT, cut, fin=at == parts - 1)
            sent += frame.serialize(mask=False) + Frame(Opcode.PING, b"p").serialize(mask=False)
    reader = FrameReader(1000)
    read = [item for at in range(0, len(sent), step) for item in reader.feed(sent[at : at + step])]
    assert [content for kind, content in read if kind == TEXT] == [content for content, _ in messages]
    assert sum(kind == PING for kind, _ in read) == sum(parts for _, parts in messages)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc1\x00", 1002),  # a reserved bit
        (b"\x81\x80abcd", 1002),  # masked
        (b"\x83\x00", 1002),  # an unknown kind
        (b"\x09\x00", 1002),  # a ping in parts
        (b"\x89\x7e\x00\x80", 1002),  # a ping of 128 bytes
        (b"\x80\x00", 1002),  # it continues nothing
        (b"\x01\x00\x81\x00", 1002),  # it begins within another
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), 1009),
        (b"\x01\x0aaaaaaaaaaa\x80\x0abbbbbbbbbb", 1009),
    ],
)
def test_broken_frames_are_refused(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        list(FrameReader(15).feed(data))
    assert caught.value.code == code


def test_what_we_send_is_masked_anew_each_time() -> None:
    one, other = render_frame(TEXT, b"same text"), render_frame(TEXT, b"same text")
    assert one != other
    assert b"same" not in one
    assert render_close(1000)[0] == 0x80 | CLOSE
