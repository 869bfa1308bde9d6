"""The tokens of one segment of a glob: characters, sets of characters, and stars."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

Ranges = tuple[tuple[int, int], ...]
"""Ranges of code points, inclusive, sorted and disjoint."""


class Wild(Enum):
    """The token that matches any characters within one segment, or none."""

    STAR = "*"


STAR: Final = Wild.STAR


@dataclass(frozen=True, eq=False)
class CharSet:
    """A set of characters, never `/` or NUL. Compared by identity."""

    ranges: Ranges
    """The code points of the set."""

    def __contains__(self, char: str) -> bool:
        at = bisect_right(self.ranges, (ord(char), 0x110000)) - 1
        return at >= 0 and self.ranges[at][1] >= ord(char)


ANY_CHAR: Final = CharSet(((0x01, 0x2E), (0x30, 0x10FFFF)))
Token = str | CharSet | Wild


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the same code points as sorted, disjoint ranges with a gap between each two; the input may overlap."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def subtract_ranges(ranges: Ranges, removed: Ranges) -> Ranges:
    """Return the code points of `ranges` that are not in `removed`; both must be sorted and disjoint."""
    left: list[tuple[int, int]] = []
    for low, high in ranges:
        for cut_low, cut_high in removed[max(bisect_right(removed, (low, 0)) - 1, 0) :]:
            if cut_low > high:
                break
            if cut_low > low:
                left.append((low, cut_low - 1))
            low = max(low, cut_high + 1)
        if low <= high:
            left.append((low, high))
    return tuple(left)
