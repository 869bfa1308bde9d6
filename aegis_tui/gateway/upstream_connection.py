"""A connection to a model server: HTTP/1.1, one call after the other, parsed by llhttp (RFC 9112).

It passes the body of an answer on in the same step of the event loop in which it was received, and knows nothing of
what is in it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import httptools

from aegis_tui.domain.prompt import inert
from aegis_tui.gateway.upstream_answer import UpstreamAnswer

_HEAD_LIMIT_BYTES = 128 * 1024
"""The longest headers, and the most bytes that hold no part of a body: a server may send neither for ever."""
_WRITE_TIMEOUT_S = 60.0
"""How long the server may take nothing of a request that is being sent, in seconds."""
_REASON_CHARS = 300
_LINE_END = re.compile(rb"[\r\n]")
_ONE_WRITE_BYTES = 64 * 1024
"""A longer body is sent by a call of its own, which spares a copy."""
_INTERIM = range(100, 200)
_CODINGS = (b"", b"identity", b"chunked")
_CUT = "the connection was closed"
_ENDLESS = f"it sent more than {_HEAD_LIMIT_BYTES >> 10} KiB without any part of a body"


class UpstreamConnection(asyncio.Protocol):
    """A connection for one call at a time.

    Args:
        on_free: Called when a call has ended and the connection can carry another one.
        on_lost: Called when the connection is closed.
    """

    def __init__(
        self, on_free: Callable[[UpstreamConnection], None], on_lost: Callable[[UpstreamConnection], None]
    ) -> None:
        self.is_fresh = True
        """Whether it has carried no call before the present one."""
        self.has_heard = False
        """Whether the server has sent a byte of the present call's answer."""
        self._on_free = on_free
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # called by the parser
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._quiet_bytes = 0
        """What was received since the last part of a body."""
        self._unsent_bytes = 0
        """What was left of the request when it was looked at last."""
        self._answer: UpstreamAnswer | None = None
        """That of the present call, or of the last one."""
        self._is_interim = False
        self._is_released = False
        self._is_reusable = False
        self._is_paused = False
        self._idle_timeout_s = self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be, so that it can carry no call."""
        return self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of a new connection; called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, base_url: str, head: bytes, body: bytes, *, idle_timeout_s: float) -> UpstreamAnswer:
        """Send a request; return its answer, of which nothing was received yet. No other call may be under way.

        Raises nothing: if the connection breaks, the answer fails, and whoever reads it gets the error. It fails too if
        the server takes nothing of the request for 60 s.

        Args:
            base_url: The model server, for messages.
            head: The request line and the headers, with the empty line.
            body: The request body.
            idle_timeout_s: How long the server may send nothing, before the first byte or between two.
        """
        self.is_fresh, self.has_heard = self._answer is None, False
        self._answer = answer = UpstreamAnswer(base_url, self)
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._headers = []
        self._is_interim = self._is_released = self._is_reusable = False
        self._quiet_bytes = self._head_bytes = 0
        self._idle_timeout_s, self._heard_at = idle_timeout_s, self._loop.time()
        if len(body) > _ONE_WRITE_BYTES:
            self._transport.write(head)
            self._transport.write(body)
        else:
            self._transport.write(head + body)
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._look_after(min(idle_timeout_s, _WRITE_TIMEOUT_S) if self._unsent_bytes else idle_timeout_s)
        return answer

    def pause(self) -> None:
        """Receive nothing until `resume`."""
        self._is_paused = True
        self._transport.pause_reading()

    def resume(self) -> None:
        """Receive again; no effect if it was not paused."""
        if self._is_paused:
            self._is_paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()

    def release(self, answer: UpstreamAnswer) -> None:
        """Note that nobody reads an answer any more; unless it is whole, abort the connection, which cancels the call.

        No effect for another answer than the present one, or a second time.
        """
        if answer is not self._answer or self._is_released:
            return
        self._is_released = True
        self._stop_looking()
        self.resume()
        is_sent = not self._transport.get_write_buffer_size()
        if answer.is_whole and self._is_reusable and is_sent and not self.is_closing:
            self._on_free(self)
        else:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection at once; the answer of a call that is under way fails."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what was received, and pass parts of a body on to the answer.

        What cannot be parsed makes the answer fail. Data that nobody has asked for closes the connection. Called by
        asyncio.
        """
        answer = self._answer
        if answer is None or self._is_released:  # nothing was asked, so nothing can be trusted
            self._transport.abort()
            return
        self.has_heard = True
        self._heard_at = self._loop.time()
        problem = ""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            problem = "it switched to another protocol"
        except httptools.HttpParserError as error:
            problem = self._explain(data, error)
        if self._parts:
            self._quiet_bytes = 0
            parts = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            answer.feed(parts)
        else:
            self._quiet_bytes += len(data)
        self._go_on(answer, problem)

    def _go_on(self, answer: UpstreamAnswer, problem: str) -> None:
        """End the answer if the received data completes or spoils it, and wake its reader then; else do nothing.

        The answer fails if `problem` is given, or if too much came without any content: more than the limit for a head.

        Args:
            answer: The answer that is being received.
            problem: Why what follows cannot be read; empty if it can. The connection is then not used again.
        """
        if problem:
            self._is_reusable = False
        if answer.is_whole:
            self._stop_looking()
        elif problem:
            self._fail(problem)
        elif self._quiet_bytes > _HEAD_LIMIT_BYTES:
            self._fail(_ENDLESS)
        else:
            return
        answer.wake()

    def eof_received(self) -> None:
        """End the answer if only the end of the connection ends its body.

        Called by asyncio, which then closes the connection.
        """
        answer = self._answer
        if answer is not None and answer.status and answer.is_open_ended and not answer.is_whole:
            answer.is_whole = True
            self._stop_looking()
            answer.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let an answer that is not whole fail, stop the timer, and call `on_lost`; called by asyncio."""
        self._fail(inert(str(exc))[:_REASON_CHARS] if exc is not None else _CUT)
        self._stop_looking()
        self._on_lost(self)

    def on_message_begin(self) -> None:
        """Raise ValueError if the answer is complete, as only one was asked for; called by the parser, which stops."""
        if self._answer is not None and self._answer.is_whole:
            raise ValueError("more than one answer to a request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header or trailer; called by the parser. Raises ValueError if the head is too long."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_LIMIT_BYTES:
            raise ValueError("the headers are too long")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take over the head of the answer, unless its status is an interim one such as 100; called by the parser.

        Raises:
            ValueError: The transfer coding is not supported.
        """
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        self._is_interim = status in _INTERIM
        if self._is_interim or self._answer is None:
            return
        self._answer.headers = headers
        coding = self._answer.header(b"transfer-encoding").strip().lower()
        if coding not in _CODINGS:
            raise ValueError("a transfer coding that is not supported")
        has_length = coding == b"chunked" or any(name == b"content-length" for name, _ in headers)
        self._is_reusable = self._parser.should_keep_alive()
        self._answer.is_open_ended = not has_length
        self._answer.status = status
        self._answer.wake()

    def on_message_complete(self) -> None:
        """Mark the answer as whole, unless its status is an interim one such as 100; called by the parser."""
        if not self._is_interim and self._answer is not None:
            self._answer.is_whole = True

    def _explain(self, data: bytes, error: Exception) -> str:
        if self._head_bytes > _HEAD_LIMIT_BYTES:
            return _ENDLESS
        if self._answer is not None and not self._answer.status and not data.startswith(b"HTTP/"):
            first = _LINE_END.split(data, maxsplit=1)[0].decode("latin-1")
            return f"illegal status line: {inert(first)[:_REASON_CHARS]!r}"
        if isinstance(error.__context__, ValueError):
            error = error.__context__
        return inert(str(error))[:_REASON_CHARS]

    def _fail(self, reason: str) -> None:
        answer = self._answer
        if answer is not None and not answer.is_whole and not self._is_released:
            answer.fail(reason)
            self._transport.abort()

    def _look_after(self, delay_s: float) -> None:
        self._timer = self._loop.call_later(delay_s, self._look)

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Let the answer fail if the server has taken or sent nothing for too long, else set the timer anew.

        Time in which reading is paused does not count.
        """
        now, unsent_bytes = self._loop.time(), self._transport.get_write_buffer_size()
        if self._is_paused or unsent_bytes != self._unsent_bytes:
            self._unsent_bytes, self._heard_at = unsent_bytes, now
        limit_s = min(self._idle_timeout_s, _WRITE_TIMEOUT_S) if unsent_bytes else self._idle_timeout_s
        left_s = self._heard_at + limit_s - now
        if left_s > 0:
            self._look_after(left_s)
        else:
            self._fail(f"it {'accepted' if unsent_bytes else 'sent'} nothing for {limit_s:g} s")
