"""Reads the bodies of HTTP/1.1 requests from the bytes of one connection, without changing them (RFC 9112).

What it cannot read it ignores until the end of the connection: it only watches.
"""

from __future__ import annotations

from collections.abc import Iterator

_MOST_HEAD_BYTES = 256 * 1024
_MOST_BODY_BYTES = 64 * 1024 * 1024


class RequestTap:
    """Watches one connection from its first byte."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._body = bytearray()
        self._is_lost = False
        self._length: int | None = None
        """Bytes that the present body lacks; None while the head, or the size of a chunk, is read."""
        self._is_chunked = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the connection; return the bodies of the requests that they complete, in order.

        Empty bodies are left out. Once something cannot be read as HTTP/1.1 or is too long, the result is always empty.
        """
        if self._is_lost:
            return []
        self._seen += data
        bodies = list(self._bodies())
        if (len(self._seen) > _MOST_HEAD_BYTES and self._length is None) or len(self._body) > _MOST_BODY_BYTES:
            self._lose()
        return bodies

    def _bodies(self) -> Iterator[bytes]:
        while not self._is_lost and (self._take_body() if self._length is not None else self._take_head()):
            if self._length is None and not self._is_chunked and self._body:
                yield bytes(self._body)
                self._body.clear()

    def _take_head(self) -> bool:
        """Read a request's head or the size of a chunk from the bytes so far; return whether it was complete.

        If it was not, no byte is used up. A head or size that cannot be read as HTTP/1.1 makes the tap ignore the
        connection.
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
        fields = dict(_fields(head))
        self._is_chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        length = fields.get(b"content-length", b"0")
        if not self._is_chunked and length.isdigit():
            self._length = int(length) or None
        elif not self._is_chunked:
            self._lose()
        return True

    def _start_chunk(self, line: bytes) -> None:
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            self._lose()
            return
        self._is_chunked = size > 0  # trailers are read as an empty head
        self._length = size or None

    def _take_body(self) -> bool:
        """Read what has come of the body or the chunk whose length is known; return whether it is complete now."""
        wanted = self._length or 0
        part = self._seen[:wanted]
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
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        yield name.strip().lower(), value.strip().lower()
