"""Accept connections to the unix socket only from the user that the hub runs as (HUB-9)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

_log = logging.getLogger(__name__)
_SOL_LOCAL = 0
"""macOS: the level of LOCAL_PEERCRED, see unix(4)."""


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end; None over TCP, and on a system without such a query.

    Raises:
        OSError: The system does not answer, for example because the other end has closed already.
    """
    if connection.family != socket.AF_UNIX:
        return None
    if (linux := getattr(socket, "SO_PEERCRED", None)) is not None:
        raw = connection.getsockopt(socket.SOL_SOCKET, linux, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    if (darwin := getattr(socket, "LOCAL_PEERCRED", None)) is not None:
        raw = connection.getsockopt(_SOL_LOCAL, darwin, 128)
        return int(struct.unpack_from("=II", raw)[1])
    return None


def own_uid() -> int:
    """Return the user id of this process; only connections of the same user are accepted."""
    return os.getuid()


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP protocol; a connection from another user's process is closed unread."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn itself
        """Accept a connection, or close it at once if another user's process opened it; called by asyncio.

        A TCP connection, of which this is not known, is accepted.

        Raises:
            OSError: The system does not say who opened it, for example because it is closed already.
        """
        super().connection_made(transport)
        uid = peer_uid(transport.get_extra_info("socket"))
        if uid not in (None, own_uid()):
            _log.warning("a connection of another user was refused", extra={"aegis_uid": uid})
            transport.abort()
