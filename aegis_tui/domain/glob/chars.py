"""Characters that represent what two tokens of globs have in common: a readable one, or enough of them to decide."""

from __future__ import annotations

import string
import unicodedata
from functools import cache, lru_cache
from itertools import chain, islice

from aegis_tui.domain.glob.pattern import folded_ranges, prepare
from aegis_tui.domain.glob.token import ANY_CHAR, STAR, CharSet, Ranges, Token, merge_ranges, subtract_ranges

_READABLE = string.ascii_lowercase + string.digits + string.ascii_uppercase + "_-"

_FIRST_READABLE, _LAST_READABLE = ord(min(_READABLE)), ord(max(_READABLE))

_SAMPLE = 64
"""How many characters of each range are searched for a printable one."""

_CHANGING = (
    range(0x3400),
    range(0xA000, 0xAC00),
    range(0xD7A4, 0x17000),
    range(0x18D80, 0x20000),
    range(0x2F800, 0x2FA20),
)
"""Except for Hangul syllables, only characters in these ranges combine, decompose or have case (Unicode 17)."""


@lru_cache(maxsize=1024)
def common_char(a: Token, b: Token) -> str:
    """Return the most readable character that both tokens accept; empty if there is none.

    Letters and digits come first, a dot last. Of two stars or sets any character may be chosen; the result is cached.
    """
    if isinstance(a, str) or isinstance(b, str):
        char, other = (a, b) if isinstance(a, str) else (str(b), a)
        return char if other is STAR or other == char or (isinstance(other, CharSet) and char in other) else ""
    return _most_readable(_intersection(_ranges_of(a), _ranges_of(b)))


@lru_cache(maxsize=1024)
def deciding_chars(a: Token, b: Token, ignore_case: bool) -> str:
    """Return characters that both tokens accept: enough to decide whether there is a common name in prepared form.

    `prepare` brings a name into that form: NFC and, with `ignore_case`, case-folded. A character that never combines
    with a neighbour and stays as it is can represent all others, so one is enough. Where there is no such character,
    all that can be in a prepared name are returned, the most readable first; empty if there is none.
    """
    ranges = _intersection(_ranges_of(a), _ranges_of(b))
    if inert := subtract_ranges(ranges, _special_ranges(ignore_case)):
        return _most_readable(inert)
    left = subtract_ranges(_intersection(ranges, _joining_ranges()), _changed_ranges(ignore_case=ignore_case))
    return "".join(sorted((chr(code) for low, high in left for code in range(low, high + 1)), key=_oddness))


def _most_readable(ranges: Ranges) -> str:
    within = CharSet(ranges)
    may_be = any(low <= _LAST_READABLE and high >= _FIRST_READABLE for low, high in ranges[:_SAMPLE])
    readable = next((char for char in _READABLE if char in within), "") if may_be else ""
    sampled = (chr(code) for low, high in ranges for code in islice(range(low, high + 1), _SAMPLE))
    return readable or min(sampled, key=_oddness, default="")


def _ranges_of(token: Token) -> Ranges:
    if isinstance(token, str):
        return ((ord(token), ord(token)),)
    return token.ranges if isinstance(token, CharSet) else ANY_CHAR.ranges


@cache
def _active_ranges() -> Ranges:
    """Return the ranges of the characters that may combine with a neighbour, or change places with it, in NFC.

    Cached.
    """
    active: set[int] = set(range(_L_FIRST, _T_LAST + 1)) | set(range(_LV_FIRST, _LV_LAST + 1, _T_COUNT))
    for char in map(chr, chain(*_CHANGING)):
        if unicodedata.combining(char):
            active.add(ord(char))
        parts = unicodedata.decomposition(char)
        if parts and not parts.startswith("<"):
            active |= {ord(char), *(int(part, 16) for part in parts.split())}
    return merge_ranges((code, code) for code in active)


_DOT = ord(".")
_L_FIRST, _T_LAST = 0x1100, 0x11FF
_LV_FIRST, _LV_LAST, _T_COUNT = 0xAC00, 0xD7A3, 28
"""Hangul jamo and syllables without a final consonant: Unicode combines these by arithmetic, not by a table."""


@cache
def _changed_ranges(*, ignore_case: bool) -> Ranges:
    """Return the ranges of the characters that `prepare` replaces, so that no prepared name has them; cached.

    With `ignore_case` those that case folding replaces are among them.
    """
    if ignore_case:
        return merge_ranges((*_changed_ranges(ignore_case=False), *folded_ranges()))
    every = map(chr, chain(*_CHANGING))
    return merge_ranges((ord(char), ord(char)) for char in every if prepare(char) != char)


@cache
def _joining_ranges() -> Ranges:
    return merge_ranges((*_active_ranges(), (_DOT, _DOT)))


@cache
def _special_ranges(ignore_case: bool) -> Ranges:
    """Return the characters that cannot represent all others: the dot, and any that may combine or is replaced."""
    return merge_ranges((*_joining_ranges(), *_changed_ranges(ignore_case=ignore_case)))


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
