"""Who is at the other end of the unix socket: only the user that the hub runs as (HUB-9)."""

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
    """The user id of the process that opened the other end; None over TCP, and where the system does not say."""
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
    """Whose processes are let in."""
    return os.getuid()


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP protocol for processes of this user; a connection of anybody else is dropped unread."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn itself
        """Take the connection, or drop it."""
        super().connection_made(transport)
        uid = peer_uid(transport.get_extra_info("socket"))
        if uid not in (None, own_uid()):
            _log.warning("a process of another user was turned away", extra={"aegis_uid": uid})
            transport.abort()
