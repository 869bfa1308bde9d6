"""Vectors of symbols without a model: the letter groups of their words, hashed into the bits of one number (MEM-3).

Two texts are compared by the cosine of their bit vectors. Words that share their stem share most of their groups, so
`parser` is near `parse` and `parsing`, which a search for words does not find.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

DIMENSION: Final = 512
"""Bits of a vector."""

VECTOR_MODEL: Final = f"letters-{DIMENSION}"
"""The name stored with the vectors; it changes when equal texts get other vectors."""

_SIZE: Final = DIMENSION // 8
_GROUP: Final = 3


def vector_of(words: Iterable[str]) -> bytes:
    """Return a vector of `DIMENSION` bits, as bytes, in which each group of three letters of a word sets one bit.

    Words that share letters share bits. All zero for no words.

    Args:
        words: In lower case, such as `text.words_of` returns; their order and number have no effect.
    """
    bits = 0
    for word in words:
        bits |= _bits(word)
    return bits.to_bytes(_SIZE, "little")


@lru_cache(maxsize=65536)
def _bits(word: str) -> int:
    padded = f"<{word}>"
    bits = 0
    for at in range(max(len(padded) - _GROUP + 1, 1)):
        bits |= 1 << zlib.crc32(padded[at : at + _GROUP].encode("utf-8", "replace")) % DIMENSION
    return bits


def nearest(query: bytes, vectors: Iterable[tuple[int, bytes]], *, count: int, least: float = 0.2) -> list[int]:
    """Return the keys of the vectors nearest to `query`, the nearest first; equally near ones by their keys.

    Vectors that share no bit with it are left out, so the result may be empty.

    Args:
        query: A vector of `vector_of`.
        vectors: Pairs of key and vector.
        count: How many keys to return at most.
        least: The smallest cosine that counts, from 0 to 1.
    """
    wanted = int.from_bytes(query, "little")
    size = wanted.bit_count()
    scored: list[tuple[float, int]] = []
    for key, vector in vectors:
        bits = int.from_bytes(vector, "little")
        if common := (bits & wanted).bit_count():
            cosine = common / math.sqrt(size * bits.bit_count())
            if cosine >= least:
                scored.append((-cosine, key))
    return [key for _, key in sorted(scored)[:count]]
