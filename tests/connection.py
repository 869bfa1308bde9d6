"""What tests ask of a connection that they hold, or of a listener."""

from __future__ import annotations

import asyncio
import socket


def is_ended(connection: socket.socket) -> bool:
    """Whether the other side ends the connection before its time-out; it is closed then."""
    with connection:
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
    return True


def is_undelayed(listener: socket.socket) -> bool:
    """Whether a connection that asyncio accepts here sends each part at once (TCP_NODELAY); the listener is closed."""

    async def accepted_option() -> int:
        options: asyncio.Queue[int] = asyncio.Queue()

        async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            options.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(note, sock=listener) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            option = await options.get()
            writer.close()
        return option

    return asyncio.run(accepted_option()) != 0
