"""One answer of a model server while it is received: its status and headers, then its body in the network's parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from aegis_tui.errors import ModelUnavailable
from aegis_tui.gateway.encoding import unpacked

Headers = Sequence[tuple[bytes, bytes]]

SMALL_BYTES = 4 << 20
"""Far more than any list of models or page of metrics needs; the gateway's own clients accept as much."""
_BUFFER_BYTES = 256 * 1024
"""How much of a body is received ahead of its reader."""


class Broken(Exception):
    """The connection to the model server is of no more use; the text is the reason, for a person."""


class Source(Protocol):
    """The connection that an answer arrives on."""

    def pause(self) -> None:
        """Receive nothing until `resume`."""
        ...

    def resume(self) -> None:
        """Receive again after `pause`; without one, do nothing."""
        ...

    def release(self, answer: UpstreamAnswer) -> None:
        """Take the connection back: nobody reads the answer any more. If it is not whole, its call is cancelled."""
        ...


class UpstreamAnswer:
    """An answer, filled by its connection.

    Args:
        base_url: The model server, for messages.
        source: The connection.
    """

    def __init__(self, base_url: str, source: Source) -> None:
        self.base_url = base_url
        self.status = 0
        """The HTTP status; 0 until the headers were received."""
        self.headers: Headers = ()
        """Lower-case names and values, in the server's order."""
        self.is_open_ended = False
        """Whether only the end of the connection marks the end of the body (RFC 9112, 6.3).

        The body then looks complete even if the server crashed while it sent it.
        """
        self.is_whole = False
        """Whether the body was received to its end."""
        self._source = source
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._broken: Broken | None = None
        self._sink: Callable[[bytes], None] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> bytes:
        """Return the value of the first header with this lower-case name; empty if there is none."""
        return next((value for key, value in self.headers if key == name), b"")

    async def begun(self) -> None:
        """Wait until status and headers were received, and set.

        Raises:
            Broken: The connection broke before; the text is why.
        """
        while not self.status:
            if self._broken is not None:
                raise self._broken
            await self._wait()

    def pass_to(self, sink: Callable[[bytes], None]) -> None:
        """Call `sink` with each part of the body as soon as it is received, first with what is here already.

        The parts are as they were sent, so this is not for compressed bodies. `sink` must not raise. Nothing more can
        be read with `chunks` then; `ended` tells when the body is complete or broken.
        """
        self._sink = sink
        if self._parts:
            sink(self._take_parts())

    async def ended(self) -> None:
        """Wait until the body that `pass_to` passes on was received to its end.

        Raises:
            ModelUnavailable: The server disconnected before, or sent nothing for too long.
        """
        while not self.is_whole:
            self._check()
            await self._wait()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, in the network's parts, decompressed; call it once, in the block of `open`.

        Raises:
            ModelUnavailable: The server disconnected before the end, or sent nothing for too long.
            ModelMalformed: The encoding is unknown or invalid.
        """
        async for chunk in unpacked(self._received(), self.header(b"content-encoding"), self.base_url):
            yield chunk

    async def whole(self) -> bytes:
        """Return a whole small body, decompressed: a list of models, a page of metrics.

        Call it once, in the block of `open`.

        Raises:
            ModelUnavailable: The server disconnected before the end, sent nothing for too long, or sent more than
                `SMALL_BYTES` (4 MiB).
            ModelMalformed: The encoding is unknown or invalid.
        """
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > SMALL_BYTES:
                what = f"{self.base_url} sent too long an answer: more than {SMALL_BYTES >> 20} MiB"
                raise ModelUnavailable(what, "Check it with: aegis-tui doctor")
        return bytes(body)

    def pause(self) -> None:
        """Receive nothing for now: whoever gets the body is slower than the server."""
        self._source.pause()

    def resume(self) -> None:
        """Receive again."""
        self._source.resume()

    def release(self) -> None:
        """Give the connection back; a second call has no effect.

        If the body was not received to its end, the connection is closed, which cancels the call.
        """
        self._source.release(self)

    def feed(self, part: bytes) -> None:
        """Take the next part of the body, for the sink of `pass_to` or for `chunks`; called by the connection.

        The connection is paused while more than 256 KiB are kept for `chunks`.
        """
        if self._sink is not None:
            self._sink(part)
            return
        self._parts.append(part)
        self._size_bytes += len(part)
        if self._size_bytes > _BUFFER_BYTES:
            self._source.pause()
        self.wake()

    def fail(self, reason: str) -> None:
        """Take note that the connection broke, and wake the reader; called by the connection.

        The reader gets an error once it has read what was received before.

        Args:
            reason: Why, for a person.
        """
        self._broken = Broken(reason)
        self.wake()

    def wake(self) -> None:
        """Wake whoever waits in `begun`, `ended` or `chunks`, to look at what has changed; called by the connection."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _received(self) -> AsyncIterator[bytes]:
        while True:
            if self._parts:
                self._source.resume()
                yield self._take_parts()
            elif self.is_whole:
                return
            else:
                self._check()
                await self._wait()

    def _take_parts(self) -> bytes:
        parts = b"".join(self._parts)
        self._parts.clear()
        self._size_bytes = 0
        return parts

    def _check(self) -> None:
        if self._broken is not None:
            what = f"the model server at {self.base_url} stopped in the middle of an answer ({self._broken})"
            raise ModelUnavailable(what, hint="aegis-tui doctor")

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
