"""Translates globs to extended regular expressions over UTF-8 bytes, for hooks that have `awk` but no Python (PART-3).

Where a byte pattern cannot express the whole glob, it matches less, so that the hook refuses.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache

from aegis_tui.domain.glob.pattern import ANY_SEGMENT, GLOBSTAR, Glob, Pattern, Segment, prepare
from aegis_tui.domain.glob.token import STAR, CharSet, Token

Range = tuple[int, int]

_META = frozenset(b".[()*+?|^$\\")
_BRACKET_SPECIAL = tuple(sorted(b"[]^-\\"))
_LAST_CASED = 0x1E944
_SURROGATES: Range = (0xD800, 0xDFFF)
_UTF8_LENGTH_ENDS = (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)
_CONTINUATION: Range = (0x80, 0xBF)


def glob_to_ere(glob: Glob) -> bytes:
    """Return the anchored expression for the C locale that matches what the glob matches, or less, never more.

    Literal text is matched in composed and in decomposed Unicode form. A path in mixed form is not matched, nor a
    decomposed character where the glob has a wildcard for one character.
    """
    return b"^(" + b"|".join(_pattern(pattern, glob.ignore_case) for pattern in glob.patterns) + b")$"


def _pattern(pattern: Pattern, ignore_case: bool) -> bytes:
    parts: list[bytes] = []
    for index, segment in enumerate(pattern):
        if segment is GLOBSTAR:
            parts.append(b"([^/]+/)*")
        else:
            parts.append(_segment(segment, ignore_case) + (b"" if index == len(pattern) - 1 else b"/"))
    return b"".join(parts)


def _segment(segment: Segment, ignore_case: bool) -> bytes:
    if segment is ANY_SEGMENT:
        return b"[^/]+"
    return b"".join(_token(token, ignore_case) for token in segment.tokens)


def _token(token: Token, ignore_case: bool) -> bytes:
    if token is STAR:
        return b"[^/]*"
    if isinstance(token, CharSet):
        ranges = _with_cases(token.ranges) if ignore_case else list(token.ranges)
        return _group(_byte_patterns(ranges))
    char = str(token)
    chars = sorted({char, *_preimages().get(char, ())}) if ignore_case else [char]
    forms = dict.fromkeys(form for one in chars for form in (one, unicodedata.normalize("NFD", one)))
    return _group([b"".join(_byte(value) for value in form.encode("utf-8", "surrogateescape")) for form in forms])


def _group(choices: list[bytes]) -> bytes:
    return choices[0] if len(choices) == 1 else b"(" + b"|".join(choices) + b")"


@cache
def _preimages() -> dict[str, tuple[str, ...]]:
    """Return for each case-folded character the characters that fold to it."""
    preimages: dict[str, list[str]] = {}
    for char in map(chr, range(_LAST_CASED)):
        folded = prepare(char, ignore_case=True)
        if folded != char:
            preimages.setdefault(folded, []).append(char)
    return {folded: tuple(chars) for folded, chars in preimages.items()}


def _with_cases(ranges: tuple[Range, ...]) -> list[Range]:
    members = CharSet(ranges)
    cased = [
        ord(char)
        for folded, chars in _preimages().items()
        if len(folded) == 1 and folded in members
        for char in chars
        if char not in members
    ]
    return [*ranges, *((code, code) for code in cased)]


def _byte_patterns(ranges: list[Range]) -> list[bytes]:
    return [
        b"".join(_byte_class(low, high) for low, high in sequence)
        for low, high in ranges
        for sequence in _utf8_sequences(low, high)
    ]


def _utf8_sequences(low: int, high: int) -> Iterator[list[Range]]:
    """Yield sequences of byte ranges that together encode exactly the code points `low` to `high`.

    Surrogates, which have no encoding, are left out.
    """
    for start, end in _without_surrogates(low, high):
        for first, last in _split_by_length(start, end):
            yield from _same_length(list(chr(first).encode()), list(chr(last).encode()))


def _without_surrogates(low: int, high: int) -> Iterator[Range]:
    if low < _SURROGATES[0]:
        yield low, min(high, _SURROGATES[0] - 1)
    if high > _SURROGATES[1]:
        yield max(low, _SURROGATES[1] + 1), high


def _split_by_length(low: int, high: int) -> Iterator[Range]:
    for end in _UTF8_LENGTH_ENDS:
        if low <= min(high, end):
            yield low, min(high, end)
            low = end + 1


def _same_length(low: list[int], high: list[int]) -> Iterator[list[Range]]:
    """Yield sequences of byte ranges that together match exactly the encodings from `low` to `high`.

    Both are the UTF-8 bytes of a character and have the same length.
    """
    if len(low) == 1:
        yield [(low[0], high[0])]
        return
    floor, ceiling = [_CONTINUATION[0]] * (len(low) - 1), [_CONTINUATION[1]] * (len(low) - 1)
    if low[0] == high[0]:
        for rest in _same_length(low[1:], high[1:]):
            yield [(low[0], low[0]), *rest]
        return
    first, last = low[0], high[0]
    if low[1:] != floor:
        for rest in _same_length(low[1:], ceiling):
            yield [(first, first), *rest]
        first += 1
    if high[1:] != ceiling:
        for rest in _same_length(floor, high[1:]):
            yield [(last, last), *rest]
        last -= 1
    if first <= last:
        yield [(first, last), *([_CONTINUATION] * len(floor))]


def _byte_class(low: int, high: int) -> bytes:
    """Return an expression that matches one byte from `low` to `high`.

    Characters that are special in brackets are written outside them.
    """
    choices = [_byte(special) for special in _BRACKET_SPECIAL if low <= special <= high]
    start = low
    for stop in [*(special for special in _BRACKET_SPECIAL if low <= special <= high), high + 1]:
        if start == stop - 1:
            choices.append(_byte(start))
        elif start < stop:
            choices.append(b"[%c-%c]" % (start, stop - 1))
        start = stop + 1
    return _group(choices)


def _byte(value: int) -> bytes:
    if value in b"{}":
        return b"[%c]" % value
    return b"\\%c" % value if value in _META else b"%c" % value
