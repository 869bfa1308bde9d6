"""The first check of every request: refuses web pages, rebound host names and oversized requests (HUB-9)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.errors import AegisError, Refused
from aegis_tui.sdk.wire import MAX_FRAME_BYTES, error_to_wire

MAX_BODY_BYTES = MAX_FRAME_BYTES
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class RequestGuard:
    """Refuses requests with an `Origin`, with a `Host` that is not local, or with a declared body of over 1 MiB.

    Agents and command lines send no `Origin`; a page in a browser always does (notes: CVE-2025-52882). The `Host` check
    stops DNS rebinding: a public name that was changed to the loopback address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the application, or refuse it as `refuse` does.

        403 for any `Origin`, and for a `Host` that is missing, given twice or not local; 413 for a declared length over
        1 MiB or that is no number. What is no HTTP or WebSocket request is passed on.
        """
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif objection := _objection(scope["headers"]):
            await refuse(scope, send, *objection)
        else:
            await self._app(scope, receive, send)


def _objection(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, AegisError] | None:
    hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
    if len(hosts) != 1 or not is_local_host(hosts[0]):
        return 403, Refused("this Host is not served", "use 127.0.0.1 or the unix socket", code="host")
    for name, value in headers:
        if name.lower() == b"origin":
            return 403, Refused("requests from web pages are refused", "use a client without Origin", code="origin")
        if name.lower() == b"content-length" and (not value.isdigit() or int(value) > MAX_BODY_BYTES):
            return 413, too_large()
    return None


def too_large() -> AegisError:
    """Return, not raise, the `Refused` for a body over 1 MiB (code `too_large`)."""
    return Refused("the request is over 1 MiB", "send less at once", code="too_large")


def is_local_host(host: str) -> bool:
    """Return whether a `Host` header, with or without a port, is 127.0.0.1, `localhost` or `[::1]`.

    False for another address of the loopback network, and for a header that is not valid.
    """
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in LOCAL_HOSTS and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


async def refuse(scope: Scope, send: Send, status: int, error: AegisError) -> None:
    """Answer a request with this status and a refusal in JSON, and close the connection.

    A WebSocket is closed before it is accepted, with code 1008 and the error's message in place of the status.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.message})
        return
    fields = {"schema_version": SCHEMA_VERSION, "request_id": None, "ok": False, "error": error_to_wire(error)}
    body = json.dumps(fields).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
