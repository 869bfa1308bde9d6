"""Aligns two sequences, and three: what stayed, and what each side made of the rest. Knows nothing of languages."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)


class ThreeWay(NamedTuple, Generic[T]):
    """A part of a sequence in three versions; all three are equal where nothing was changed."""

    base: tuple[T, ...]
    ours: tuple[T, ...]
    theirs: tuple[T, ...]

    @property
    def settled(self) -> tuple[T, ...] | None:
        """The merged part, if at most one side changed it or both changed it alike; else None."""
        if self.ours in (self.base, self.theirs):
            return self.theirs
        return self.ours if self.theirs == self.base else None


class SideChange(NamedTuple, Generic[T]):
    """What one side put in place of `base[start:end]`; an insertion if `start` equals `end`."""

    start: int
    end: int
    new: tuple[T, ...]


def parts(base: Sequence[T], ours: Sequence[T], theirs: Sequence[T]) -> Iterator[ThreeWay[T]]:
    """Yield the parts of three versions in order, cut where an element of the base stayed on both sides.

    Neighbouring changes of the two sides are in one part, as in git's own merge.
    """
    kept_o, kept_t = dict(pairs(base, ours)), dict(pairs(base, theirs))
    b = o = t = 0
    for at in [*(at for at in kept_o if at in kept_t), len(base)]:
        ends = kept_o.get(at, len(ours)), kept_t.get(at, len(theirs))
        part = ThreeWay(tuple(base[b:at]), tuple(ours[o : ends[0]]), tuple(theirs[t : ends[1]]))
        if any(part):
            yield part
        if at < len(base):
            yield ThreeWay((base[at],), (ours[ends[0]],), (theirs[ends[1]],))
        b, o, t = at + 1, ends[0] + 1, ends[1] + 1


def changes(base: Sequence[T], side: Sequence[T]) -> list[SideChange[T]]:
    """Return what a side changed, in order; between two changes at least one element stayed."""
    listed: list[SideChange[T]] = []
    b = s = 0
    for at, place in [*pairs(base, side), (len(base), len(side))]:
        if at > b or place > s:
            listed.append(SideChange(b, at, tuple(side[s:place])))
        b, s = at + 1, place + 1
    return listed


def pairs(a: Sequence[T], b: Sequence[T]) -> list[tuple[int, int]]:
    """Return the index pairs of equal elements that stand for each other, rising in both; elements in between differ.

    Elements that are unique in both are matched first, so that repeated ones (blank lines, brackets) follow them.
    """
    found_pairs: list[tuple[int, int]] = []
    todo = [(0, len(a), 0, len(b))]
    while todo:
        a_lo, a_hi, b_lo, b_hi = todo.pop()
        while a_lo < a_hi and b_lo < b_hi and a[a_lo] == b[b_lo]:
            found_pairs.append((a_lo, b_lo))
            a_lo, b_lo = a_lo + 1, b_lo + 1
        while a_lo < a_hi and b_lo < b_hi and a[a_hi - 1] == b[b_hi - 1]:
            a_hi, b_hi = a_hi - 1, b_hi - 1
            found_pairs.append((a_hi, b_hi))
        if a_lo == a_hi or b_lo == b_hi:
            continue
        anchors = _anchors(a[a_lo:a_hi], b[b_lo:b_hi])
        if not anchors:
            matcher = SequenceMatcher(None, a[a_lo:a_hi], b[b_lo:b_hi], autojunk=False)
            for block in matcher.get_matching_blocks():
                found_pairs += [(a_lo + block.a + n, b_lo + block.b + n) for n in range(block.size)]
            continue
        last_a, last_b = a_lo, b_lo
        for i, j in anchors:
            todo.append((last_a, a_lo + i, last_b, b_lo + j))
            found_pairs.append((a_lo + i, b_lo + j))
            last_a, last_b = a_lo + i + 1, b_lo + j + 1
        todo.append((last_a, a_hi, last_b, b_hi))
    return sorted(found_pairs)


def _anchors(a: Sequence[T], b: Sequence[T]) -> list[tuple[int, int]]:
    """Return the longest rising chain of pairs of elements that each sequence has exactly once."""
    once_a, once_b = Counter(a), Counter(b)
    place = {item: at for at, item in enumerate(b) if once_b[item] == 1}
    unique = [(at, place[item]) for at, item in enumerate(a) if once_a[item] == 1 and item in place]
    tails: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for n, (_, j) in enumerate(unique):
        rank = bisect_left(tails, j)
        before.append(ends[rank - 1] if rank else None)
        tails[rank : rank + 1] = [j]
        ends[rank : rank + 1] = [n]
    chain: list[tuple[int, int]] = []
    last = ends[-1] if ends else None
    while last is not None:
        chain.append(unique[last])
        last = before[last]
    return chain[::-1]
