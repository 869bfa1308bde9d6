"""The way out to listed addresses: who may take it, where it leads, and what is answered otherwise (SEC-4)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aegis_tui.errors import UsageError
from aegis_tui.gateway import egress
from aegis_tui.sdk.egress import EgressRelay, find_egress
from tests.gateway.conftest import OTHER_TOKEN, PERSON_TOKEN, TOKEN, Gateway, until

BOUNDARY = {"layer": "network"}


@pytest.fixture
def echo() -> Iterator[int]:
    """A server on a loopback port that sends back what it gets, and then its own end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    while data := client.recv(65536):
                        client.sendall(data.upper())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def ask(gateway: Gateway, text: str, more: bytes = b"") -> tuple[str, bytes]:
    """Send a request and then more bytes; return the status line and all that followed the head of the answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(gateway.runtime / "egress.sock"))
        client.sendall(text.encode() + more)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().partition("\r\n")[0], body


def connect_request(address: str, token: str = TOKEN) -> str:
    return f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Bearer {token}\r\n\r\n"


@pytest.mark.boundary(
    **BOUNDARY,
    tried="an agent of a kind with listed addresses connects to one that is not listed, or for another instance",
    refused="403, 407; only the listed addresses of its own kind are reached, and a changed list takes effect at once",
)
def test_an_instance_reaches_what_is_listed_for_it_and_nothing_else(gateway: Gateway, echo: int) -> None:
    here = f"127.0.0.1:{echo}"
    assert ask(gateway, connect_request(here))[0] == "HTTP/1.1 403 Forbidden", "nothing is listed"
    gateway.write_map("http://127.0.0.1:9/v1", allowed={"NATIVE-w01": [here, "api.example.invalid:443"]})
    big = b"some bytes \0\xff" * 30_000
    assert ask(gateway, connect_request(here), big) == ("HTTP/1.1 200 Connection established", big.upper())
    for token in (OTHER_TOKEN, PERSON_TOKEN):
        status, body = ask(gateway, connect_request(here, token))
        assert status == "HTTP/1.1 403 Forbidden" and b"is not among the addresses" in body
    for token in ("", "f" * 64, "gr\u00fc\u00df"):
        assert ask(gateway, connect_request(here, token))[0] == "HTTP/1.1 407 Proxy Authentication Required"
    for other in (f"127.0.0.1:{echo + 1}", f"localhost:{echo}", f"[::1]:{echo}", f"127.1:{echo}", f"2130706433:{echo}"):
        assert ask(gateway, connect_request(other))[0] == "HTTP/1.1 403 Forbidden", other
    status, body = ask(gateway, connect_request("api.example.invalid:443"))
    assert status == "HTTP/1.1 502 Bad Gateway" and b"api.example.invalid:443 cannot be reached" in body
    gateway.write_map("http://127.0.0.1:9/v1", allowed={"NATIVE-w01": []})
    assert ask(gateway, connect_request(here))[0] == "HTTP/1.1 403 Forbidden"


@pytest.mark.boundary(
    **BOUNDARY,
    tried="a listed name that leads to a service of this machine or of the link-local network",
    refused="403; only an address that is itself listed leads there",
)
def test_a_name_that_leads_to_this_machine_is_refused(gateway: Gateway, echo: int) -> None:
    own = "127.1"  # no IP address as it is written, so a name; every resolver takes it for 127.0.0.1
    if not all(item[4][0] == "127.0.0.1" for item in socket.getaddrinfo("localhost", echo, socket.AF_INET)):
        pytest.skip("missing: localhost-on-127.0.0.1")
    gateway.write_map("http://127.0.0.1:9/v1", allowed={"NATIVE-w01": [f"localhost:{echo}", f"{own}:{echo}"]})
    assert ask(gateway, connect_request(f"localhost:{echo}"), b"x") == ("HTTP/1.1 200 Connection established", b"X")
    status, body = ask(gateway, connect_request(f"{own}:{echo}"))
    assert status == "HTTP/1.1 403 Forbidden" and b"is an address of this machine" in body


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET http://127.0.0.1/ HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        ("CONNECT HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("CONNECT *:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("CONNECT \r\n", "HTTP/1.1 400 Bad Request"),
        ("", "HTTP/1.1 400 Bad Request"),
        pytest.param(
            "CONNECT a:1 HTTP/1.1\r\n" + "X: y\r\n" * 10_000 + "\r\n", "HTTP/1.1 400 Bad Request", id="too long"
        ),
        ("\0\xff\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
    ],
)
def test_what_is_no_request_is_answered_and_ended(gateway: Gateway, text: str, status: str) -> None:
    assert ask(gateway, text)[0] == status


def test_one_instance_has_a_limited_number_of_connections(gateway: Gateway, echo: int) -> None:
    here = f"127.0.0.1:{echo}"
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        quiet.listen(100)
        there = f"127.0.0.1:{quiet.getsockname()[1]}"
        gateway.write_map("http://127.0.0.1:9/v1", allowed={"NATIVE-w01": [here, there], "CLAUDE-w02": [here]})
        clients = []
        for _ in range(egress._MOST_OPEN):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(30)
            client.connect(str(gateway.runtime / "egress.sock"))
            client.sendall(connect_request(there).encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            clients.append(client)
        assert ask(gateway, connect_request(here))[0] == "HTTP/1.1 429 Too Many Requests"
        assert ask(gateway, connect_request(here, OTHER_TOKEN))[0] == "HTTP/1.1 200 Connection established"
        for client in clients:
            client.close()
    freed = "HTTP/1.1 200 Connection established"
    until(lambda: ask(gateway, connect_request(here))[0] == freed, what="a free place")


@asynccontextmanager
async def relay_to(gateway: Gateway, refused: list[str]) -> AsyncIterator[EgressRelay]:
    token_file = str(gateway.state / "token")
    found = find_egress({"AEGIS_EGRESS": str(gateway.runtime / "egress.sock"), "AEGIS_TOKEN_FILE": token_file}, TOKEN)
    assert found is not None
    async with found as relay:
        relay.on_refused = refused.append
        yield relay


def test_programs_find_the_way_by_a_variable_and_need_no_token(gateway: Gateway, echo: int) -> None:
    gateway.write_map("http://127.0.0.1:9/v1", allowed={"NATIVE-w01": [f"127.0.0.1:{echo}"]})
    refused: list[str] = []

    async def through(address: str) -> bytes:
        async with relay_to(gateway, refused) as relay:
            variables = relay.environment
            assert variables["HTTPS_PROXY"] == variables["https_proxy"] and "127.0.0.1" in variables["NO_PROXY"]
            assert TOKEN not in str(variables)
            port = int(variables["HTTPS_PROXY"].rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            # A header of the program's own neither reaches the gateway nor replaces the token.
            writer.write(connect_request(address, OTHER_TOKEN).encode() + b"hello")
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(through(f"127.0.0.1:{echo}")).endswith(b"\r\n\r\nHELLO")
    assert b"403 Forbidden" in asyncio.run(through("Updates.example.org:443"))
    assert refused == ["updates.example.org"]


def test_where_the_boundary_is_closed_there_is_no_way_out(tmp_path: Path) -> None:
    assert find_egress({}, TOKEN) is None and find_egress({"AEGIS_EGRESS": ""}, TOKEN) is None


def test_a_way_out_without_the_instances_token_file_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="AEGIS_EGRESS is set, but AEGIS_TOKEN_FILE is not"):
        find_egress({"AEGIS_EGRESS": str(tmp_path / "egress.sock")}, TOKEN)
