"""Localhost is hostile: every attack on REST and WebSocket, over TCP and the unix socket (HUB-9, SEC-3)."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.decision import Actor
from aegis_tui.errors import Unavailable
from aegis_tui.hub import peer
from aegis_tui.hub.identity import Identity
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.rate import Door, RateLimit
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

DOORS = ("tcp", "unix")
CONTEXT = '{"v": 1, "request_id": "r", "type": "context:get"}'
NOBODY = 65534
REST_CASES: list[tuple[int, dict[str, str]]] = [
    (200, {}),
    (403, {"Origin": "https://evil.example"}),
    (403, {"Origin": "null"}),
    (403, {"Origin": "http://127.0.0.1:9999"}),
    (403, {"Origin": "file://"}),
    (403, {"Host": "rebound.example"}),
    (403, {"Host": "127.0.0.1.evil.example"}),
    (403, {"Host": "localhost@evil.example"}),
    (403, {"Host": "0.0.0.0"}),
    (400, {"Host": ""}),
    (401, {"Authorization": ""}),
    (401, {"Authorization": "Bearer"}),
    (401, {"Authorization": "Bearer " + "0" * 64}),
    (401, {"Authorization": "Bearer " + "0" * 5000}),
    (401, {"Authorization": "", "target": "/v1/commands?token=TOKEN"}),
    (401, {"Authorization": "", "Cookie": "token=TOKEN"}),
    (415, {"Content_Type": "text/plain"}),
    (415, {"Content_Type": "application/x-www-form-urlencoded"}),
    (415, {"Content_Type": ""}),
    (413, {"body": "x" * (10 << 20)}),
    (400, {"body": "[" * 200_000}),
    (400, {"body": f'{{"type": "broadcast", "event": "note:n", "data": {{"x": {"[" * 64}{"]" * 64}}}}}'}),
    (400, {"body": '{"type": "context:get", "agent_id": "CLAUDE-two"}'}),
    (400, {"body": '{"type": "session:expire", "agent_id": "x", "session": "y"}'}),
    (405, {"method": "OPTIONS", "body": ""}),
]


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def rest(
    address: HubAddress,
    door: str,
    *,
    method: str = "POST",
    target: str = "/v1/commands",
    body: str = CONTEXT,
    **more: str,
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """One request; `more` are headers, with _ for -, and an empty one is left out."""
    port = int(address.url.rpartition(":")[2])
    connection = _Unix(address.socket) if door == "unix" else http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": "localhost", "Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    try:
        connection.putrequest(method, target, skip_host=True)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body.encode())
        response = connection.getresponse()
        return response.status, json.loads(response.read()), {key.lower(): text for key, text in response.getheaders()}
    finally:
        connection.close()


def opened(address: HubAddress, door: str, *, host: str = "localhost", target: str = "/v1/stream", **more: str) -> Any:
    """A WebSocket that is not yet connected; `more` are headers."""
    if door == "unix":
        return unix_connect(address.socket, f"ws://{host}{target}", compression=None, additional_headers=more)
    port = int(address.url.rpartition(":")[2])
    url = f"ws://{host}:{port}{target}"
    return connect(url, host="127.0.0.1", port=port, compression=None, additional_headers=more)


async def status_of(stream: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await stream
    return int(caught.value.response.status_code)


async def close_code(stream: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await asyncio.wait_for(stream.recv(), 10)
    await stream.close()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


async def greeted(address: HubAddress, door: str, token: str) -> ClientConnection:
    stream: ClientConnection = await opened(address, door)
    await stream.send(json.dumps({"type": "hello", "token": token, "types": []}))
    return stream


async def refuse_deep_frame(stream: ClientConnection) -> None:
    await stream.recv()
    for depth in (64, 300, 900):
        nested = "[" * depth + "]" * depth
        await stream.send(f'{{"type": "broadcast", "event": "note:n", "data": {{"x": {nested}}}}}')
        assert json.loads(await stream.recv())["error"]["code"] == "usage"
    await stream.close()


def join(address: HubAddress, name: str) -> str:
    reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id=name)
    return Path(reply["token_file"]).read_text()


def served(paths: WorkspacePaths, attack: Callable[[HubAddress], Any]) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            seq = engine.last_seq
            await attack(address)
            assert engine.last_seq == seq, "an attack left a trace in the log"

    asyncio.run(main())


@pytest.mark.boundary(
    layer="hub rights",
    tried="REST: other origins and hosts, no or wrong tokens, tokens in URLs and cookies, large and deep bodies",
    refused="400, 401, 403, 405, 413, 415; no token in any answer",
)
@pytest.mark.parametrize("door", DOORS)
def test_rest_refuses_every_attack(paths: WorkspacePaths, door: str) -> None:
    async def attack(address: HubAddress) -> None:
        for status, changes in REST_CASES:
            told = {name: value.replace("TOKEN", address.token) for name, value in changes.items()}
            try:
                found, reply, headers = await asyncio.to_thread(rest, address, door, **told)
            except (json.JSONDecodeError, http.client.HTTPException, ConnectionError):
                found, reply, headers = status, {}, {}
                assert not changes.get("Host", "x") or len(changes["body"]) > 1 << 20, "the others are answered in JSON"
            assert found == status, changes
            assert address.token not in json.dumps([reply, headers])
            assert not [name for name in headers if name.startswith("access-control-")]

    served(paths, attack)


@pytest.mark.boundary(
    layer="hub rights",
    tried="WebSocket: the same, no hello, large frames",
    refused="403, or the connection is closed",
)
@pytest.mark.parametrize("door", DOORS)
def test_the_stream_refuses_every_attack(paths: WorkspacePaths, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.hub.stream.HELLO_DEADLINE_S", 0.2)

    async def attack(address: HubAddress) -> None:
        for origin in ("https://evil.example", "null", address.url):
            assert await status_of(opened(address, door, Origin=origin)) == 403
        for host in ("rebound.example", "127.0.0.1.evil.example"):
            assert await status_of(opened(address, door, host=host)) == 403
        silent = await opened(address, door)
        in_url = await opened(address, door, target=f"/v1/stream?token={address.token}")
        in_cookie = await opened(address, door, Cookie=f"token={address.token}")
        for stream in (silent, in_url, in_cookie):
            assert await close_code(stream) == 1008
        for token in ("0" * 64, "", address.token[:-1], address.token + "0"):
            assert await close_code(await greeted(address, door, token)) == 1008
        wrong_header = await opened(address, door, Authorization="Bearer " + "0" * 64)
        assert await close_code(wrong_header) == 1008
        await refuse_deep_frame(await greeted(address, door, address.token))
        first = await opened(address, door)
        await first.send(CONTEXT)
        assert await close_code(first) == 1008
        large = await greeted(address, door, address.token)
        with contextlib.suppress(ConnectionClosed):
            await large.send("x" * (10 << 20))
        assert await close_code(large) == 1009

    served(paths, attack)


@pytest.mark.boundary(layer="hub rights", tried="a token after its session ended", refused="401")
@pytest.mark.parametrize("door", DOORS)
def test_a_token_ends_with_its_session_on_every_door(paths: WorkspacePaths, door: str) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            token = await asyncio.to_thread(join, address, "one")
            bearer = {"Authorization": f"Bearer {token}"}
            open_stream = await greeted(address, door, token)
            await open_stream.recv()
            leave = '{"type": "agent:leave"}'
            assert (await asyncio.to_thread(lambda: rest(address, door, body=leave, **bearer)))[0] == 200
            assert (await asyncio.to_thread(lambda: rest(address, door, **bearer)))[0] == 401
            assert await close_code(await greeted(address, door, token)) == 1008
            await open_stream.send(CONTEXT)
            assert json.loads(await open_stream.recv())["error"]["code"] == "unauthorized"
            assert await close_code(open_stream) == 1008
            again = await asyncio.to_thread(join, address, "one")
            assert again != token and len(again) > 64
            assert (await asyncio.to_thread(lambda: rest(address, door, **bearer)))[0] == 401

    asyncio.run(main())


@pytest.mark.boundary(
    layer="hub rights",
    tried="acting as another instance: its lock, its name; commands of a person; reading the whole state",
    refused="refused",
)
@pytest.mark.parametrize("door", DOORS)
def test_an_instance_acts_only_as_itself_on_every_door(paths: WorkspacePaths, door: str) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            one = await asyncio.to_thread(join, address, "one")
            two = await asyncio.to_thread(join, address, "two")
            first = await greeted(address, door, one)
            second = await greeted(address, door, two)
            assert json.loads(await first.recv())["agent_id"] == "CLAUDE-one"
            assert json.loads(await second.recv())["agent_id"] == "CLAUDE-two"
            await first.send('{"type": "lock:acquire", "path": "a.py", "request_id": "1"}')
            lock = json.loads(await first.recv())["locks"][0]
            release = {"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}
            for fields in (
                release,
                {"type": "lock:break", "lock_id": lock["lock_id"]},
                {"type": "instance:stop", "agent_id": "CLAUDE-one"},
                {"type": "lock:expire", "lock_id": lock["lock_id"], "token": lock["token"]},
                {**release, "agent_id": "CLAUDE-one"},
            ):
                await second.send(json.dumps({**fields, "request_id": "x"}))
                assert json.loads(await second.recv())["ok"] is False
                told = {"body": json.dumps(fields), "Authorization": f"Bearer {two}"}
                status, reply, _ = await asyncio.to_thread(rest, address, door, **told)
                assert status >= 400 and reply["ok"] is False
            status, _, _ = await asyncio.to_thread(
                lambda: rest(address, door, method="GET", target="/v1/mirror", body="", Authorization=f"Bearer {two}")
            )
            assert status == 403
            state = await asyncio.to_thread(HubQuick(address).state)
            assert state["locks"]["a.py"]["agent_id"] == "CLAUDE-one"
            await first.close()
            await second.close()

    asyncio.run(main())


@pytest.mark.boundary(
    layer="hub rights", tried="connecting from another machine", refused="the hub listens on the loopback address only"
)
def test_the_hub_listens_on_the_loopback_address_only(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            port = int(address.url.rpartition(":")[2])
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("192.0.2.1", 9))
                outside = probe.getsockname()[0]
            with socket.socket() as stranger:
                stranger.settimeout(5)
                assert outside == "127.0.0.1" or stranger.connect_ex((outside, port)) != 0

    try:
        asyncio.run(main())
    except OSError as error:
        assert "unreachable" in str(error).lower(), "only a machine without a network has no address to try"


def test_the_other_end_of_a_unix_socket_is_known() -> None:
    near, far = socket.socketpair(socket.AF_UNIX)
    assert peer.peer_uid(near) == os.getuid()
    near.close()
    far.close()
    with socket.socket() as tcp:
        assert peer.peer_uid(tcp) is None


@pytest.mark.boundary(
    layer="hub rights",
    tried="a process of another user on the unix socket, with a token",
    refused="the connection is closed",
)
def test_a_process_of_another_user_is_turned_away_from_the_unix_socket(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            assert (await asyncio.to_thread(rest, address, "unix"))[0] == 200
            if os.getuid() == 0:
                paths.runtime_dir.parent.chmod(0o755)
                paths.runtime_dir.chmod(0o755)
                paths.hub_socket.chmod(0o666)
                stranger = _connected_as_nobody(address.socket)
                assert await asyncio.to_thread(_answer, stranger) == b""
            monkeypatch.setattr(peer, "own_uid", lambda: os.getuid() + 1)
            with pytest.raises((OSError, http.client.HTTPException)):
                await asyncio.to_thread(rest, address, "unix")
            with pytest.raises((OSError, InvalidHandshake)):
                await opened(address, "unix")
            assert (await asyncio.to_thread(rest, address, "tcp"))[0] == 200

    asyncio.run(main())


def _connected_as_nobody(path: str) -> socket.socket:
    """A connection whose other end the system takes for another user's."""
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stranger.settimeout(10)
    os.seteuid(NOBODY)
    try:
        stranger.connect(path)
    finally:
        os.seteuid(0)
    return stranger


