"""Decide exactly whether there is a path that two globs both match, and return that path as the proof (PART-1).

Two product automata, one inside the other: segments of the two patterns, and characters of the two segments. Whether
two segments have a common name is decided for whole rows of positions at once (`bits`); only then a name is searched.
The cost is counted (`effort`): the same globs cost the same, whatever was compared before.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from functools import lru_cache

from aegis_tui.domain.effort import MOST_STEPS, Effort
from aegis_tui.domain.glob.bits import bits_of
from aegis_tui.domain.glob.chars import common_char, deciding_chars
from aegis_tui.domain.glob.cost import compile_within
from aegis_tui.domain.glob.pattern import ANY_SEGMENT, GLOBSTAR, Glob, Pattern, Segment, prepare
from aegis_tui.domain.glob.token import ANY_CHAR, STAR, CharSet, Token

_DOTS = ("", ".", "..")
"""Texts that are not a segment name: a longer name may begin with them."""


def overlap(a: Glob | str, b: Glob | str, *, ignore_case: bool = False, effort: Effort | None = None) -> str | None:
    """Return a path that both globs match, short and readable where there is a choice; None when there is none.

    Args:
        a: One glob, compiled or as text.
        b: The other.
        ignore_case: Compare case-folded; implied when either glob was compiled so.
        effort: What the whole request may still cost; None allows this pair the budget of a whole request.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.

    Source: PART-1.
    """
    effort = Effort() if effort is None else effort
    a = compile_within(a, effort) if isinstance(a, str) else a
    b = compile_within(b, effort) if isinstance(b, str) else b
    if ignore_case or a.ignore_case or b.ignore_case:
        a, b = a.folded(), b.folded()
    for left in a.patterns:
        for right in b.patterns:
            witness, steps = (None, 0) if _part_at_once(left, right) else _pattern_witness(left, right)
            effort.spend(_PAIR_STEPS + steps, a.text, b.text)
            if witness is not None:
                return witness
    return None


_MOST_FOR_A_PAIR = MOST_STEPS // 2
"""Steps after which a search is given up, so that a request ends soon after it has used up its budget."""

_CAREFUL_TIMES = 4
_GLANCE = 16
"""How many segments are compared before anything else."""

_PAIR_STEPS = 8
_ROW_STEPS = 2
_STATE_STEPS = 6
_RANGES_A_STEP = 4
"""Costs in steps of half a microsecond: measured, and rounded up."""

_SMALL = 4_096
"""If the product of two segments' lengths is at most this, the most readable common name is searched; else any."""


class _TooMuchError(Exception):
    """A search has cost as much as one pair of globs may."""


class _Meter:
    """The cost of one comparison so far, in steps."""

    __slots__ = ("_compared", "steps")

    def __init__(self, steps: int = 0) -> None:
        self.steps = steps
        self._compared: set[tuple[Segment, Segment]] | None = None

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps >= _MOST_FOR_A_PAIR:
            raise _TooMuchError

    def common_name(self, one: Segment, other: Segment) -> str | None:
        """Return a name that both segments match, or None; charges for the search, once for each pair.

        Raises _TooMuchError when the comparison has cost as much as it may.
        """
        name, steps = _segment_witness(one, other)
        pair = one, other
        if self._compared is None:
            self._compared = {pair}
            self.spend(steps)
        else:
            self.spend(1 if pair in self._compared else steps)
            self._compared.add(pair)
        return name


def _part_at_once(a: Pattern, b: Pattern) -> bool:
    """Return whether the first or last segments alone show that no path matches both; False leaves that open."""
    for left, right in zip(a if len(a) <= _GLANCE else a[:_GLANCE], b, strict=False):
        one, other = left.literal, right.literal
        if one is not None and other is not None:
            if one != other:
                return True
        elif left is GLOBSTAR or right is GLOBSTAR:
            break
        elif _differ(left, right):
            return True
    return _differ(a[-1], b[-1])


def _differ(a: Segment, b: Segment) -> bool:
    """Return whether the texts before the first wildcard, or after the last, show that no name matches both segments.

    False leaves that open, unless both segments have no wildcard.
    """
    if a.literal is not None and b.literal is not None:
        return a.literal != b.literal
    if a.head and b.head and not (a.head.startswith(b.head) or b.head.startswith(a.head)):
        return True
    return bool(a.tail and b.tail) and not (a.tail.endswith(b.tail) or b.tail.endswith(a.tail))


@lru_cache(maxsize=16384)
def _pattern_witness(a: Pattern, b: Pattern) -> tuple[str | None, int]:
    """Return a path that both patterns match, or None, and what the search cost in steps.

    If the cost is over `MOST_STEPS`, the search was given up, and None decides nothing. Cached for more pairs than one
    request can pay for, so that pairs that were compared before take no time.
    """
    meter = _Meter()
    try:
        return _path_witness(a, b, meter), meter.steps
    except _TooMuchError:
        return None, MOST_STEPS + 1


_Place = tuple[int, int]


