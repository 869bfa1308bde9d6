"""Puts the hub's socket and hub.json back when somebody clears the runtime folder, or nobody could reach the hub."""

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
    """What a running hub has in its runtime folder. Replaces what is missing or no good, never another hub's."""

    def __init__(
        self,
        hub_socket: Path,
        *,
        bind: Callable[[Path], socket.socket],
        listen: Callable[[socket.socket], Awaitable[None]],
    ) -> None:
        """Name the files.

        Args:
            hub_socket: Where the hub listens; hub.json lies beside it.
            bind: Makes a new socket there.
            listen: Serves it as the first one.
        """
        self._socket = hub_socket
        self._bind = bind
        self._listen = listen

    async def keep(self) -> None:
        """Look twice a second until cancelled."""
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
            _log.warning("hub.json was gone and is back", extra={"aegis_path": str(folder)})
        if not self._socket.is_socket():
            create_runtime_dir(folder)
            put_aside(self._socket)
            self._socket.unlink(missing_ok=True)
            await self._listen(self._bind(self._socket))
            _log.warning("the socket was gone and is back", extra={"aegis_path": str(self._socket)})
