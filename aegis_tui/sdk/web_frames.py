"""The frames of a WebSocket, as a client reads and writes them (RFC 6455). No input or output; no extensions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
"""The opcodes (RFC 6455, 5.2)."""

PROTOCOL_ERROR, NO_CODE, LOST, NOT_UTF8, TOO_BIG = 1002, 1005, 1006, 1007, 1009
"""The close codes that this client knows by name (RFC 6455, 7.4.1)."""

_FINAL, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_MOST_OF_CONTROL = 125
_LONG, _VERY_LONG = 126, 127
_KEY_BYTES = 4
_KNOWN: Final = frozenset({CONTINUED, TEXT, BINARY, CLOSE, PING, PONG})


class FrameError(Exception):
    """The other side broke the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        """Keep `code`, the close code that says so, and the reason in words."""
        super().__init__(reason)
        self.code = code


def render_frame(kind: int, content: bytes) -> bytes:
    """Return a client's frame that is a whole message, or a control message of at most 125 bytes; it is masked."""
    size = len(content)
    if size <= _MOST_OF_CONTROL:
        head = bytes((_FINAL | kind, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((_FINAL | kind, _MASKED | _LONG)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | kind, _MASKED | _VERY_LONG)) + size.to_bytes(8, "big")
    key = os.urandom(_KEY_BYTES)
    mask = (key * (size // _KEY_BYTES + 1))[:size]
    masked = int.from_bytes(content, sys.byteorder) ^ int.from_bytes(mask, sys.byteorder)
    return head + key + masked.to_bytes(size, sys.byteorder)


def render_close(code: int, reason: str = "") -> bytes:
    """Return a client's close frame; of the reason, at most 123 bytes are sent."""
    return render_frame(CLOSE, code.to_bytes(2, "big") + reason.encode()[: _MOST_OF_CONTROL - 2])


def close_code(content: bytes) -> int:
    """Return the code in a close frame that was received; `NO_CODE` if it has none.

    Raises:
        FrameError: It is not a code that may be sent.
    """
    if not content:
        return NO_CODE
    code = int.from_bytes(content[:2], "big") if len(content) > 1 else 0
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code < 5000):
        raise FrameError(PROTOCOL_ERROR, "a close frame without a valid code")
    return code


class FrameReader:
    """Turns the bytes that a server sends into messages.

    Args:
        most_bytes: The longest message, in bytes.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._buffer = bytearray()
        self._kind = CONTINUED
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the opcode and the content of each message that is complete with these bytes, in order.

        `TEXT` and `BINARY` come whole, however many frames they have; `CLOSE`, `PING` and `PONG` may come between.

        Raises:
            FrameError: The server broke the protocol, or a message is longer than `most_bytes`.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            kind, is_final, content = frame
            if kind in (CLOSE, PING, PONG):
                yield kind, content
                continue
            self._kind = kind or self._kind
            self._parts.append(content)
            self._size += len(content)
            if is_final:
                message = (self._kind, b"".join(self._parts))
                self._kind, self._parts, self._size = CONTINUED, [], 0
                yield message

    def _next(self) -> tuple[int, bool, bytes] | None:
        """Take one frame from the buffer: opcode, whether it ends its message, content; None if it is not complete."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        kind, is_final, size = buffer[0] & 0x0F, bool(buffer[0] & _FINAL), buffer[1] & 0x7F
        self._check(kind, is_final=is_final, size=size)
        start = 2
        if size >= _LONG:
            start += 2 if size == _LONG else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        if self._size + size > self._most_bytes:
            raise FrameError(TOO_BIG, f"a message of more than {self._most_bytes} bytes")
        end = start + size
        if len(buffer) < end:
            return None
        content = bytes(buffer[start:end])
        del buffer[:end]
        return kind, is_final, content

    def _check(self, kind: int, *, is_final: bool, size: int) -> None:
        if self._buffer[0] & _RESERVED or self._buffer[1] & _MASKED or kind not in _KNOWN:
            raise FrameError(PROTOCOL_ERROR, "a frame with reserved bits, with a mask, or of an unknown kind")
        if kind in (CLOSE, PING, PONG):
            if not is_final or size > _MOST_OF_CONTROL:
                raise FrameError(PROTOCOL_ERROR, "a control frame that is too long, or in parts")
        elif (kind == CONTINUED) != (self._kind != CONTINUED):
            raise FrameError(PROTOCOL_ERROR, "a message that begins within another, or continues none")
