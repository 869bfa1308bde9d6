"""Is there a path that both globs match? Decided exactly, with the path as the proof (PART-1).

Two product automata, one inside the other: segments of the two patterns, and characters of the two segments.
Each visits a pair of positions once, so the work is the product of the lengths, whatever the stars.
"""

from __future__ import annotations

import string
import unicodedata
from collections import deque
from functools import lru_cache
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
    prepare,
)

_READABLE = string.ascii_lowercase + string.digits + string.ascii_uppercase + "_-"
_DOTS = ("", ".", "..")
"""Texts that are no segment name: a segment may pass through them but not end there."""

_SAMPLE = 64
"""How many characters of each range the careful search tries, where most of a range would not stay in NFC."""


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


@lru_cache(maxsize=65536)
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
    """The shortest common name. One character a step is enough, unless the choice decides whether NFC changes the name.

    Args:
        a: Tokens of one segment.
        b: Tokens of the other.
        is_careful: Try many characters a step and keep only names that `prepare` leaves as they are.
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
        if i < len(a) and a[i] is STAR:
            queue.appendleft((i + 1, j, name))
        if j < len(b) and b[j] is STAR:
            queue.appendleft((i, j + 1, name))
        if i < len(a) and j < len(b):
            step = (i + (a[i] is not STAR), j + (b[j] is not STAR))
            chars = _common_chars(a[i], b[j])
            queue.extend((*step, name + char) for char in (chars if is_careful else chars[:1]))
    return None


def _tail(name: str, is_careful: bool) -> str:
    """What later steps may depend on: whether the name is only dots, and its last character when careful."""
    if name in _DOTS:
        return name
    return "x" + name[-1] if is_careful else "x"


@lru_cache(maxsize=16384)
def _common_chars(a: Token, b: Token) -> str:
    """Characters both tokens accept, the most readable first and `.` late; all of them when they are few."""
    if isinstance(a, str) or isinstance(b, str):
        char, other = (a, b) if isinstance(a, str) else (str(b), a)
        return char if other is STAR or other == char or (isinstance(other, CharSet) and char in other) else ""
    left = a if isinstance(a, CharSet) else ANY_CHAR
    right = b if isinstance(b, CharSet) else ANY_CHAR
    common = CharSet(_intersection(left.ranges, right.ranges))
    sampled = [chr(code) for low, high in common.ranges for code in islice(range(low, high + 1), _SAMPLE)]
    return "".join(dict.fromkeys([*(char for char in _READABLE if char in common), *sorted(sampled, key=_oddness)]))


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
