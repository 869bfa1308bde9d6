"""Pre-built frames through uvicorn's WebSocket protocol.

Encoding one event for each of a thousand receivers costs the tail of the latency; a frame that is built once and
written as it is held it (notes: p99 46 ms against 141 ms and more).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "aegis.frames"
PART_BYTES = 4 * 1024
"""What is looked at before it is asked again whether to go on: some 60 small requests."""

SEND_BUFFER_BYTES = 64 * 1024
"""Small, or the kernel swallows megabytes for a receiver that does not read, and nobody notices that it lags."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own protocol, whose connection the application may also reach as `scope["extensions"][EXTENSION]`."""

    _on_text: Callable[[str], None] | None = None
    _unread = b""
    """Received, but not looked at while the connection is held."""
    _is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over, with a small send buffer."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Look at what came in small parts, so that `hold` stops within one of them."""
        self._unread += data
        self._look()
        if self._is_held and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _look(self) -> None:
        while self._unread and not self._is_held and not self.transport.is_closing():
            part, self._unread = self._unread[:PART_BYTES], self._unread[PART_BYTES:]
            super().data_received(part)
            if self.conn.parser_exc is not None:
                self._unread = b""

    def handle_connect(self, event: Request) -> None:
        """Begin the application, and hand it this connection."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            extensions = cast("dict[str, object]", scope["extensions"])
            extensions[EXTENSION] = self

    def hand_texts_to(self, on_text: Callable[[str], None] | None) -> None:
        """Call `on_text` with each whole text message as it arrives, instead of keeping it for `receive`.

        A queue that stops reading at each message costs as much as the message; whoever takes texts this way stops the
        reading by `hold` when it has too many under way. None ends it.
        """
        self._on_text = on_text
        if on_text is None:
            return
        for message in [self.queue.get_nowait() for _ in range(self.queue.qsize())]:
            text = cast("dict[str, Any]", message).get("text")
            if text is None:
                self.queue.put_nowait(message)
            else:
                on_text(text)
        self.go_on()

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message on; one that is no text, or no UTF-8, goes the usual way."""
        if self._on_text is not None and self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                text = b"".join(self.frames).decode()
            except UnicodeDecodeError:
                pass
            else:
                self.frames = []
                self._on_text(text)
                return
        super().send_receive_event_to_app()

    def hold(self) -> None:
        """Read nothing more until `go_on`."""
        self._is_held = True
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Look at what came, then read again; not before the caller has returned."""
        if self._is_held:
            self._is_held = False
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self.read_paused:
            self._resume()

    def _go_on(self) -> None:
        self._look()
        if not self._is_held:
            self._resume()

    def _resume(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    async def send_frame(self, frame: bytes) -> None:
        """Write one whole, unmasked frame when the receiver keeps up; nothing once the connection ends.

        Args:
            frame: As `websockets.frames.Frame.serialize(mask=False)` gives it, without extensions.
        """
        await self.writable.wait()
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.transport.write(frame)

    def write_now(self, frame: bytes) -> bool:
        """Write one such frame at once; False when the receiver does not keep up or the connection ends."""
        if not self.writable.is_set() or self.disconnected or self.close_sent or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def abort(self) -> None:
        """Drop the connection without waiting for a receiver that does not read."""
        self.transport.abort()
