"""The gateway's listening sockets, and how it stops: calls get a moment to end, then they are told and cut off."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aegis_tui.gateway.client_connection import AgentConnection, App, ServerDoor
from aegis_tui.sdk.listener import stop_accepting
from aegis_tui.sdk.strangers import ACCEPTED_AT_ONCE, Strangers, queue_deeply

_GRACE_S = 2.0
_CUT_S = 1.0
"""How long calls that were cut off may take to tell their clients, in seconds."""


class GatewayServer:
    """Serves an application on listening sockets.

    Its limits hold for all TCP connections together, and separately for all over unix sockets. One connection above a
    limit aborts the oldest of its kind.

    Args:
        app: Answers each request.
        most_fresh: How many connections without a valid token may wait.
        most_idle: How many connections whose request was answered may wait for the next one.
    """

    def __init__(self, app: App, *, most_fresh: int, most_idle: int) -> None:
        self._door = ServerDoor(app, Strangers(most_fresh), Strangers(most_idle))
        self._servers: list[asyncio.Server] = []
        self._stopped = asyncio.Event()

    @property
    def is_serving(self) -> bool:
        """Whether `start` was called and has succeeded for at least one socket.

        Stays True after the server has stopped.
        """
        return bool(self._servers)

    async def start(self, listeners: Sequence[socket.socket]) -> None:
        """Accept connections from now on; `serve` closes the sockets when it ends. Call it once.

        Raises:
            OSError: A socket cannot be served.
        """
        loop = asyncio.get_running_loop()
        for listener in listeners:
            is_unix = listener.family == socket.AF_UNIX
            create = loop.create_unix_server if is_unix else loop.create_server
            server = await create(lambda: AgentConnection(self._door), sock=listener, backlog=ACCEPTED_AT_ONCE)
            self._servers.append(server)
        queue_deeply(listeners)

    def stop(self) -> None:
        """Let `serve` end, now or when it is called later; returns at once, and may be called again."""
        self._stopped.set()

    async def serve(self) -> None:
        """Wait for `stop`, then close every connection and return.

        Calls that are under way have 2 s to end by themselves. Then they are cut off and get 1 s more: an answer that
        is cut off ends with an error event, and without the mark of a complete body.
        """
        await self._stopped.wait()
        self._door.is_closing = True
        for server in self._servers:
            await stop_accepting(server)
            server.close()
        for connection in tuple(self._door.connections):
            if not connection.is_busy:
                connection.stop()
        await self._wait_for_tasks(_GRACE_S)
        for connection in tuple(self._door.connections):
            connection.stop()
        await self._wait_for_tasks(_CUT_S)
        await asyncio.sleep(0)  # connections that were closed take note of it

    async def _wait_for_tasks(self, timeout_s: float) -> None:
        if self._door.tasks:
            await asyncio.wait(tuple(self._door.tasks), timeout=timeout_s)
