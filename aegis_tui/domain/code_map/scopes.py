"""Which definition each place of a text is in, for definitions that are nested in each other or apart."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from aegis_tui.domain.code_map.facts import MODULE_SCOPE

T = TypeVar("T")


class Scopes:
    """The extents of a file's definitions, as offsets into its text; a scope is the index of one."""

    def __init__(self, extents: Sequence[tuple[int, int]]) -> None:
        """Store the extents; the index of each is its scope.

        Args:
            extents: The offset of each definition's first byte and the one after its last, sorted by the first; of two
                that overlap, one contains the other.
        """
        self._extents = extents
        self._starts = [start for start, _ in extents]
        self._outer: list[int] = []
        open_ones: list[int] = []
        for at, (start, _) in enumerate(extents):
            while open_ones and extents[open_ones[-1]][1] <= start:
                open_ones.pop()
            self._outer.append(open_ones[-1] if open_ones else MODULE_SCOPE)
            open_ones.append(at)

    def outer(self, scope: int) -> int:
        """Return the scope directly around a scope; `MODULE_SCOPE` if there is none.

        Raises:
            IndexError: There is no such scope.
        """
        return self._outer[scope]

    def innermost(self, offset: int) -> int:
        """Return the innermost scope that contains the byte at an offset; `MODULE_SCOPE` if there is none."""
        scope = bisect_right(self._starts, offset) - 1
        while scope >= 0 and self._extents[scope][1] <= offset:
            scope = self._outer[scope]
        return scope

    def around(self, items: Iterable[T], *, key: Callable[[T], int]) -> Iterator[tuple[T, int]]:
        """Yield each item with the innermost scope that contains its offset, or `MODULE_SCOPE`.

        The order of the items stays.

        Args:
            items: The items.
            key: Item -> its offset in bytes.
        """
        for item in items:
            yield item, self.innermost(key(item))
