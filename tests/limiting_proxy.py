"""A model server that refuses calls for a while: it passes everything else on to another one."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from typing_extensions import override


class LimitingProxy:
    """Answers 429 to the next `refusals` calls whose body holds a text, while the context is open.

    Args:
        upstream: The base URL of the other server, with or without `/v1`.
        marker: A text of the calls that it refuses.
        refusals: How many calls it refuses.
        pause_s: The value of the header Retry-After.
        body: What a refusal says.
    """

    def __init__(self, upstream: str, marker: str, *, refusals: int, pause_s: str, body: str = "") -> None:
        self._upstream, self._marker, self.left = urlsplit(upstream), marker.encode(), refusals
        self._pause_s, self._body = pause_s, body.encode()
        self._one = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.answer(self, b"")

            def do_POST(self) -> None:
                proxy.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            @override
            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Refuse the call, or pass it on and its answer back."""
        if body and self._takes_refusal(body):
            _send(handler, 429, [("Retry-After", self._pause_s), ("Content-Type", "application/json")], self._body)
            return
        connection = HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=60)
        try:
            kept = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
            connection.request(handler.command, handler.path, body or None, kept)
            reply = connection.getresponse()
            named = [("Content-Type", reply.headers.get("Content-Type", "application/json"))]
            _send(handler, reply.status, named, reply.read())
        finally:
            connection.close()

    def _takes_refusal(self, body: bytes) -> bool:
        with self._one:
            if self.left == 0 or self._marker not in body:
                return False
            self.left -= 1
            return True


def _send(handler: BaseHTTPRequestHandler, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
    handler.send_response(status)
    for name, value in fields:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