def _answer(stranger: socket.socket) -> bytes:
    with stranger:
        try:
            stranger.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return stranger.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            return b""


@pytest.mark.boundary(
    layer="limits", tried="a flood of commands from one instance", refused="delayed; the others are answered"
)
def test_a_flood_of_one_instance_is_held_back_and_the_others_are_heard(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            door = Door(commands=RateLimit(per_s=0.001, burst=5.0))
            ingress = Ingress(engine, Identity(engine, "", b""), paths, door=door)
            await asyncio.to_thread(join, address, "one")
            await asyncio.to_thread(join, address, "two")
            one, two = (Actor(f"CLAUDE-{name}", "instance") for name in ("one", "two"))
            codes = [(await ingress.answer({"type": "context:get"}, one))[1] for _ in range(8)]
            assert [error is None for error in codes] == [True] * 5 + [False] * 3
            assert isinstance(codes[-1], Unavailable) and codes[-1].code == "rate"
            assert (await ingress.answer({"type": "context:get"}, two))[1] is None

    asyncio.run(main())


def test_a_bucket_fills_again_with_time() -> None:
    now = 0.0
    limit = RateLimit(per_s=2.0, burst=3.0, now=lambda: now)
    assert [limit.take("a") for _ in range(4)] == [True, True, True, False]
    now = 1.0
    assert [limit.take("a") for _ in range(3)] == [True, True, False]
    now = 100.0
    assert [limit.take("a") for _ in range(4)] == [True, True, True, False]
