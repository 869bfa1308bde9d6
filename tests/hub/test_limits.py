"""What one client can make the hub read, hold and answer at once has an end (HUB-9)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain import limit
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.errors import Unavailable
from aegis_tui.hub.batch import ReplyFuture
from aegis_tui.hub.frames import PART_BYTES
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.rate import Door, RateLimit
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

BEAT = '{"type": "heartbeat"}'
ONE = Actor("CLAUDE-one", "instance")


def frame(text: str) -> bytes:
    """A masked text frame with an all-zero mask (RFC 6455 5.2)."""
    body = text.encode()
    length = bytes([0x80 | len(body)]) if len(body) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(body))
    return b"\x81" + length + b"\0\0\0\0" + body


def connected(address: HubAddress, token: str) -> socket.socket:
    """A raw connection that has become a WebSocket."""
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(10)
    stream.connect(address.socket)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /v1/stream HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {token}", "", ""]
    stream.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # and no byte more: a frame may come with it
        head += stream.recv(1)
    assert b"101" in head
    return stream


def fill(stream: socket.socket, part: bytes) -> None:
    """Send until nothing more is taken."""
    stream.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while True:
            stream.sendall(part)


class Unanswered:
    """Stands in for `Ingress.start`: no request is ever answered, all are counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        monkeypatch.setattr(Ingress, "start", self.start)

    def start(self, frame: dict[str, Any], actor: Actor, *, size: int = 0, **_: Any) -> ReplyFuture:
        self.sizes.append(size)
        return asyncio.get_running_loop().create_future()


async def until_quiet(count: Callable[[], int]) -> int:
    """The count, once the hub has looked at all that it wants to."""
    seen = -1
    while seen != count():
        seen = count()
        await asyncio.sleep(0.05)
    return seen


