"""What tests ask of a connection that they hold."""

from __future__ import annotations

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
