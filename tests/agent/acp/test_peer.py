"""A connection goes on, or ends at once, whatever the other end sends (AGENT-3)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from aegis_tui.agent.acp import peer as module
from aegis_tui.agent.acp.peer import METHOD_NOT_FOUND, TOO_MANY, AcpClosed, AcpError, Peer


class Wire:
    """A peer, and the other end of its connection."""

    def __init__(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peer, self.reader, self.writer = peer, reader, writer
        self.noted: list[tuple[str, Mapping[str, Any]]] = []

    async def says(self, *lines: bytes | dict[str, Any]) -> None:
        for line in lines:
            self.writer.write((json.dumps(line).encode() if isinstance(line, dict) else line) + b"\n")
        await self.writer.drain()

    async def hears(self) -> dict[str, Any]:
        value = json.loads(await self.reader.readline())
        assert isinstance(value, dict) and value["jsonrpc"] == "2.0"
        return value


async def refuse(method: str, params: Mapping[str, Any]) -> Any:
    raise AcpError(f"no {method}", METHOD_NOT_FOUND)


def play(scenario: Callable[[Wire], Awaitable[None]], *, on_request: Any = refuse, limit: int = 1 << 20) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours, limit=limit)
        other, out = await asyncio.open_connection(sock=theirs)
        wire: Wire
        peer = Peer(reader, writer, on_request=on_request, on_notice=lambda *noted: wire.noted.append(noted))
        wire = Wire(peer, other, out)
        running = asyncio.create_task(peer.run())
        async with asyncio.timeout(20):
            await scenario(wire)
            out.close()
            await running
        assert peer.is_closed

    asyncio.run(run())


ODD = [
    b"",
    b"Welcome to the agent!",
    b"\xff\xfe\x00",
    b"[1, 2]",
    b"null",
    b'{"id": 1',
    b"[" * 100_000,
    b'{"id": 1' + b"0" * 5000 + b"}",
    b'{"jsonrpc": "2.0"}',
    b'{"id": 77, "result": 1}',
    b'{"id": "1", "result": 1}',
    b'{"id": [1], "result": 1}',
    b'{"method": 4, "id": 2}',
    b'{"method": "x", "params": [1]}',
    b'{"method": "session/update", "params": null}',
]


def test_what_is_no_message_is_dropped_and_the_next_answer_arrives() -> None:
    async def scenario(wire: Wire) -> None:
        asking = asyncio.create_task(wire.peer.request("initialize", {"a": 1}))
        asked = await wire.hears()
        assert (asked["method"], asked["params"]) == ("initialize", {"a": 1})
        await wire.says(*ODD, {"id": asked["id"], "result": {"ok": True}})
        assert await asking == {"ok": True}
        assert wire.noted == [("x", {}), ("session/update", {})]
        assert wire.peer.dropped >= 8

    play(scenario)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": -32603, "message": "Internal error", "data": {"details": "no key"}}, "Internal error: no key"),
        ({"code": "x", "message": 4}, "an error without words"),
        ("gone", "an error without words"),
    ],
)
def test_an_error_is_raised_with_its_words(error: Any, words: str) -> None:
    async def scenario(wire: Wire) -> None:
        asking = asyncio.create_task(wire.peer.request("session/new", {}))
        await wire.says({"id": (await wire.hears())["id"], "error": error})
        with pytest.raises(AcpError, match=words):
            await asking

    play(scenario)


def test_a_message_that_is_too_long_is_dropped_and_one_that_answers_fails_its_request() -> None:
    async def scenario(wire: Wire) -> None:
        asking = asyncio.create_task(wire.peer.request("session/load", {}))
        number = (await wire.hears())["id"]
        huge = "x" * 3_000_000
        await wire.says({"method": "session/update", "params": {"text": huge}})
        await wire.says({"jsonrpc": "2.0", "id": number, "result": huge})
        with pytest.raises(AcpError, match="too long"):
            await asking
        await wire.says({"method": "after", "params": {}})
        again = asyncio.create_task(wire.peer.request("session/new", {}))
        await wire.says({"id": (await wire.hears())["id"], "result": 1})
        assert await again == 1 and wire.noted == [("after", {})] and wire.peer.dropped == 2

    play(scenario)


def test_requests_are_answered_beside_each_other_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_REQUESTS", 2)
    gate = asyncio.Event()

    async def wait(method: str, params: Mapping[str, Any]) -> Any:
        if method == "wait":
            await gate.wait()
        return params

    async def scenario(wire: Wire) -> None:
        await wire.says(
            {"method": "wait", "id": "a", "params": {"n": 1}}, {"method": "now", "id": 0, "params": {"n": 2}}
        )
        assert (await wire.hears()) == {"jsonrpc": "2.0", "id": 0, "result": {"n": 2}}
        await wire.says({"method": "wait", "id": 1}, {"method": "wait", "id": 2})
        assert (await wire.hears())["error"]["code"] == TOO_MANY
        gate.set()
        assert {(await wire.hears())["id"], (await wire.hears())["id"]} == {"a", 1}

    play(scenario, on_request=wait)


def test_requests_of_an_end_that_reads_no_answers_do_not_pile_up() -> None:
    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        return "x" * 100_000

    async def scenario(wire: Wire) -> None:
        for number in range(1000):
            await wire.says({"method": "fs/read_text_file", "id": number, "params": {}})
        await wire.says(
            {"method": "x", "id": "y" * 1001}, {"method": "x", "id": [1]}, {"method": "after", "params": {}}
        )
        while True:
            if wire.noted:
                break
            await asyncio.sleep(0.01)
        assert wire.peer.dropped >= 800
        assert len(wire.peer._tasks) <= 128

    play(scenario, on_request=answer)


def test_an_unknown_request_is_refused_with_the_code_of_json_rpc() -> None:
    async def scenario(wire: Wire) -> None:
        await wire.says({"method": "fs/read_text_file", "id": 9, "params": {}})
        assert (await wire.hears())["error"] == {"code": -32601, "message": "no fs/read_text_file"}

    play(scenario)


def test_a_request_that_meets_a_fault_of_ours_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(method: str, params: Mapping[str, Any]) -> Any:
        raise LookupError("a fault")

    async def scenario(wire: Wire) -> None:
        await wire.says({"method": "session/new", "id": 9, "params": {}})
        assert (await wire.hears())["error"] == {"code": -32603, "message": "the request failed unexpectedly"}

    play(scenario, on_request=broken)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


def test_the_end_of_the_stream_fails_what_waits_and_cancels_what_runs() -> None:
    cancelled = asyncio.Event()

    async def forever(method: str, params: Mapping[str, Any]) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def scenario(wire: Wire) -> None:
        asking = asyncio.create_task(wire.peer.request("session/prompt", {}))
        await wire.hears()
        await wire.says({"method": "session/request_permission", "id": 1, "params": {}}, b'{"half": ')
        wire.writer.write(b'{"id": 1, "resu')
        wire.writer.write_eof()
        with pytest.raises(AcpClosed):
            await asking
        await cancelled.wait()
        with pytest.raises(AcpClosed):
            await wire.peer.request("session/prompt", {})
        with pytest.raises(AcpClosed):
            await wire.peer.notify("session/cancel", {})

    play(scenario, on_request=forever)