@pytest.mark.boundary(
    layer="limits",
    tried="thousands of WebSocket requests whose answers are not awaited or read",
    refused="beyond 256 requests or 256 KiB the hub reads no more until half of them are answered",
)
@pytest.mark.parametrize(("size", "most"), [(40, limit.PENDING.most), (4_000, limit.PENDING_BYTES.most // 4_000)])
def test_a_stream_is_read_no_further_than_its_window(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch, size: int, most: int
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            stream = await asyncio.to_thread(connected, address, address.token)
            taken = Unanswered(monkeypatch)
            request = json.dumps({"type": "ack", "of": 1, "x": ""})
            request = request.replace('""', f'"{"y" * (size - len(request))}"')
            await asyncio.to_thread(fill, stream, frame(request) * 100)
            found = await until_quiet(lambda: len(taken.sizes))
            assert most <= found <= most + PART_BYTES // len(frame(request)) + 1
            stream.close()

    asyncio.run(main())


def test_a_stream_that_was_held_goes_on_where_it_stopped(paths: WorkspacePaths) -> None:
    def talk(address: HubAddress) -> int:
        stream = connected(address, address.token)
        for part in range(5):
            stream.sendall(frame(BEAT) * 800)
            stream.sendall(frame(json.dumps({"type": "subscribe", "types": [], "request_id": f"end{part}"})))
        answers = bytearray()
        while b"end4" not in answers:
            answers += stream.recv(65536)
        stream.close()
        return answers.count(b'"lost":[]')

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            answered = await asyncio.to_thread(talk, address)
            assert answered >= 5 * 800 - limit.PENDING.most

    asyncio.run(main())


def test_pipelined_requests_are_taken_one_at_a_time(paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            taken = Unanswered(monkeypatch)
            lines = ["POST /v1/commands HTTP/1.1", "Host: localhost", f"Authorization: Bearer {address.token}"]
            lines += ["Content-Type: application/json", f"Content-Length: {len(BEAT)}", "", BEAT]
            reader, writer = await asyncio.open_unix_connection(address.socket)
            writer.write("\r\n".join(lines).encode() * 2_000)
            assert await until_quiet(lambda: len(taken.sizes)) == 1
            writer.close()
            del reader

    asyncio.run(main())


def test_requests_of_one_instance_under_way_have_an_end() -> None:
    door = Door()
    two = limit.IN_FLIGHT._replace(most=2)
    with door.under_way(ONE, two), door.under_way(ONE, two):
        with pytest.raises(Unavailable) as caught, door.under_way(ONE, two):
            pass
        assert (caught.value.code, caught.value.data["limit"]) == ("rate", limit.IN_FLIGHT.name)
        with door.under_way(THE_PERSON), door.under_way(Actor("CLAUDE-two", "instance")):
            pass
    with door.under_way(ONE, two):
        pass


def test_connections_of_one_instance_have_an_end(paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.hub.stream.STREAMS", limit.STREAMS._replace(most=2))

    def talk(address: HubAddress) -> None:
        reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id="one")
        token = Path(reply["token_file"]).read_text()
        streams = [connected(address, token) for _ in range(3)]
        answer = streams[2].recv(4096)
        assert answer[0] == 0x88 and struct.unpack(">H", answer[2:4]) == (1013,)
        assert b"too many connections" in answer
        streams[0].sendall(frame(BEAT))
        assert b'"ok":true' in streams[0].recv(4096)
        for stream in streams:
            stream.close()

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())


def test_bytes_of_one_instance_have_a_rate() -> None:
    now = 0.0
    door = Door(sizes=RateLimit(per_s=100, burst=300, now=lambda: now))
    for _ in range(3):
        door.take(ONE, 100)
    with pytest.raises(Unavailable) as caught:
        door.take(ONE, 100)
    assert caught.value.data["limit"] == limit.BYTE_RATE.name and caught.value.hint == limit.BYTE_RATE.frees
    door.take(THE_PERSON, 10_000)
    now = 1.0
    door.take(ONE, 100)


@pytest.mark.boundary(
    layer="limits",
    tried="requests of a megabyte, one after the other, over REST and MCP",
    refused="refused with `rate` after 8 MiB",
)
def test_every_door_counts_bytes(paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.hub.rate.BYTE_BURST", limit.BYTE_BURST._replace(most=3_000))
    monkeypatch.setattr("aegis_tui.hub.rate.BYTE_RATE", limit.BYTE_RATE._replace(most=1))

    def talk(address: HubAddress) -> None:
        for name in ("one", "two"):
            reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id=name)
            token = Path(reply["token_file"]).read_text()
            note = {"event": "note:n", "data": {"x": "y" * 1_200}}
            call = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "broadcast", "arguments": note},
            }
            path, body = ("/v1/commands", {"type": "broadcast", **note}) if name == "one" else ("/mcp", call)
            answers = [post(address, path, token, body) for _ in range(3)]
            assert ["too many bytes" in answer for answer in answers] == [False, False, True]

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())


def post(address: HubAddress, path: str, token: str, body: object) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", int(address.url.rpartition(":")[2]), timeout=45)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), {**headers, "Accept": "application/json, text/event-stream"})
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def test_pages_of_events_and_of_the_state_lead_to_the_whole(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.hub.engine.EVENTS_PAGE", limit.EVENTS_PAGE._replace(most=5_000))
    monkeypatch.setattr("aegis_tui.domain.page.context_page.__kwdefaults__", {"most": 3_000})
    monkeypatch.setattr("aegis_tui.domain.page.section_page.__kwdefaults__", {"most": 3_000})

    def talk(address: HubAddress) -> None:
        hub = HubQuick(address)
        for number in range(40):
            hub.command("broadcast", event="note:n", data={"x": "y" * 1_000})
            hub.command("lock:acquire", path=f"src/file-{number:02d}.py")
        sizes, after, seen = [], 0, []
        while page := hub.events(after=after):
            seen += [event["seq"] for event in page]
            sizes.append(len(json.dumps(page)))
            after = seen[-1]
        assert seen == list(range(1, 81)) and len(sizes) > 8 and max(sizes) < 8_000
        state = hub.state()
        assert sorted(state["locks"]) == [f"src/file-{number:02d}.py" for number in range(40)]
        assert "next" not in state
        first = hub.command("context:get")
        assert len(json.dumps(first)) < 6_000 and first["next"]["locks"]
        more = hub.command("context:get", section="locks", after=first["next"]["locks"])
        assert more["section"] == "locks" and min(more["entries"]) > max(first["locks"])

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())
