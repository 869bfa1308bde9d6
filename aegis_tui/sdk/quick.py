"""A small synchronous client. It uses only the standard library, because every command line run waits for its import.

Its HTTP module is imported by the first request, so that the caller can start a hub process before that (PERF-3).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import SplitResult, urlencode, urlsplit

from aegis_tui.errors import AegisError, HubUnavailable
from aegis_tui.sdk.wire import WIRE_VERSION, add_section, encode_frame, error_from_wire

if TYPE_CHECKING:
    import http.client

    from aegis_tui.domain.wire.answer import Envelope, Health
    from aegis_tui.domain.wire.context import SharedContext

_Kind = TypeVar("_Kind")

LONGEST_WAIT_S = 3600.0
"""The longest wait that the hub accepts."""
GIVE_UP_S = 1.0
"""How long an interrupted command takes at most to withdraw its request."""
ASK_AGAIN = 12
"""How often a command is sent at most to a hub that is alive but slow to answer."""

_HINT = "start it with `aegis-tui hub start`"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """How to reach a hub: the content of hub.json (contract 1)."""

    pid: int
    start_time: float
    url: str
    socket: str
    token: str
    gateway_url: str | None = None
    gateway_socket: str | None = None
    version: str | None = None
    """The version of the running hub; None for hubs from before this field existed."""
    gateway_problem: str | None = None
    """Why there is no gateway, or why it can serve no call; None while it starts and when it works."""

    def __repr__(self) -> str:
        """Return the address without the token, so that the token cannot end up in a log."""
        return f"HubAddress(pid={self.pid}, url={self.url!r}, socket={self.socket!r})"


def address_from(fields: Mapping[str, Any]) -> HubAddress:
    """Return the address in a hub.json; unknown fields, as a newer hub may write them, are ignored.

    Raises:
        TypeError: A required field is missing or has another type.
    """
    address = HubAddress(**{name: value for name, value in fields.items() if name in HubAddress.__dataclass_fields__})
    texts = (address.url, address.socket, address.token)
    if not isinstance(address.pid, int) or not isinstance(address.start_time, int | float):
        raise TypeError("pid and start_time must be numbers")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("url, socket and token must be strings")
    return address


def new_request_id() -> str:
    """Return a random request id of 32 hexadecimal digits."""
    return os.urandom(16).hex()


def open_connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """Return an HTTP connection, not yet open, to `unix:/path` or `http://host:port`.

    Args:
        url: The address.
        timeout_s: How long to connect, and to wait for each part of an answer, in seconds.

    Raises:
        HubUnavailable: The url has neither form (code `hub.address`).
    """
    from http.client import HTTPConnection

    from aegis_tui.sdk.unix_http import UnixConnection

    if url.startswith("unix:"):
        return UnixConnection(url.removeprefix("unix:"), timeout_s)
    parts = parse_address(url)
    return HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)


def parse_address(url: str) -> SplitResult:
    """Split `http://host:port` into its parts.

    Raises:
        HubUnavailable: It is no such address; the code is `hub.address`, which says that retrying does not help.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme == "http" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_one = False
    if not is_one:
        hint = "use unix:/path or http://host:port"
        raise HubUnavailable(f"{url!r} is not the address of a hub", hint, code="hub.address")
    return parts


