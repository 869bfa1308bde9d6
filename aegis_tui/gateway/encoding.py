"""Unpacks answers that a server compressed although the gateway asks it not to.

Some reverse proxies compress whatever passes. The gateway counts tokens and watches for the end of a stream, so it has
to read what it passes on, and clients are told no encoding.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from aegis_tui.domain.prompt import inert
from aegis_tui.errors import ModelMalformed

_PIECE_BYTES = 256 * 1024
"""A compressed chunk can hold a thousand times its size: it is unpacked in pieces, each counted by who reads them."""
_EITHER_HEADER = zlib.MAX_WBITS | 32
"""Takes the header of gzip and that of zlib, which `deflate` stands for (RFC 9110, 8.4.1.2)."""


async def unpacked(chunks: AsyncIterator[bytes], encoding: bytes, base_url: str) -> AsyncIterator[bytes]:
    """The bytes behind a Content-Encoding, as they come.

    Args:
        chunks: The body as it came.
        encoding: The header's value; empty when absent.
        base_url: Of the server, for messages.

    Raises:
        ModelMalformed: An encoding that is not known, or bytes that are not in it.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        async for chunk in chunks:
            yield chunk
        return
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ModelMalformed(f"the model server at {base_url} sent an answer in the encoding {inert(name)[:40]!r}")
    decoder = zlib.decompressobj(_EITHER_HEADER)
    try:
        async for chunk in chunks:
            rest = chunk
            while piece := decoder.decompress(rest, _PIECE_BYTES):
                yield piece
                rest = decoder.unconsumed_tail
    except zlib.error as error:
        raise ModelMalformed(f"the model server at {base_url} sent an answer that is not the {name} it says") from error