def _path_witness(a: Pattern, b: Pattern, meter: _Meter) -> str | None:
    """Return a path of the fewest segments that both match, or None. Raises _TooMuchError when that costs too much."""
    in_a, in_b = a.count(GLOBSTAR), b.count(GLOBSTAR)
    if in_a + in_b > 1:
        names = None if meter.common_name(a[-1], b[-1]) is None else _searched_names(a, b, meter)
    else:
        names = _names_beside(_filled_to(a, len(b)) if in_a else a, _filled_to(b, len(a)) if in_b else b, meter)
    return None if names is None else "/".join(names)


def _filled_to(pattern: Pattern, size: int) -> Pattern:
    """Return the pattern with its only `**` replaced by as many any-segments, maybe none, as make it `size` long.

    A pattern that is too long even without it comes back longer than `size`.
    """
    at = pattern.index(GLOBSTAR)
    return pattern[:at] + (ANY_SEGMENT,) * (size - len(pattern) + 1) + pattern[at + 1 :]


def _names_beside(a: Pattern, b: Pattern, meter: _Meter) -> list[str] | None:
    """Return a name for each pair of segments of patterns without `**`; None if a pair has none or the lengths differ.

    Raises _TooMuchError when the search costs too much.
    """
    if len(a) != len(b):
        return None
    meter.spend(_STATE_STEPS * len(a))
    names: list[str] = []
    for left, right in zip(a, b, strict=True):
        name = right.literal if left is ANY_SEGMENT else left.literal
        if name is None or (name != right.literal and right is not ANY_SEGMENT):
            name = meter.common_name(left, right)
        if name is None:
            return None
        names.append(name)
    return names


def _searched_names(a: Pattern, b: Pattern, meter: _Meter) -> list[str] | None:
    """Return the names of a path of the fewest segments that both match, or None; searches all pairs of positions.

    Raises _TooMuchError when the search costs too much.
    """
    queue: deque[tuple[_Place, _Place | None, str]] = deque([((0, 0), None, "")])
    came: dict[_Place, tuple[_Place | None, str]] = {}
    while queue:
        place, before, name = queue.popleft()
        if place in came:
            continue
        came[place] = before, name
        meter.spend(_STATE_STEPS)
        i, j = place
        if i == len(a) or j == len(b):
            if i == len(a) and j == len(b):
                return _path_to(place, came)
            continue  # the rest of the other one ends in a segment, so it needs at least one more
        a_stays, b_stays = a[i] is GLOBSTAR, b[j] is GLOBSTAR
        if a_stays:
            queue.appendleft(((i + 1, j), place, ""))
        if b_stays:
            queue.appendleft(((i, j + 1), place, ""))
        if a_stays and b_stays:
            continue
        common = meter.common_name(ANY_SEGMENT if a_stays else a[i], ANY_SEGMENT if b_stays else b[j])
        if common is not None:
            queue.append(((i + (not a_stays), j + (not b_stays)), place, common))
    return None


def _path_to(place: _Place, came: dict[_Place, tuple[_Place | None, str]]) -> list[str]:
    names: list[str] = []
    at: _Place | None = place
    while at is not None:
        at, name = came[at]
        names += [name] if name else []
    return names[::-1]


@lru_cache(maxsize=8192)
def _segment_witness(a: Segment, b: Segment) -> tuple[str | None, int]:
    """Return a segment name that both match, in the form of `prepare`, or None, and the cost in steps.

    If the cost is over `MOST_STEPS`, the search was given up, and None decides nothing.
    """
    if _differ(a, b):
        return None, 1
    for one, other in ((a, b), (b, a)):
        if one.literal is not None:
            return (one.literal if other.matches(one.literal) else None), 1 + len(other.tokens)
    bits = bits_of(b.tokens)
    ways = bits.ways_to_end(a.tokens)
    meter = _Meter(1 + _ROW_STEPS * len(a.tokens) + len(b.tokens) + bits.lookup_steps(a.tokens))
    if (start := _first_way(a.tokens, b.tokens, ways)) is None:
        return None, meter.steps
    try:
        return _common_name(a, b, ways, start, meter), meter.steps
    except _TooMuchError:
        return None, MOST_STEPS + 1


def _common_name(a: Segment, b: Segment, ways: list[int], start: _Start, meter: _Meter) -> str | None:
    """Return a name that both segments match and that `prepare` leaves unchanged; None if there is none.

    Args:
        a: One segment.
        b: The other; the two must have a common name, prepared or not.
        ways: The result of `ways_to_end`: where both can still end with the same text.
        start: The result of `_first_way`.
        meter: Charged for each step; raises _TooMuchError when there are too many.
    """
    ignore_case = a.ignore_case or b.ignore_case
    if len(a.tokens) * len(b.tokens) <= _SMALL:
        shortest = _search(a.tokens, b.tokens, meter)
        names: tuple[str | None, ...] = (_search(_filled(a.tokens), _filled(b.tokens), meter), shortest)
    else:
        names = (_any_name(a.tokens, b.tokens, ways, start, meter),)
    for name in names:
        if name is not None and prepare(name, ignore_case=ignore_case) == name:
            return name
    return _search(a.tokens, b.tokens, meter, is_careful=True, ignore_case=ignore_case)


