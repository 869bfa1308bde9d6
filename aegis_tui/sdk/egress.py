"""The way out of this sandbox to the addresses that the person has listed for this kind of agent (SEC-4).

Programs find it by HTTPS_PROXY. Each CONNECT goes to the gateway's process on the socket that AEGIS_EGRESS names, with
the instance's token, which programs therefore need not have. The gateway's process decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from aegis_tui.errors import UsageError
from aegis_tui.sdk.listener import stop_accepting
from aegis_tui.sdk.mcp_servers_file import load_servers
from aegis_tui.sdk.pump import close, join_both

EGRESS_VARIABLE = "AEGIS_EGRESS"
"""Names the socket in the environment of an instance; absent where the boundary is closed."""

_HEAD_BYTES = 16 * 1024
_LOCAL = "localhost,127.0.0.1,::1"


def find_egress(environ: Mapping[str, str], token: str) -> EgressRelay | None:
    """Return the relay to the way out of this sandbox, not yet open; None for a closed boundary, or without a sandbox.

    Args:
        environ: The process's environment.
        token: The instance's token.

    Raises:
        UsageError: AEGIS_EGRESS is set without AEGIS_TOKEN_FILE, or the file with the instance's MCP servers, which is
            beside the token, is not valid.
    """
    socket_path, token_file = environ.get(EGRESS_VARIABLE), environ.get("AEGIS_TOKEN_FILE")
    if not socket_path:
        return None
    if not token_file:
        what = f"{EGRESS_VARIABLE} is set, but AEGIS_TOKEN_FILE is not"
        raise UsageError(what, "start the instance through the hub, which sets both, or unset both")
    servers = load_servers(Path(token_file))
    return EgressRelay(Path(socket_path), token, forwarded=servers.local_places)


class EgressRelay:
    """Listens as an HTTP proxy on a free port of 127.0.0.1 while the context is open.

    Args:
        socket_path: The socket of the gateway's process.
        token: The instance's token.
        forwarded: Host and port of servers of the machine that are reached without a proxy: at that port, too, the
            relay listens, and passes each connection on to the server.
    """

    def __init__(self, socket_path: Path, token: str, *, forwarded: Collection[tuple[str, int]] = ()) -> None:
        self._socket_path, self._token, self._forwarded = socket_path, token, forwarded
        self._server: asyncio.Server | None = None
        self._forwards: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()
        self.on_refused: Callable[[str], None] = lambda host: None
        """Gets the host of each request that was refused because it is not listed."""

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            OSError: No port is free, or that of a forwarded server is taken.
        """
        self._server = await asyncio.start_server(partial(self._accept, None), "127.0.0.1", 0, limit=_HEAD_BYTES)
        for host, port in self._forwarded:
            named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            accept = partial(self._accept, named)
            self._forwards.append(await asyncio.start_server(accept, "127.0.0.1", port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self._server, *self._forwards):
            if server is not None:
                await stop_accepting(server)
                server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def url(self) -> str:
        """The URL of the proxy.

        Raises:
            RuntimeError: It is not open.
        """
        if self._server is None:
            raise RuntimeError("the relay is not open")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs find the proxy.

        Addresses of this machine are excepted, so for these they use none.

        Raises:
            RuntimeError: It is not open.
        """
        names = {"HTTPS_PROXY": self.url, "NO_PROXY": _LOCAL}
        lower = {name.lower(): value for name, value in names.items()}  # curl and others know only one of the two
        return {**names, **lower, "NODE_USE_ENV_PROXY": "1"}

    async def _accept(self, place: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close, writer)
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._carry_out(reader, writer, stack, place)

    async def _carry_out(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stack: AsyncExitStack, place: str | None
    ) -> None:
        """Pass a request on with the token, then the answer, then bytes in both directions until both sides have ended.

        Of the program's request only the first line is passed on. For a forwarded server, the request is made here, and
        its answer is not passed on; if it is not 200, this returns. `on_refused` gets the host if the answer is 403.

        Args:
            reader: Reads what the program sends.
            writer: Writes to the program.
            stack: Closes what is opened here.
            place: The address of a forwarded server; None for what the program asks for.

        Raises:
            OSError: A side is gone.
            asyncio.IncompleteReadError: A side ends before its head is complete.
            asyncio.LimitOverrunError: A head is too long.
        """
        head = await reader.readuntil(b"\r\n\r\n") if place is None else f"CONNECT {place} HTTP/1.1".encode()
        first = head.partition(b"\r\n")[0]
        up_reader, up_writer = await asyncio.open_unix_connection(self._socket_path, limit=_HEAD_BYTES)
        stack.push_async_callback(close, up_writer)
        up_writer.write(first + b"\r\nProxy-Authorization: Bearer " + self._token.encode() + b"\r\n\r\n")
        await up_writer.drain()
        answer = await up_reader.readuntil(b"\r\n\r\n")
        if answer.startswith(b"HTTP/1.1 403"):
            self.on_refused(_host_in(first))
        if place is None:
            writer.write(answer)
            await writer.drain()
        elif not answer.startswith(b"HTTP/1.1 200"):
            return
        await join_both((reader, writer), (up_reader, up_writer))


def _host_in(line: bytes) -> str:
    """Return the host in the first line of a CONNECT request, in lower case and without the port.

    Empty if there is none.
    """
    target = line.split(b" ")[1] if line.count(b" ") else b""
    return target.rpartition(b":")[0].decode("latin-1").lower()
