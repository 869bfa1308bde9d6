"""The name server of a sandbox: what it reads in a query, and what it answers. tests/adapters/sandbox runs it there."""

from __future__ import annotations

import asyncio
import os
import random
import socket

from aegis_tui.agent.name_server import NameServer, no_such_name, open_name_server, read_question


def query(*labels: bytes, kind: int = 1) -> bytes:
    """A DNS query as a resolver sends it, with an EDNS record after the question."""
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    edns = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    return b"\x12\x34\x01\x00\0\1\0\0\0\0\0\1" + name + kind.to_bytes(2, "big") + b"\0\1" + edns


def test_the_answer_repeats_the_question_and_says_that_there_is_no_such_name() -> None:
    asked = query(b"Example", b"org", kind=28)
    name, end = read_question(asked) or ("", 0)
    answer = no_such_name(asked, end)
    assert name == "example.org"
    assert answer[:2] == b"\x12\x34" and answer[2] & 0x80 and answer[3] & 0x0F == 3
    assert answer[4:12] == b"\0\1\0\0\0\0\0\0" and answer[12:] == b"\7Example\3org\0\0\x1c\0\1"


def test_a_name_may_hold_anything() -> None:
    assert read_question(query(b"\x1b[2J", b"evil\n")) == ("\x1b[2j.evil\n", 28)


def test_what_is_no_query_is_not_answered() -> None:
    good = query(b"example", b"org")
    cut = [good[:size] for size in range(29)]
    wrong = [good[:2] + b"\x81" + good[3:], query(b"x" * 63, b"y" * 63, b"z" * 63, b"w" * 63), b"\xff" * 600]
    assert [read_question(item) for item in (*cut, *wrong)] == [None] * 32
    rng = random.Random(7)
    for _ in range(2000):
        read_question(rng.randbytes(rng.randrange(80)))  # never raises


def test_each_name_is_told_once_and_no_more_than_the_first_64() -> None:
    async def ask() -> list[str]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        names: list[str] = []
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(listener.getsockname())
            async with NameServer(listener).serve(names.append):
                for number in (0, 0, *range(80)):
                    client.send(query(f"n{number}".encode()))
                    async with asyncio.timeout(10):
                        assert await loop.sock_recv(client, 512)
        return names

    assert asyncio.run(ask()) == [f"n{number}" for number in range(64)]


def test_outside_a_sandbox_nothing_listens() -> None:
    assert open_name_server({}) is None
    assert open_name_server({**os.environ, "AEGIS_SANDBOX": "none"}) is None
