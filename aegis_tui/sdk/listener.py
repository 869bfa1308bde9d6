"""The orderly end of a server of asyncio."""

from __future__ import annotations

import asyncio


async def stop_accepting(server: asyncio.Server) -> None:
    """Accept no more connections, and return when those that were accepted have their transports; `close` may follow.

    `Server.close` alone loses a connection that the loop has just accepted: its transport cannot join a server that is
    closed, and nobody closes its socket. The client would wait until the garbage is collected. No effect on a server
    that is closed.
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    await asyncio.sleep(0)  # the tasks that make transports were created before, so they run before this goes on
