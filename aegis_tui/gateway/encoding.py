"""Decompresses answers that a server compressed although the gateway asked it not to.

Some reverse proxies compress everything. The gateway must read what it passes on, because it counts tokens and watches
for the end of a stream; its clients always get uncompressed bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from aegis_tui.domain.prompt import inert
from aegis_tui.errors import ModelMalformed

_PIECE_BYTES = 256 * 1024
"""Limit of one decompressed part: a chunk can expand a thousandfold, and the reader limits the sum of the parts."""
_EITHER_HEADER = zlib.MAX_WBITS | 32
"""Accept both the gzip header and the zlib header; `deflate` means the latter (RFC 9110, 8.4.1.2)."""


async def unpacked(chunks: AsyncIterator[bytes], encoding: bytes, base_url: str) -> AsyncIterator[bytes]:
    """Yield the body without its Content-Encoding, as it arrives.

    A compressed body that ends too early is not noticed: what could be decompressed is yielded. Errors of `chunks` are
    passed on.

    Args:
        chunks: The body as it was received.
        encoding: The value of the Content-Encoding header: `gzip`, `x-gzip` or `deflate`; empty or `identity` if the
            body is not encoded.
        base_url: The server's base URL, for messages.

    Raises:
        ModelMalformed: The encoding is another one or several, or the body is not valid in it.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        async for chunk in chunks:
            yield chunk
        return
    if name not in ("gzip", "x-gzip", "deflate"):
        words = f"sent an answer in an encoding that is not supported: {inert(name)[:40]!r}"
        raise ModelMalformed(f"the model server at {base_url} {words}")
    decoder = zlib.decompressobj(_EITHER_HEADER)
    try:
        async for chunk in chunks:
            rest = chunk
            while piece := decoder.decompress(rest, _PIECE_BYTES):
                yield piece
                rest = decoder.unconsumed_tail
    except zlib.error as error:
        raise ModelMalformed(f"the model server at {base_url} sent an answer that is not valid {name}") from error
