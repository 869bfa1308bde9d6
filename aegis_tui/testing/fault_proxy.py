"""A proxy in front of a unix socket that can delay, slow down, block and cut connections."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self

from aegis_tui.sdk.listener import stop_accepting

_PIECE_BYTES = 4096


class FaultProxy:
    """Forwards bytes between clients and a server. Its attributes can be changed at any time, with immediate effect.

    While no server listens, each new connection is aborted.
    """

    def __init__(self, path: Path, target: Path) -> None:
        """Set the paths of the two sockets; nothing is opened yet.

        Args:
            path: Where clients connect.
            target: Where the server listens.
        """
        self._path = path
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay_s = 0.0
        """The delay before each chunk is forwarded, in seconds."""
        self.bytes_per_s = 0.0
        """The most bytes per second from server to client, sent one at a time; 0: no limit."""
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self.connections = 0
        """How many connections clients have opened so far."""

    async def __aenter__(self) -> Self:
        """Start listening on `path`, which must be free.

        Raises:
            OSError: It cannot listen there.
        """
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut every connection, stop listening, and delete the socket."""
        if self._server is not None:
            await stop_accepting(self._server)
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    def silence(self, is_silent: bool = True) -> None:
        """Keep connections open but forward nothing, until it is called with False."""
        if is_silent:
            self._may_pass.clear()
        else:
            self._may_pass.set()

    def cut(self) -> None:
        """Abort every connection at once, whatever it is transferring."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            with suppress(OSError):
                await self._join(reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        self._writers.add(server_writer)
        ways = {
            asyncio.create_task(self._pass(reader, server_writer, is_limited=False)),
            asyncio.create_task(self._pass(server_reader, writer, is_limited=True)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.transport.abort()
            self._writers.discard(server_writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_limited: bool) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            while piece:
                await self._may_pass.wait()
                part = piece
                if is_limited and self.bytes_per_s:
                    part = piece[:1]
                    await asyncio.sleep(1 / self.bytes_per_s)
                elif self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(part)
                await writer.drain()
                piece = piece[len(part) :]
