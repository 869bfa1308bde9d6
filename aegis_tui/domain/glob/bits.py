"""One segment of a glob as an automaton whose states are the bits of a number.

One step for all positions takes a few operations on numbers, so a segment of 1,000 characters is matched, or compared
with another, in thousands of steps instead of millions, however many stars it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from aegis_tui.domain.glob.token import STAR, CharSet, Ranges, Token

_RANGES_A_STEP = 4
"""How many ranges of characters are compared in a step of half a microsecond: measured, and rounded down."""

_REMEMBERED = 512
"""How many answers of `fitting` a segment caches."""


class SegmentBits:
    """Which positions of a segment accept which characters. Position n, of token n, is bit n; bit `size` is the end."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        """Index the tokens of a segment; the caller makes sure that no star follows a star."""
        self.size = len(tokens)
        self.stars = 0
        self._chars: dict[str, int] = {}
        self._sets: dict[Ranges, int] = {}
        for at, token in enumerate(tokens):
            if token is STAR:
                self.stars |= 1 << at
            elif isinstance(token, CharSet):
                self._sets[token.ranges] = self._sets.get(token.ranges, 0) | 1 << at
            else:
                char = str(token)
                self._chars[char] = self._chars.get(char, 0) | 1 << at
        self._fitting: dict[Token, int] = {}
        self._ranges = sum(map(len, self._sets))

    def lookup_steps(self, tokens: Sequence[Token]) -> int:
        """Return what calling `fitting` for each character set in these tokens would cost without its cache, in steps.

        A step is about half a microsecond (see `Effort`).
        """
        classes = {token.ranges for token in tokens if isinstance(token, CharSet)}
        read = sum(len(ranges) * len(self._sets) for ranges in classes)
        return (read + len(classes) * (len(self._chars) + len(self._sets) + self._ranges)) // _RANGES_A_STEP

    def fitting(self, token: Token) -> int:
        """Return the positions whose token has a character in common with this token; bit n stands for token n.

        Positions of stars are left out.

        Args:
            token: A character or a set of characters, no star.
        """
        positions = self._fitting.get(token)
        if positions is None:
            positions = self._find_fitting(token)
            if len(self._fitting) < _REMEMBERED:
                self._fitting[token] = positions
        return positions

    def _find_fitting(self, token: Token) -> int:
        ranges = token.ranges if isinstance(token, CharSet) else ((ord(str(token)), ord(str(token))),)
        if isinstance(token, CharSet):
            positions = sum(bits for char, bits in self._chars.items() if char in token)
        else:
            positions = self._chars.get(str(token), 0)
        for other, bits in self._sets.items():
            if meet(ranges, other):
                positions |= bits
        return positions

    def matches(self, name: str) -> bool:
        """Return whether the segment matches the whole name."""
        at = self._skip_star(1)
        for char in name:
            at = self._skip_star(((at & self._takes(char)) << 1) | (at & self.stars))
            if not at:
                return False
        return bool(at >> self.size & 1)

    def _takes(self, char: str) -> int:
        """Return the positions whose token accepts this character; bit n stands for token n, and stars are left out.

        The answer is not cached: there are too many characters.
        """
        positions = self._fitting.get(char)
        return self._find_fitting(char) if positions is None else positions

    def _skip_star(self, at: int) -> int:
        return at | (at & self.stars) << 1

    def ways_to_end(self, tokens: Sequence[Token]) -> list[int]:
        """Return, for each position of another segment, the positions here from which both can end with the same text.

        Args:
            tokens: The tokens of the other segment; no star follows a star.

        Returns:
            One number for each of the tokens, and one for the end; bit n of it stands for position n here.
        """
        ways = [0] * (len(tokens) + 1)
        row = 1 << self.size
        ways[-1] = row = row | (row >> 1 & self.stars)
        for at in range(len(tokens) - 1, -1, -1):
            token = tokens[at]
            if token is STAR:
                row = (1 << row.bit_length()) - 1
            else:
                row = (row & self.stars) | (row >> 1 & self.fitting(token))
                row |= row >> 1 & self.stars
            ways[at] = row
        return ways


@lru_cache(maxsize=1024)
def bits_of(tokens: tuple[Token, ...]) -> SegmentBits:
    """Return the automaton of a segment, in which no star follows a star; results are cached."""
    return SegmentBits(tokens)


def meet(one: Ranges, other: Ranges) -> bool:
    """Return whether two lists of disjoint ranges (first, last), each sorted, have a code point in common."""
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i][1] < other[j][0]:
            i += 1
        elif other[j][1] < one[i][0]:
            j += 1
        else:
            return True
    return False
