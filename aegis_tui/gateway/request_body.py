"""The body of a request while it is received: limited in size and time, and held back until somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aegis_tui.gateway.rejected import Rejected

BODY_LIMIT_BYTES = 32 * 1024 * 1024
_DEADLINE_S = 60.0
_AHEAD_BYTES = 64 * 1024
"""How much is received before anybody reads."""


class RequestBody:
    """Gets the parts of one body from its connection, and gives the whole to one reader.

    Args:
        pause: Stops receiving; called when too much came before anybody reads.
        resume: Goes on receiving.
        declared_bytes: The length that the client has announced; None if it has not.
    """

    def __init__(
        self, pause: Callable[[], None], resume: Callable[[], None], declared_bytes: int | None = None
    ) -> None:
        self.is_whole = False
        """Whether it was received to its end."""
        self.is_touched = False
        """Whether a part of it was received."""
        self._pause, self._resume = pause, resume
        self._declared_bytes = declared_bytes
        self._parts: list[bytes] = []
        self._new = 0
        """How many of the parts were received since the reader last looked."""
        self._size_bytes = 0
        self._problem: Rejected | None = None
        self._is_read = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, part: bytes) -> None:
        """Take the next received part; called by the connection.

        Until somebody calls `read`, the connection is paused once more than 64 KiB were received.
        """
        self.is_touched = True
        self._parts.append(part)
        self._new += 1
        self._size_bytes += len(part)
        if not self._is_read and self._size_bytes > _AHEAD_BYTES:
            self._pause()
        self._wake()

    def end(self) -> None:
        """Mark the body as received to its end, and wake its reader; called by the connection."""
        self.is_whole = True
        self._wake()

    def break_off(self) -> None:
        """Mark the body as one whose rest cannot be parsed: `read` then raises `Rejected` (400, `body.cut`)."""
        self._problem = Rejected(400, "body.cut", "the request body is not valid HTTP")
        self._wake()

    def check_length(self) -> None:
        """Refuse a body whose length the client has announced, if it is too long; otherwise do nothing.

        Raises:
            Rejected: It is over 32 MiB (413).
        """
        if self._declared_bytes is not None and self._declared_bytes > BODY_LIMIT_BYTES:
            raise _too_long()

    async def read(self, take: Callable[[int], None] = lambda size_bytes: None) -> bytes:
        """Wait for the whole body and return it; call it once. The connection goes on receiving.

        Args:
            take: Called with the size in bytes of each received part; what it raises ends the reading.

        Raises:
            Rejected: 413: over 32 MiB; 408: it took longer than 60 s; 400: its rest is not valid HTTP.
            asyncio.CancelledError: The client disconnected before its end, for which the connection cancels the reader.
        """
        self.check_length()
        self._is_read = True
        self._resume()
        self._count(take)
        if not self.is_whole:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    await self._wait_for_end(take)
            except TimeoutError as error:
                raise Rejected(408, "body.slow", "the request body did not arrive in time") from error
        parts, self._parts = self._parts, []
        return b"".join(parts)

    async def _wait_for_end(self, take: Callable[[int], None]) -> None:
        while not self.is_whole:
            if self._problem is not None:
                raise self._problem
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._count(take)

    def _count(self, take: Callable[[int], None]) -> None:
        for part in self._parts[len(self._parts) - self._new :]:
            take(len(part))
        self._new = 0
        if self._size_bytes > BODY_LIMIT_BYTES:
            raise _too_long()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _too_long() -> Rejected:
    return Rejected(413, "body.size", "the request body is over 32 MiB")
