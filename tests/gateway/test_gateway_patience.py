"""Who opens connections to the gateway and says nothing, or half of something, keeps nobody out (SEC-3)."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import sys

import psutil
import pytest

from tests.connection import is_ended
from tests.gateway.conftest import OTHER_TOKEN, TOKEN, Gateway, ModelServer

HALF = "GET /v1/models HTTP/1.1\r\nHost: gateway\r\n"
WHOLE = f"{HALF}Authorization: Bearer {TOKEN}\r\n\r\n"
NOBODYS = f"{HALF}\r\n"
SLOW = f"POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nx-api-key: {TOKEN}\r\nContent-Length: 9\r\n\r\n{{"
HALF_WAY_OUT = "CONNECT 127.0.0.1:9 HTTP/1.1\r\n"
SOCKETS = {"unix": "gateway.sock", "way out": "egress.sock"}
MOST = 50


def dial(gateway: Gateway, door: str, said: str) -> socket.socket:
    if door in SOCKETS:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(gateway.runtime / SOCKETS[door]))
    else:
        port = int(gateway.published["url"].rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port))
        said = said.replace("Host: gateway", f"Host: 127.0.0.1:{port}")
    connection.settimeout(10)
    connection.sendall(said.encode())
    return connection


@pytest.mark.boundary(
    layer="limits",
    tried="hundreds of connections to the gateway that send nothing, send half a request, or never read an answer",
    refused="the oldest of them are closed when new ones need room; calls of others are served",
)
@pytest.mark.skipif(sys.platform != "linux", reason="missing: /proc, which is Linux's")
@pytest.mark.parametrize(
    ("door", "said"),
    [("unix", ""), ("tcp", HALF), ("unix", WHOLE), ("tcp", NOBODYS), ("way out", HALF_WAY_OUT)],
    ids=["nothing", "half", "unread", "nobodys", "half a way out"],
)
def test_connections_that_are_nobodys_call_make_room(
    gateway_folders: Gateway, model_server: ModelServer, door: str, said: str
) -> None:
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(descriptors=f"{4 * MOST}:{4 * MOST}")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(dial(gateway_folders, door, said)) for _ in range(6 * MOST)]
        assert is_ended(held[0])
        assert gateway_folders.client(OTHER_TOKEN).get("/v1/models").status_code == 200
        assert gateway_folders.process is not None
        assert psutil.Process(gateway_folders.process.pid).num_fds() < 2 * MOST


@pytest.mark.parametrize("door", ["unix", "tcp"])
def test_a_call_is_not_pushed_out_by_those_behind_it(
    gateway_folders: Gateway, model_server: ModelServer, door: str
) -> None:
    """Found in the field: a gateway that got no processor for a while took all that had queued up at once."""
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(descriptors=f"{4 * MOST}:{4 * MOST}")
    assert gateway_folders.process is not None
    gateway_folders.process.send_signal(signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        call = stack.enter_context(dial(gateway_folders, "unix", WHOLE))
        for _ in range(3 * MOST):
            stack.enter_context(dial(gateway_folders, door, ""))
        gateway_folders.process.send_signal(signal.SIGCONT)
        assert call.recv(64).startswith(b"HTTP/1.1 200 ")


def test_one_caller_cannot_hold_every_descriptor_with_bodies_that_do_not_come(
    gateway_folders: Gateway, model_server: ModelServer
) -> None:
    gateway_folders.write_map(model_server.url)
    gateway_folders.start(descriptors=f"{4 * MOST}:{4 * MOST}")
    with contextlib.ExitStack() as stack:
        for _ in range(6 * MOST):
            stack.enter_context(dial(gateway_folders, "unix", SLOW))
        assert gateway_folders.client(OTHER_TOKEN).get("/v1/models").status_code == 200


def test_the_gateway_takes_the_descriptors_it_may_have(gateway_folders: Gateway) -> None:
    gateway_folders.write_map("")
    gateway_folders.start(descriptors="200:")
    assert gateway_folders.process is not None
    soft, hard = psutil.Process(gateway_folders.process.pid).rlimit(resource.RLIMIT_NOFILE)
    assert soft > 200 or hard == 200
