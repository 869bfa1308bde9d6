"""Reads HTTP/1.1 requests or answers from the bytes of one direction of a connection, without changing them (RFC 9112).

What it cannot read it ignores until the end of the connection: it only watches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

_MOST_HEAD_BYTES = 256 * 1024
_MOST_BODY_BYTES = 64 * 1024 * 1024
_LENGTH, _CHUNK_SIZE = re.compile(rb"[0-9]{1,18}"), re.compile(rb"[0-9A-Fa-f]{1,15}")


class HttpMessage(NamedTuple):
    """One HTTP request or answer, complete as far as it was read; its bytes are those of the connection."""

    start: bytes
    """Its first line without the line end: the method and target of a request, or the status of an answer."""
    fields: Mapping[bytes, bytes]
    """Its header fields, by lower-case name; of fields with the same name, the last."""
    body: bytes
    """Its body; empty if it has none, or if it is not kept."""
    size_bytes: int = 0
    """The length of its body, kept or not."""

    @property
    def status(self) -> int:
        """The status of an answer; 0 if it has none, as a request."""
        return status_of(self.start)


def status_of(start: bytes) -> int:
    """Return the status in the first line of an answer; 0 if there is none."""
    version, _, rest = start.partition(b" ")
    number = rest[:3]
    return int(number) if version.startswith(b"HTTP/") and number.isdigit() and len(number) == 3 else 0


class MessageTap:
    """Watches one direction of one connection from its first byte.

    Args:
        keeps: Takes the first line of a message; returns whether its body is kept. Without it, all are.
    """

    def __init__(self, keeps: Callable[[bytes], bool] | None = None) -> None:
        self._keeps = keeps
        self._seen = bytearray()
        self._start = b""
        self._fields: dict[bytes, bytes] = {}
        self._body = bytearray()
        self._size_bytes = 0
        self._is_kept = True
        self._is_lost = False
        self._length: int | None = None
        """Bytes that the present body lacks; None while the head, or the size of a chunk, is read."""
        self._is_chunked = False

    def feed(self, data: bytes) -> list[HttpMessage]:
        """Take the next bytes; return the messages that they complete, in order; may be empty.

        Trailers of a chunked message come as a message of their own, of status 0. Once something cannot be read as
        HTTP/1.1 or is too long, the result is always empty.
        """
        if self._is_lost:
            return []
        self._seen += data
        messages = list(self._messages())
        if (len(self._seen) > _MOST_HEAD_BYTES and self._length is None) or len(self._body) > _MOST_BODY_BYTES:
            self._lose()
        return messages

    def _messages(self) -> Iterator[HttpMessage]:
        while not self._is_lost and (self._take_body() if self._length is not None else self._take_head()):
            if self._length is None and not self._is_chunked and not self._is_lost:
                yield HttpMessage(self._start, self._fields, bytes(self._body), self._size_bytes)
                self._body.clear()

    def _take_head(self) -> bool:
        """Read a message's head or the size of a chunk from the bytes so far; return whether it was complete.

        If it was not, no byte is used up. A head or size that cannot be read as HTTP/1.1 counts as complete, and all
        further bytes of the connection are ignored.
        """
        if self._is_chunked:
            line = self._cut(b"\r\n")
            if line is None:
                return False
            if line == b"":  # the end of the chunk before
                return True
            self._start_chunk(line)
            return True
        head = self._cut(b"\r\n\r\n")
        if head is None:
            return False
        self._start_message(head)
        return True

    def _start_message(self, head: bytes) -> None:
        self._start, _, rest = head.lstrip(b"\r\n").partition(b"\r\n")
        self._fields = dict(_fields(rest))
        self._is_kept = self._keeps is None or self._keeps(self._start)
        self._size_bytes = 0
        status = status_of(self._start)
        if 100 <= status < 200 or status in (204, 304):  # these have no body, whatever their head says
            return
        self._is_chunked = b"chunked" in self._fields.get(b"transfer-encoding", b"").lower()
        length = self._fields.get(b"content-length", b"0")
        if not self._is_chunked and _LENGTH.fullmatch(length):
            self._length = int(length) or None
        elif not self._is_chunked:
            self._lose()

    def _start_chunk(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(digits):
            self._lose()
            return
        size = int(digits, 16)
        self._is_chunked = size > 0  # trailers are read as a head, of a message with status 0 and without a body
        self._length = size or None

    def _take_body(self) -> bool:
        """Read what has come of the body or the chunk whose length is known; return whether it is complete now."""
        wanted = self._length or 0
        part = self._seen[:wanted]
        self._size_bytes += len(part)
        if self._is_kept:
            self._body += part
        del self._seen[: len(part)]
        self._length = wanted - len(part) or None
        return self._length is None

    def _cut(self, mark: bytes) -> bytes | None:
        head, separator, rest = bytes(self._seen).partition(mark)
        if not separator:
            return None
        self._seen = bytearray(rest)
        return head

    def _lose(self) -> None:
        self._is_lost = True
        self._seen.clear()
        self._body.clear()


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        yield name.strip().lower(), value.strip()
