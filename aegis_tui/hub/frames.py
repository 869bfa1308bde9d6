"""Send pre-built frames through uvicorn's WebSocket protocol.

Encoding an event for each of a thousand receivers makes the slowest of them wait; with a frame that is built once, the
99th percentile was 46 ms instead of 141 ms and more (notes).
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
"""How much input is processed before checking whether reading was held: some 60 small requests."""

SEND_BUFFER_BYTES = 64 * 1024
"""The kernel's send buffer; a large one would take megabytes for a receiver that does not read, and hide its lag."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol; the application also finds this object as `scope["extensions"][EXTENSION]`."""

    _on_text: Callable[[str], None] | None = None
    _unread = b""
    """Input that was received but not processed, because the connection is held."""
    _is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the connection, with a small send buffer in the kernel (SO_SNDBUF); called by asyncio.

        A receiver that does not read is noticed early, before the kernel has taken megabytes for it.
        """
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Process received bytes in small parts; called by asyncio.

        When `hold` is called in between, stop reading and keep the rest for `go_on`. What follows a protocol error is
        dropped.
        """
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
        """Start the application for a WebSocket request; its scope names this object under `EXTENSION`."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            extensions = cast("dict[str, object]", scope["extensions"])
            extensions[EXTENSION] = self

    def hand_texts_to(self, on_text: Callable[[str], None] | None) -> None:
        """Call `on_text` with each whole text message as it arrives, instead of queueing it for the application.

        Text messages that are queued already are passed at once, and paused reading is resumed; messages that are not
        text stay in the queue. None ends this and does nothing else.
        uvicorn's queue pauses reading at each message, which costs as much as the message; whoever takes texts here
        must therefore call `hold` when too many are in progress.
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
        """Pass on a message that has arrived completely; called by uvicorn.

        Text goes to the function that `hand_texts_to` has set. Without one, and for binary or invalid text, uvicorn
        does as usual.
        """
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
        """Stop reading and processing input until `go_on` is called."""
        self._is_held = True
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def go_on(self) -> None:
        """End `hold`: process the kept input and resume reading, both after the caller has returned.

        Without `hold`, only resume reading if uvicorn has paused it.
        """
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
        """Wait until the receiver keeps up, then write one whole, unmasked frame; do nothing on a closing connection.

        Args:
            frame: The result of `websockets.frames.Frame.serialize(mask=False)`, without extensions.
        """
        await self.writable.wait()
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.transport.write(frame)

    def write_now(self, frame: bytes) -> bool:
        """Write one whole, unmasked frame, as `send_frame` takes it, and return True; never waits.

        Return False, with nothing written, when the receiver does not keep up or the connection closes.
        """
        if not self.writable.is_set() or self.disconnected or self.close_sent or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def abort(self) -> None:
        """Close the connection at once; what the receiver has not read yet may be lost."""
        self.transport.abort()