_Start = tuple[int, int, str]
"""Positions in two segments, and the text that was read up to there, which is a valid start of a name."""


def _first_way(a: tuple[Token, ...], b: tuple[Token, ...], ways: list[int]) -> _Start | None:
    """Return a start from which both segments can end with a valid name; None when there is no such name.

    Only the first characters matter: a text that is neither empty nor one or two dots stays a valid name.

    Args:
        a: The tokens of one segment.
        b: Those of the other.
        ways: For each position in `a`, and its end, the positions in `b`, as bits, from which both can end alike.
    """
    queue: deque[_Start] = deque([(0, 0, "")])
    seen: set[_Start] = set()
    while queue:
        state = i, j, text = queue.popleft()
        if state in seen or not ways[i] >> j & 1:
            continue
        seen.add(state)
        if text not in _DOTS:
            return state
        if i < len(a) and a[i] is STAR:
            queue.append((i + 1, j, text))
        if j < len(b) and b[j] is STAR:
            queue.append((i, j + 1, text))
        if i < len(a) and j < len(b):
            step = (i + (a[i] is not STAR), j + (b[j] is not STAR))
            chars = {common_char(a[i], b[j]), "." if _takes_dot(a[i]) and _takes_dot(b[j]) else ""}
            queue.extend((*step, text + char) for char in sorted(chars, reverse=True) if char)
    return None


def _takes_dot(token: Token) -> bool:
    return token is STAR or (token == "." if isinstance(token, str) else isinstance(token, CharSet) and "." in token)


def _any_name(a: tuple[Token, ...], b: tuple[Token, ...], ways: list[int], start: _Start, meter: _Meter) -> str:
    """Return some name that both segments match, in one step for each position.

    Args:
        a: The tokens of one segment.
        b: Those of the other.
        ways: As `_first_way` takes it.
        start: The result of `_first_way`.
        meter: Charged for each step; raises _TooMuchError when there are too many.
    """
    i, j, text = start
    chars = [text]
    while i < len(a) or j < len(b):
        if i < len(a) and a[i] is STAR and ways[i + 1] >> j & 1:
            i += 1
        elif j < len(b) and b[j] is STAR and ways[i] >> (j + 1) & 1:
            j += 1
        else:
            meter.spend(_char_steps(a[i], b[j]))
            chars.append(common_char(a[i], b[j]))
            i, j = i + (a[i] is not STAR), j + (b[j] is not STAR)
    return "".join(chars)


def _char_steps(one: Token, other: Token) -> int:
    """Return the cost, in steps, of finding a character that both tokens accept."""
    if isinstance(one, CharSet) and isinstance(other, CharSet):
        return _STATE_STEPS + (len(one.ranges) + len(other.ranges)) // _RANGES_A_STEP
    return 1


def _filled(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Return the tokens with any one character put before every star, so that a search finds `a.py` and not `.py`."""
    return tuple(part for token in tokens for part in ((ANY_CHAR, STAR) if token is STAR else (token,)))


def _search(
    a: tuple[Token, ...], b: tuple[Token, ...], meter: _Meter, *, is_careful: bool = False, ignore_case: bool = False
) -> str | None:
    """Return a name that both segments match, the shortest unless careful; None if there is none.

    Careful is needed only where NFC may change a name.

    Args:
        a: Tokens of one segment.
        b: Tokens of the other.
        meter: Charged for each step; raises _TooMuchError when there are too many.
        is_careful: Try each character that its neighbours may combine with, and keep only names that `prepare` leaves
            unchanged.
        ignore_case: The case rule for `prepare`.
    """
    queue: deque[tuple[int, int, str]] = deque([(0, 0, "")])
    seen: set[tuple[int, int, str]] = set()
    while queue:
        i, j, name = queue.popleft()
        state = (i, j, _tail(name, is_careful))
        meter.spend(_STATE_STEPS + (len(name) if is_careful else len(name) // 8))
        if state in seen or (is_careful and prepare(name, ignore_case=ignore_case) != name):
            continue
        seen.add(state)
        if i == len(a) and j == len(b) and name not in _DOTS:
            return name
        later: list[tuple[int, int, str]] = []
        if i < len(a) and j < len(b):
            step = (i + (a[i] is not STAR), j + (b[j] is not STAR))
            chars = deciding_chars(a[i], b[j], ignore_case) if is_careful else common_char(a[i], b[j])
            later = [(*step, name + char) for char in chars]
            meter.spend(len(later) + _char_steps(a[i], b[j]) * (_CAREFUL_TIMES if is_careful else 1))
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
    """Return a text that is equal for two beginnings of names which the search may treat alike.

    It says whether the name is at most two dots and, when careful, what may still combine: whether a mark after a name
    in NFC combines with the last starter depends only on that starter and on the class of the last mark (Unicode
    Standard Annex 15).
    """
    if name in _DOTS:
        return name
    if not is_careful:
        return "x"
    starter = next((char for char in reversed(name) if unicodedata.combining(char) == 0), "")
    return f"x{starter}{unicodedata.combining(name[-1])}"
