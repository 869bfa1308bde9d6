"""Which characters stand for all that two tokens of globs have in common: a readable one, and enough to decide."""

from __future__ import annotations

import string
import unicodedata
from functools import cache, lru_cache
from itertools import islice

from aegis_tui.domain.glob import prepare
from aegis_tui.domain.glob_token import ANY_CHAR, STAR, CharSet, Ranges, Token, merge_ranges, subtract_ranges

_READABLE = string.ascii_lowercase + string.digits + string.ascii_uppercase + "_-"

_SAMPLE = 64
"""How many characters of each range are looked at for a printable one."""

_NORMALIZED_BELOW = 0x30000
"""No character from here on combines, decomposes or has case."""


@lru_cache(maxsize=1024)
def common_char(a: Token, b: Token) -> str:
    """The most readable character that both tokens accept, `.` late; empty when there is none."""
    if isinstance(a, str) or isinstance(b, str):
        char, other = (a, b) if isinstance(a, str) else (str(b), a)
        return char if other is STAR or other == char or (isinstance(other, CharSet) and char in other) else ""
    left, right = CharSet(_ranges_of(a)), CharSet(_ranges_of(b))
    readable = next((char for char in _READABLE if char in left and char in right), "")
    return readable or _most_readable(_intersection(left.ranges, right.ranges))


@lru_cache(maxsize=1024)
def deciding_chars(a: Token, b: Token, ignore_case: bool) -> str:
    """Enough of the characters both tokens accept to decide whether there is a name that `prepare` leaves as it is.

    A character that combines with nothing, on neither side, can stand for every other, so one is enough. Where there
    is none, these are all that can be in such a name.
    """
    ranges = _intersection(_ranges_of(a), _ranges_of(b))
    active = _active_ranges()
    changed = _changed_ranges(ignore_case)
    if inert := subtract_ranges(ranges, merge_ranges((*active, *changed, (_DOT, _DOT)))):
        return _most_readable(inert)
    left = subtract_ranges(_intersection(ranges, merge_ranges((*active, (_DOT, _DOT)))), changed)
    return "".join(sorted((chr(code) for low, high in left for code in range(low, high + 1)), key=_oddness))


def _most_readable(ranges: Ranges) -> str:
    within = CharSet(ranges)
    readable = next((char for char in _READABLE if char in within), "")
    sampled = (chr(code) for low, high in ranges for code in islice(range(low, high + 1), _SAMPLE))
    return readable or min(sampled, key=_oddness, default="")


def _ranges_of(token: Token) -> Ranges:
    if isinstance(token, str):
        return ((ord(token), ord(token)),)
    return token.ranges if isinstance(token, CharSet) else ANY_CHAR.ranges


@cache
def _active_ranges() -> Ranges:
    """Characters that may combine with a neighbour or change places with it: marks, and what a mark can go on."""
    active: set[int] = set(range(_L_FIRST, _T_LAST + 1)) | set(range(_LV_FIRST, _LV_LAST + 1, _T_COUNT))
    for char in map(chr, range(_NORMALIZED_BELOW)):
        if unicodedata.combining(char):
            active.add(ord(char))
        parts = unicodedata.decomposition(char)
        if parts and not parts.startswith("<"):
            active |= {ord(char), *(int(part, 16) for part in parts.split())}
    return merge_ranges((code, code) for code in active)


_DOT = ord(".")
_L_FIRST, _T_LAST = 0x1100, 0x11FF
_LV_FIRST, _LV_LAST, _T_COUNT = 0xAC00, 0xD7A3, 28
"""Hangul jamo and syllables without a final consonant: these are composed by arithmetic, not by a table."""


@cache
def _changed_ranges(ignore_case: bool) -> Ranges:
    """Characters that no prepared name has."""
    every = map(chr, range(_NORMALIZED_BELOW))
    return merge_ranges((ord(char), ord(char)) for char in every if prepare(char, ignore_case=ignore_case) != char)


def _intersection(a: Ranges, b: Ranges) -> Ranges:
    common: list[tuple[int, int]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            common.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(common)


def _oddness(char: str) -> tuple[bool, bool, bool]:
    is_stable = unicodedata.combining(char) == 0 and unicodedata.is_normalized("NFC", char)
    return char == ".", not char.isprintable(), not is_stable
