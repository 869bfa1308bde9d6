"""One WebSocket connection to the hub, with its hello (contract 7). It is never retried here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aegis_tui.errors import HubUnavailable, Refused
from aegis_tui.sdk.quick import parse_address
from aegis_tui.sdk.web_socket import ClientConnection, open_web_socket
from aegis_tui.sdk.wire import WIRE_VERSION, encode_frame, error_from_wire

OPEN_DEADLINE_S = 5.0
CLOSE_DEADLINE_S = 1.0
MAX_MESSAGE_BYTES = 16 << 20
_HTTP_PORT = 80
_OVER_A_FRAME = frozenset({1003, 1007, 1009})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A hub's address, and the token to use there."""

    url: str
    """`unix:/path` or `http://host:port`."""
    token: str

    def __repr__(self) -> str:
        """Return the address without the token, so that the token cannot end up in a log."""
        return f"Endpoint({self.url!r})"


class Connection:
    """An open WebSocket connection. `send` and `receive` raise `HubUnavailable` once it is lost."""

    def __init__(self, socket: ClientConnection, url: str) -> None:
        self._socket = socket
        self._url = url
        self.agent_id = ""
        """The agent id that the hub reads from the token; empty until the hello is answered."""

    @property
    def is_refused(self) -> bool:
        """Whether the hub closed the connection because of something that we sent (RFC 6455, 7.4.1)."""
        return self._socket.close_code in _OVER_A_FRAME

    async def send(self, text: str) -> None:
        """Send one JSON object, in the form that `encode_frame` returns.

        Raises:
            HubUnavailable: The connection is lost.
        """
        try:
            await self._socket.send(text)
        except OSError as error:
            raise _lost(self._url, error) from error

    async def receive(self) -> dict[str, Any]:
        """Wait, without a limit, for the next JSON object and return it.

        Raises:
            HubUnavailable: The connection is lost, or the hub sent something that is no JSON object.
        """
        try:
            frame = json.loads(await self._socket.receive())
        except (OSError, ValueError) as error:
            raise _lost(self._url, error) from error
        if not isinstance(frame, dict):
            raise HubUnavailable(f"the hub at {self._url} sent something that is not a JSON object", "update aegis-tui")
        return frame

    async def close(self) -> None:
        """Close the connection, waiting at most a second for the hub; never raises."""
        await self._socket.close(wait_s=CLOSE_DEADLINE_S)


async def open_connection(
    endpoint: Endpoint, *, types: Sequence[str] | None = None, paths: Sequence[str] = (), after: int | None = None
) -> tuple[Connection, int]:
    """Open a connection, send the hello, and return the connection with the number of the hub's newest event.

    Args:
        endpoint: The hub's address and the token.
        types: Event types to receive; None for all, an empty list for none.
        paths: Globs; events about a matching path are sent whatever their type.
        after: Receive the logged events after this number first; None for only those that happen from now on.

    Raises:
        HubUnavailable: No hub answers; with the code `hub.address`: the address can never be a hub's.
        Refused: The hub does not know the token.
        UsageError: The hub refused the hello; with the code `after.unknown`: it has no event `after`.
    """
    socket = await _open(endpoint)
    connection = Connection(socket, endpoint.url)
    hello: dict[str, Any] = {
        "v": WIRE_VERSION,
        "type": "hello",
        "token": endpoint.token,
        "after": after,
        "paths": list(paths),
    }
    if types is not None:
        hello["types"] = list(types)
    try:
        await connection.send(encode_frame(hello))
        welcome = await connection.receive()
        if not welcome.get("ok"):
            raise error_from_wire(welcome.get("error"))
        connection.agent_id = str(welcome.get("agent_id", ""))
        return connection, int(welcome["seq"])
    except BaseException as error:
        await connection.close()
        if socket.close_code == 1008:
            raise Refused("the hub does not know this token", "join again", code="unauthorized") from error
        raise


async def _open(endpoint: Endpoint) -> ClientConnection:
    url = endpoint.url
    place: str | tuple[str, int] = url.removeprefix("unix:")
    host = "localhost"
    if not url.startswith("unix:"):
        address = parse_address(url)
        place, host = (address.hostname or "", address.port or _HTTP_PORT), address.netloc
    try:
        return await open_web_socket(
            place, "/v1/stream", host=host, open_s=OPEN_DEADLINE_S, most_bytes=MAX_MESSAGE_BYTES
        )
    except OSError as error:
        raise _lost(url, error) from error


def _lost(url: str, error: Exception) -> HubUnavailable:
    return HubUnavailable(f"the hub at {url} does not answer ({type(error).__name__})", "aegis-tui hub status")
