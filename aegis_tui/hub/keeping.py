"""Restore the hub's socket and hub.json when the runtime folder is cleared; without them no client finds the hub."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from aegis_tui.errors import AegisError
from aegis_tui.hub.record import is_record_lost, publish_again, put_aside
from aegis_tui.sdk.discovery import create_runtime_dir

CHECK_S = 0.5
_log = logging.getLogger(__name__)


class RuntimeFiles:
    """Watches a running hub's files in its runtime folder; replaces missing or invalid ones, never another hub's."""

    def __init__(
        self,
        hub_socket: Path,
        *,
        bind: Callable[[Path], socket.socket],
        listen: Callable[[socket.socket], Awaitable[None]],
    ) -> None:
        """Set what to watch and how to replace it.

        Args:
            hub_socket: The path of the hub's socket; hub.json is in the same folder.
            bind: Creates a new socket at that path.
            listen: Serves a new socket like the first one.
        """
        self._socket = hub_socket
        self._bind = bind
        self._listen = listen

    async def keep(self) -> None:
        """Check twice a second, and restore the socket or hub.json when missing; never returns, cancel it to end.

        An OSError or AegisError is logged, and the check repeated.
        """
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self._restore()
            except (OSError, AegisError) as error:
                _log.warning("the runtime folder cannot be restored", extra={"aegis_error": str(error)})

    async def _restore(self) -> None:
        folder = self._socket.parent
        if is_record_lost(folder):
            create_runtime_dir(folder)
            publish_again(folder)
            _log.warning("hub.json was missing and was restored", extra={"aegis_path": str(folder)})
        if not self._socket.is_socket():
            create_runtime_dir(folder)
            put_aside(self._socket)
            self._socket.unlink(missing_ok=True)
            await self._listen(self._bind(self._socket))
            _log.warning("the socket was missing and was restored", extra={"aegis_path": str(self._socket)})
