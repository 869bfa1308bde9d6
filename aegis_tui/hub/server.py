"""The hub's listening sockets, and the uvicorn server on them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from aegis_tui.errors import HubUnavailable, UsageError
from aegis_tui.hub.guard import MAX_BODY_BYTES
from aegis_tui.hub.keeping import RuntimeFiles
from aegis_tui.hub.patience import MOST_STRANGERS, protocols
from aegis_tui.sdk.listener import stop_accepting
from aegis_tui.sdk.strangers import ACCEPTED_AT_ONCE, QUEUED, Strangers, queue_deeply, raise_descriptor_limit

DEFAULT_PORT = 9999
_LOOPBACK = "127.0.0.1"
RECEIVE_BUFFER_BYTES = 128 * 1024
"""The receive buffer of a TCP connection; by default the kernel would accept 6 MiB from a client that is not read."""


def open_loopback(port: int | None) -> socket.socket:
    """Open a listening TCP socket on 127.0.0.1 and return it; the caller closes it.

    Args:
        port: The port, which must be free; 0 for any free port; None for 9999 or, if that is busy, any free port.

    Raises:
        HubUnavailable: The port cannot be used (code `port`).
        OSError: 9999 is busy, and no other port is free.
    """
    wanted = DEFAULT_PORT if port is None else port
    try:
        return _bind_loopback(wanted)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return _bind_loopback(0)
        raise HubUnavailable(
            f"port {wanted} cannot be used: {error.strerror}",
            "name a free one in AEGIS_PORT or in the setting port, or unset both",
            code="port",
        ) from error


def _bind_loopback(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it an answer can wait 40 ms for an ACK
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.bind((_LOOPBACK, port))
        listener.listen(QUEUED)  # two that are bound and do not listen yet may have one port; the later to listen fails
    except OSError:
        listener.close()
        raise
    return listener


def parse_port(text: str | None) -> int | None:
    """Return the port in the text of AEGIS_PORT; None when it is unset or empty.

    Raises:
        UsageError: The text is not a port number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise UsageError(f"AEGIS_PORT is {text!r}, not a port number", "use a number from 0 to 65535")
    return int(text)


def open_unix(path: Path) -> socket.socket:
    """Return a unix socket bound to `path` with mode 0600, replacing an old file there; the caller closes it.

    The caller holds the workspace's lock. It does not listen yet: the server does that.

    Raises:
        HubUnavailable: The socket cannot be bound.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise HubUnavailable(f"cannot listen on {path}: {error.strerror}", "check the runtime folder") from error
    return listener


class _HubServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the hub stops in its own order."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        queue_deeply(sockets or ())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HubServer:
    """Serves one application on several sockets until `close`."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        requests, frames = protocols(Strangers(min(MOST_STRANGERS, raise_descriptor_limit() // 4)))
        config = uvicorn.Config(
            app,
            http=requests,
            ws=frames,
            ws_max_size=MAX_BODY_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="warning",
            server_header=False,
            backlog=ACCEPTED_AT_ONCE,
            timeout_graceful_shutdown=2,
        )
        self._server = _HubServer(config)
        self._task: asyncio.Task[None] | None = None
        self._keepers: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Start to serve in a task, and return when requests are answered; hub.json is written by the caller.

        From then on, lost unix sockets and a lost hub.json are restored in the background. An exception that ends the
        server before that is raised.

        Raises:
            HubUnavailable: The server ended without an exception before it answered.
            OSError: A socket cannot listen.
        """
        self._task = asyncio.create_task(self._server.serve(sockets=self._sockets), name="hub-server")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise HubUnavailable("the hub's server ended before it answered", "start the hub again")
            await asyncio.sleep(0.005)
        paths = [Path(listener.getsockname()) for listener in self._sockets if listener.family == socket.AF_UNIX]
        keep = [RuntimeFiles(path, bind=open_unix, listen=self._listen).keep() for path in paths]
        self._keepers = [asyncio.create_task(keeping, name="hub-runtime-files") for keeping in keep]

    async def _listen(self, listener: socket.socket) -> None:
        """Serve one more bound socket as uvicorn serves the first ones; it is closed with them.

        Raises:
            OSError: The socket cannot listen.
        """
        state, config = self._server.server_state, self._server.config
        served = await asyncio.get_running_loop().create_server(
            lambda: config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn itself calls it
                config=config, server_state=state, app_state=self._server.lifespan.state
            ),
            sock=listener,
            backlog=ACCEPTED_AT_ONCE,
        )
        queue_deeply([listener])
        self._server.servers.append(served)
        self._sockets.append(listener)

    async def close(self) -> None:
        """Refuse new connections, close the open ones after two seconds at most, and return when all are closed.

        The sockets are closed too. Call it once, after `open`. An exception that ended the server is raised here.
        """
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for served in self._server.servers:
            await stop_accepting(served)
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        for listener in self._sockets:
            listener.close()
