"""Is there a path that both globs match? Decided exactly, with the path as the proof (PART-1).

Two product automata, one inside the other: segments of the two patterns, and characters of the two segments.
Each visits a pair of positions once, so the work is the product of the lengths, whatever the stars.
"""

from __future__ import annotations

import string
import unicodedata
from collections import deque
from functools import cache, lru_cache
from itertools import islice

from aegis_tui.domain.glob import (
    ANY_CHAR,
    ANY_SEGMENT,
    GLOBSTAR,
    STAR,
    CharSet,
    Glob,
    Pattern,
    Ranges,
    Segment,
    Token,
    compile_glob,
    merge_ranges,
    prepare,
    subtract_ranges,
)

_READABLE = string.ascii_lowercase + string.digits + string.ascii_uppercase + "_-"
_DOTS = ("", ".", "..")
"""Texts that are no segment name: a segment may pass through them but not end there."""

_SAMPLE = 64
"""How many characters of each range are looked at for a printable one."""

_NORMALIZED_BELOW = 0x30000
"""No character from here on combines, decomposes or has case."""


def overlap(a: Glob | str, b: Glob | str, *, ignore_case: bool = False) -> str | None:
    """A path that both globs match, or None when there is none; short and readable where there is a choice.

    Args:
        a: One glob, compiled or as text.
        b: The other.
        ignore_case: Compare case-folded; also on when either glob was compiled so.

    Raises:
        Refused: code `glob`, when a text is not a glob.

    Source: PART-1.
    """
    a = compile_glob(a) if isinstance(a, str) else a
    b = compile_glob(b) if isinstance(b, str) else b
    if ignore_case or a.ignore_case or b.ignore_case:
        a, b = a.folded(), b.folded()
    for left in a.patterns:
        for right in b.patterns:
            if (witness := _pattern_witness(left, right)) is not None:
                return witness
    return None


def _pattern_witness(a: Pattern, b: Pattern) -> str | None:
    for left, right in zip(a, b, strict=False):
        if left.literal is None or right.literal is None:
            break
        if left.literal != right.literal:
            return None
    if _segment_witness(a[-1], b[-1]) is None:
        return None
    return _path_witness(a, b)


def _path_witness(a: Pattern, b: Pattern) -> str | None:
    """Breadth first over pairs of positions, so the path has as few segments as can be."""
    queue: deque[tuple[int, int, tuple[str, ...]]] = deque([(0, 0, ())])
    seen: set[tuple[int, int]] = set()
    while queue:
        i, j, names = queue.popleft()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(a) or j == len(b):
            if i == len(a) and j == len(b):
                return "/".join(names)
            continue  # what is left of the other one ends in a segment, so it wants at least one more
        a_stays, b_stays = a[i] is GLOBSTAR, b[j] is GLOBSTAR
        if a_stays:
            queue.appendleft((i + 1, j, names))
        if b_stays:
            queue.appendleft((i, j + 1, names))
        if a_stays and b_stays:
            continue
        name = _segment_witness(ANY_SEGMENT if a_stays else a[i], ANY_SEGMENT if b_stays else b[j])
        if name is not None:
            queue.append((i + (not a_stays), j + (not b_stays), (*names, name)))
    return None


@lru_cache(maxsize=8192)
def _segment_witness(a: Segment, b: Segment) -> str | None:
    """A segment name that both match, in the form paths are compared in."""
    for one, other in ((a, b), (b, a)):
        if one.literal is not None:
            return one.literal if other.matches(one.literal) else None
    shortest = _search(a.tokens, b.tokens)
    if shortest is None:
        return None
    ignore_case = a.ignore_case or b.ignore_case
    for name in (_search(_filled(a.tokens), _filled(b.tokens)), shortest):
        if name is not None and prepare(name, ignore_case=ignore_case) == name:
            return name
    return _search(a.tokens, b.tokens, is_careful=True, ignore_case=ignore_case)


def _filled(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The pattern with every star standing for one character or more: `a.py` reads better than `.py`."""
    return tuple(part for token in tokens for part in ((ANY_CHAR, STAR) if token is STAR else (token,)))


def _search(
    a: tuple[Token, ...], b: tuple[Token, ...], *, is_careful: bool = False, ignore_case: bool = False
) -> str | None:
    """A common name, the shortest unless careful. One character a step is enough where NFC leaves every name as it is.

    Args:
        a: Tokens of one segment.
        b: Tokens of the other.
        is_careful: Try each character that its neighbours may combine with, and keep only names that `prepare` leaves
            as they are.
        ignore_case: How `prepare` compares.
    """
    queue: deque[tuple[int, int, str]] = deque([(0, 0, "")])
    seen: set[tuple[int, int, str]] = set()
    while queue:
        i, j, name = queue.popleft()
        state = (i, j, _tail(name, is_careful))
        if state in seen or (is_careful and prepare(name, ignore_case=ignore_case) != name):
            continue
        seen.add(state)
        if i == len(a) and j == len(b) and name not in _DOTS:
            return name
        later: list[tuple[int, int, str]] = []
        if i < len(a) and j < len(b):
            step = (i + (a[i] is not STAR), j + (b[j] is not STAR))
            chars = _deciding_chars(a[i], b[j], ignore_case) if is_careful else _common_char(a[i], b[j])
            later = [(*step, name + char) for char in chars]
        if is_careful:
            queue.extendleft(reversed(later))
        else:
            queue.extend(later)
        if j < len(b) and b[j] is STAR:
            queue.appendleft((i, j + 1, name))
        if i < len(a) and a[i] is STAR:
            queue.appendleft((i + 1, j, name))
    return None


def _tail(name: str, is_careful: bool) -> str:
    """What later steps may depend on: whether the name is only dots and, when careful, what may still combine.

    A mark that is put behind a name in NFC combines with its last starter or not, by that starter and by the class of
    the last mark alone (Unicode Standard Annex 15).
    """
    if name in _DOTS:
        return name
    if not is_careful:
        return "x"
    starter = next((char for char in reversed(name) if unicodedata.combining(char) == 0), "")
    return f"x{starter}{unicodedata.combining(name[-1])}"


@lru_cache(maxsize=1024)
def _common_char(a: Token, b: Token) -> str:
    """The most readable character that both tokens accept, `.` late; empty when there is none."""
    if isinstance(a, str) or isinstance(b, str):
        char, other = (a, b) if isinstance(a, str) else (str(b), a)
        return char if other is STAR or other == char or (isinstance(other, CharSet) and char in other) else ""
    left, right = CharSet(_ranges_of(a)), CharSet(_ranges_of(b))
    readable = next((char for char in _READABLE if char in left and char in right), "")
    return readable or _most_readable(_intersection(left.ranges, right.ranges))


@lru_cache(maxsize=1024)
def _deciding_chars(a: Token, b: Token, ignore_case: bool) -> str:
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