class HubQuick:
    """Synchronous client: each call sends one request on its own connection; there are no streams.

    Every method raises `HubUnavailable` when the hub does not answer, else the error that the hub replied with.
    """

    def __init__(self, address: HubAddress, *, timeout_s: float = 10.0) -> None:
        self._url = f"unix:{address.socket}"
        self._token = address.token
        self._timeout_s = timeout_s

    @classmethod
    def at(cls, url: str, token: str, *, timeout_s: float = 10.0) -> Self:
        """Return a client of the hub at `unix:/path` or `http://host:port`, as an instance knows it (contract 10).

        Does not connect; calls fail with `HubUnavailable` (code `hub.address`) if `url` has neither form.
        """
        quick = cls(HubAddress(0, 0.0, url, "", token), timeout_s=timeout_s)
        quick._url = url
        return quick

    def command(self, command_type: str, *, request_id: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send one command of contract 5 and return its reply.

        If the reply takes longer than the timeout but the hub still answers health checks, the command is sent again
        under the same id, so that it is executed once. A `lock:acquire` that gets no reply, for example because of
        Ctrl-C, is withdrawn before this raises, and is never sent again.

        Args:
            command_type: For example `lock:acquire`.
            request_id: Use the same id for a retry, so that the hub executes the command once; by default a new one.
            fields: The command's fields; None is sent as null. `wait_s` is added to the timeout.

        Raises:
            HubUnavailable: The hub does not answer.
            AegisError: The hub refused; the class is chosen by the error code and exit code of the reply.
            Refused: The command is over 1 MiB (code `too_large`).
            UsageError: A field has a value that JSON cannot represent.
        """
        wait_s = fields.get("wait_s")
        extra_s = min(max(float(wait_s), 0.0), LONGEST_WAIT_S) if isinstance(wait_s, (int, float)) else 0.0
        chosen = request_id or new_request_id()
        body = {"v": WIRE_VERSION, "request_id": chosen, "type": command_type, **fields}
        try:
            return self._ask(body, self._timeout_s + extra_s)
        except (KeyboardInterrupt, HubUnavailable):
            if command_type == "lock:acquire":
                self._give_up(chosen)
            raise

    def reply(self, kind: type[_Kind], command_type: str, *, request_id: str | None = None, **fields: Any) -> _Kind:
        """Send one command as `command` does and return its reply as a type of `aegis_tui.domain.wire.reply`.

        Args:
            kind: The type of the replies to this command; it is not checked.
            command_type: For example `lock:acquire`.
            request_id: As for `command`.
            fields: The command's fields.

        Raises:
            AegisError: As `command`.
        """
        return cast(_Kind, self.command(command_type, request_id=request_id, **fields))

    def _ask(self, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        tries = 1 if body["type"] == "lock:acquire" else ASK_AGAIN
        while True:
            try:
                return self._call("POST", "/v1/commands", body, timeout_s=timeout_s)
            except HubUnavailable as error:
                tries -= 1
                if not tries or not isinstance(error.__cause__, TimeoutError) or not self.is_healthy():
                    raise

    def _give_up(self, request_id: str) -> None:
        """Withdraw a lock request, so that the hub does not grant it to a program that has ended; ignore errors."""
        body = {"v": WIRE_VERSION, "request_id": new_request_id(), "type": "lock:release", "request": request_id}
        with suppress(AegisError):
            self._call("POST", "/v1/commands", body, timeout_s=GIVE_UP_S)

    def state(self) -> dict[str, Any]:
        """Return the complete SharedContext of contract 6, joined from its pages.

        Raises:
            HubUnavailable: The hub does not answer.
            AegisError: The hub refused, for example because it does not know the token.
        """
        view = self._call("GET", "/v1/state")
        while cursors := view.pop("next", None):
            view["next"] = {}
            for name, after in cursors.items():
                page = self._call("GET", f"/v1/state/section?{urlencode({'name': name, 'after': after})}")
                add_section(view, page)
                view["next"] |= page.get("next") or {}
        return view

    def context(self) -> SharedContext:
        """Return the complete SharedContext of contract 6, joined from its pages, in its static type.

        Raises:
            HubUnavailable: The hub does not answer.
            AegisError: The hub refused, for example because it does not know the token.
        """
        return cast("SharedContext", self.state())

    def mirror(self) -> dict[str, Any]:
        """Return the complete state in the form that `Workspace.load` takes; only for the person's token.

        Raises:
            HubUnavailable: The hub does not answer.
            AegisError: The hub refused; `Refused` for the token of an instance.
        """
        return dict(self._call("GET", "/v1/mirror")["state"])

    def events(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return at most `limit` events after number `after` that the caller may see, in order; empty at the end.

        Raises:
            HubUnavailable: The hub does not answer.
            AegisError: The hub refused, for example a `limit` over 5,000.
        """
        while True:
            page = self._call("GET", f"/v1/events?{urlencode({'after': after, 'limit': limit})}")
            events: list[dict[str, Any]] = page["events"]
            if events or page["next_after"] <= after:
                return events
            after = page["next_after"]  # the caller may see no event of this page

    def envelopes(self, after: int = 0, limit: int = 1000) -> list[Envelope]:
        """Return what `events` returns, with a type for type checkers: `Envelope`, a dict with the keys of an event.

        These are at most `limit` events after number `after` that the caller may see, in order; empty at the end of
        the log.

        Raises:
            HubUnavailable: The hub does not answer.
            AegisError: The hub refused, for example a `limit` over 5,000.
        """
        return cast("list[Envelope]", self.events(after, limit))

    def health(self) -> Health:
        """Return the hub's public health report in its static type; see `healthz`, which has the same content.

        Raises:
            HubUnavailable: It does not answer.
        """
        return cast("Health", self.healthz())

    def healthz(self) -> dict[str, Any]:
        """Return the hub's public health report: `ok`, its `pid`, and `seq`, the number of its newest event.

        Raises:
            HubUnavailable: It does not answer.
        """
        return self._call("GET", "/healthz")

    def is_healthy(self) -> bool:
        """Return whether the hub answers within the timeout of this client; never raises."""
        try:
            return bool(self.healthz().get("ok"))
        except AegisError:
            return False

    def _call(
        self, method: str, target: str, body: dict[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        text = None if body is None else encode_frame(body)
        connection = open_connection(self._url, timeout_s or self._timeout_s)
        from http.client import HTTPException

        try:
            connection.request(method, target, text, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException, ValueError) as error:
            raise HubUnavailable(f"the hub at {self._url} does not answer ({type(error).__name__})", _HINT) from error
        finally:
            connection.close()
        try:
            reply = json.loads(content)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            message = f"the hub at {self._url} answers with HTTP status {response.status} and no JSON object"
            raise HubUnavailable(
                message, "see logs/hub.log in the state folder, or replace the hub: aegis-tui hub restart"
            )
        if not reply.get("ok"):
            raise error_from_wire(reply.get("error"))
        return reply
