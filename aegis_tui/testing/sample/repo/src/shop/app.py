"""The HTTP server: takes requests apart, asks the route table, writes JSON."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from shop import routes
from shop.errors import ShopError
from shop.http import Request, Response
from shop.store import Store

MAX_BODY_BYTES = 64 * 1024


def answer(store: Store, method: str, target: str, body: bytes = b"") -> Response:
    """Answer one request; a ShopError becomes its status and a sentence."""
    parts = urlsplit(target)
    try:
        handler, params = routes.find(method, unquote(parts.path))
        return handler(Request(store, params, dict(parse_qsl(parts.query)), _parse(body)))
    except ShopError as error:
        return Response({"error": str(error)}, status=error.status)


def make_server(store: Store, port: int = 0) -> ThreadingHTTPServer:
    """A server on the loopback address; port 0 takes any free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(answer(store, "GET", self.path))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY_BYTES:
                self._reply(Response({"error": "body too large"}, status=413))
                return
            self._reply(answer(store, "POST", self.path, self.rfile.read(length)))

        def _reply(self, response: Response) -> None:
            data = json.dumps(response.body).encode()
            self.send_response(response.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent; a proxy in front keeps the log."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def _parse(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        data = json.loads(body)
    except ValueError as error:
        raise ShopError("the body is not JSON") from error
    if not isinstance(data, dict):
        raise ShopError("the body must be a JSON object")
    return data
