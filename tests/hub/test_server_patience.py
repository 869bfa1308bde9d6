"""Who opens connections and says nothing keeps nobody out (HUB-9)."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.errors import HubUnavailable
from aegis_tui.hub.server import open_loopback
from aegis_tui.sdk.discovery import WorkspacePaths, start_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.sdk.strangers import raise_descriptor_limit
from tests.connection import is_ended

FEW_DESCRIPTORS_HUB = """
import pathlib, resource, sys
from aegis_tui.bootstrap.bare_hub import main_hub
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
sys.exit(main_hub(pathlib.Path(sys.argv[1])))
"""
UPGRADE = (
    "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def dial(address: HubAddress, door: str, said: str = "") -> socket.socket:
    """A raw connection that has said this much."""
    if door == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address.socket)
    else:
        connection = socket.create_connection(("127.0.0.1", int(address.url.rpartition(":")[2])))
    connection.settimeout(10)
    connection.sendall(said.encode())
    return connection


@pytest.mark.parametrize("door", ["tcp", "unix"])
def test_what_does_not_arrive_whole_in_time_is_dropped(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.setattr("aegis_tui.hub.patience.REQUEST_S", 0.4)
    monkeypatch.setattr("aegis_tui.hub.patience.CLOSE_S", 0.1)
    monkeypatch.setattr("aegis_tui.hub.stream.HELLO_DEADLINE_S", 0.1)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            post = f"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {address.token}\r\n"
            kept = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: "
            cases = {
                "nothing": "",
                "half a header": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
                "half a body": f"{post}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
                "half a second request": kept,
                "no hello": UPGRADE,
            }
            for name, said in cases.items():
                connection = await asyncio.to_thread(dial, address, door, said)
                assert await asyncio.to_thread(is_ended, connection), name

    asyncio.run(main())


def test_a_connection_that_said_who_it_is_outlives_the_deadline(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.hub.patience.REQUEST_S", 0.3)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            headers = {"Authorization": f"Bearer {address.token}"}
            url = address.url.replace("http", "ws") + "/v1/stream"
            async with connect(url, additional_headers=headers, compression=None) as stream:
                quick = HubQuick(address)
                await asyncio.to_thread(quick.command, "lock:acquire", path="a.py")
                await asyncio.sleep(0.6)
                await stream.send('{"type": "context:get", "request_id": "r"}')
                assert '"lock:acquired"' in str(await stream.recv())
                assert '"request_id":"r"' in str(await stream.recv())

    asyncio.run(main())


def test_strangers_make_room_for_whoever_comes_after_them(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.hub.server.MOST_STRANGERS", 8)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            with ExitStack() as stack:
                held = [stack.enter_context(dial(address, "tcp", "GET / HTTP/1.1\r\n")) for _ in range(40)]
                assert await asyncio.to_thread(is_ended, held[0])
                last = await asyncio.to_thread(dial, address, "tcp", "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert b"200" in await asyncio.to_thread(last.recv, 100)
                last.close()
                assert await asyncio.to_thread(HubQuick(address).healthz)

    asyncio.run(main())


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="missing: /proc, which is Linux's")
@pytest.mark.parametrize("door", ["tcp", "unix"])
def test_more_connections_than_descriptors_leave_the_owners_door_open(
    tmp_path: Path, paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(paths.runtime_dir.parent))
    monkeypatch.setenv("AEGIS_PORT", "0")
    place = workspace_paths(workspace_key_of(root), os.environ)
    address = start_hub(place, root, command=[sys.executable, "-c", FEW_DESCRIPTORS_HUB, str(root)])
    try:
        with ExitStack() as stack:
            for _ in range(500):
                stack.enter_context(dial(address, door, "GET / HTTP/1.1\r\n"))
            assert HubQuick(address).healthz()
            assert len(list(Path(f"/proc/{address.pid}/fd").iterdir())) < 128
    finally:
        os.kill(address.pid, 9)


def test_the_hub_takes_the_descriptors_it_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        assert raise_descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("door", ["tcp", "unix"])
def test_a_call_is_not_pushed_out_by_those_behind_it(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.setattr("aegis_tui.hub.server.MOST_STRANGERS", 25)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            with ExitStack() as stack:  # nothing is taken before the loop goes on
                call = stack.enter_context(dial(address, door, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                for _ in range(100):
                    stack.enter_context(dial(address, door))
                assert (await asyncio.to_thread(call.recv, 64)).startswith(b"HTTP/1.1 200 ")

    asyncio.run(main())


def test_two_hubs_that_start_at_once_never_have_one_port() -> None:
    """Found in the field: both had it while neither listened yet, and the later of them ended."""
    with open_loopback(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(HubUnavailable, match=f"port {port} cannot be used"):
            open_loopback(port)
