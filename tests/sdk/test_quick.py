"""The synchronous client: pages of events, and a hub that takes long."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from aegis_tui.errors import HubUnavailable
from aegis_tui.sdk.quick import HubAddress, HubQuick


def test_pages_in_which_nothing_may_be_seen_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of others' messages is no end of the log: callers take an empty page for that."""
    asked: list[str] = []
    pages: list[dict[str, Any]] = [
        {"events": [], "next_after": 1_000},
        {"events": [], "next_after": 2_000},
        {"events": [{"seq": 2_001}], "next_after": 3_000},
        {"events": [], "next_after": 3_000},
    ]

    def call(_self: HubQuick, _method: str, target: str) -> dict[str, Any]:
        asked.append(target.partition("?after=")[2].partition("&")[0])
        return pages[len(asked) - 1]

    monkeypatch.setattr(HubQuick, "_call", call)
    hub = HubQuick(HubAddress(1, 1.0, "http://x", "/x", "t"))
    assert hub.events(after=0) == [{"seq": 2_001}]
    assert hub.events(after=3_000) == []
    assert asked == ["0", "1000", "2000", "3000"]


class SlowHub:
    """Answers `/healthz` at once and commands from their third asking on, over a real unix socket."""

    def __init__(self, path: Path, *, is_healthy: bool = True) -> None:
        self.ids: list[str] = []
        slow = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if is_healthy else 500, {"ok": is_healthy})

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                slow.ids.append(sent["request_id"])
                if len(slow.ids) < 3:
                    self.connection.recv(1)  # until the caller hangs up
                else:
                    self._answer(200, {"ok": True, "asked": len(slow.ids)})

            def _answer(self, status: int, fields: dict[str, Any]) -> None:
                body = json.dumps(fields).encode()
                self.wfile.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_words: Any) -> None:
                pass

        class Server(ThreadingMixIn, UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(path), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.parametrize("body", [b"Internal Server Error", b"[1]", b""])
def test_a_hub_that_fails_without_saying_why_is_not_called_silent(tmp_path: Path, body: bytes) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "hub.sock"))
    server.listen()

    def answer() -> None:
        with server.accept()[0] as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 500 x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    threading.Thread(target=answer, daemon=True).start()
    with server, pytest.raises(HubUnavailable, match="HTTP status 500") as failed:
        HubQuick(HubAddress(1, 1.0, "unix:", str(tmp_path / "hub.sock"), "t")).healthz()
    assert "hub restart" in failed.value.hint


def test_a_hub_that_takes_long_and_answers_others_is_asked_again_under_one_id(tmp_path: Path) -> None:
    hub = SlowHub(tmp_path / "hub.sock")
    quick = HubQuick(HubAddress(1, 1.0, "http://x", str(tmp_path / "hub.sock"), "t"), timeout_s=0.3)
    assert quick.command("run:start", goal="g")["asked"] == 3
    assert len(set(hub.ids)) == 1
    hub.server.shutdown()
    hub.server.server_close()


@pytest.mark.parametrize(("command_type", "is_healthy"), [("run:start", False), ("lock:acquire", True)])
def test_a_hub_that_is_ill_and_a_lock_are_not_asked_for_again(
    tmp_path: Path, command_type: str, is_healthy: bool
) -> None:
    hub = SlowHub(tmp_path / "hub.sock", is_healthy=is_healthy)
    quick = HubQuick(HubAddress(1, 1.0, "http://x", str(tmp_path / "hub.sock"), "t"), timeout_s=0.3)
    with pytest.raises(HubUnavailable):
        quick.command(command_type, path="a")
    asked = 1 + (command_type == "lock:acquire")  # the lock is withdrawn
    assert len(hub.ids) == len(set(hub.ids)) == asked
    hub.server.shutdown()
    hub.server.server_close()
