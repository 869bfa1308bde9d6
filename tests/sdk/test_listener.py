from __future__ import annotations

import asyncio
import socket

import pytest

from aegis_tui.sdk.listener import stop_accepting


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_that_was_just_accepted_is_served_although_the_server_closes(turns: int) -> None:
    async def main() -> tuple[int, bool]:
        served = 0

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            served += 1
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address, timeout=10) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await stop_accepting(server)
            server.close()
            for _ in range(5):
                await asyncio.sleep(0)
            is_ended = await asyncio.to_thread(_is_ended, client)
        with pytest.raises(ConnectionRefusedError), socket.create_connection(address, timeout=10):
            pass
        await stop_accepting(server)
        return served, is_ended

    served, is_ended = asyncio.run(main())
    assert is_ended
    assert served == (1 if turns > 1 else 0)


def _is_ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:  # it was never accepted
        return True
