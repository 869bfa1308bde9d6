"""HTTP over a unix socket. Its import of `http.client` takes a sixth of the start of a short command."""

from __future__ import annotations

import socket
from http.client import HTTPConnection


class UnixConnection(HTTPConnection):
    """A connection, not yet open, to the socket at `path`."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the connection; called by the first request.

        Raises:
            OSError: Nothing listens on the socket, or it does not answer in time.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
