"""Find the pairs of globs that may overlap at all: those whose leading literal folders agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.pattern import Glob

Place = tuple[int, int]
"""The index of a list of globs, and the index of a glob in it."""

_CANDIDATE_STEPS = 4


class _Node:
    """The globs that begin with the same literal folders."""

    __slots__ = ("below", "children", "here")

    def __init__(self) -> None:
        self.here: list[Place] = []
        """The globs whose literal folders end here."""
        self.below: list[Place] = []
        """The globs of `here` and those whose literal folders go on."""
        self.children: dict[str, _Node] = {}


def near_pairs(groups: Sequence[Sequence[Glob]], effort: Effort) -> list[tuple[Place, Place]]:
    """Return the pairs of globs of different groups that may overlap: those whose leading literal folders agree.

    A design of many globs in separate folders has few such pairs, and only these are compared.

    Args:
        groups: Lists of globs, all compiled with the same rule about case.
        effort: Charged for every pair.

    Returns:
        Each glob as the index of its group and its index there; that of the earlier group comes first in its pair.
        Sorted by the two groups, then by the two globs.

    Raises:
        Refused: code `glob.effort`, when there are too many pairs.
    """
    root, pairs = _Node(), set[tuple[Place, Place]]()
    for at, globs in enumerate(groups):
        for number, glob in enumerate(globs):
            for earlier in _near(root, glob):
                effort.spend(_CANDIDATE_STEPS, groups[earlier[0]][earlier[1]].text, glob.text)
                pairs.add((earlier, (at, number)))
        for number, glob in enumerate(globs):
            _add(root, glob, (at, number))
    return sorted(pairs, key=lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1]))


def _head(glob: Glob) -> Iterator[list[str]]:
    """Yield, for each alternative of its braces, the texts of its leading segments before the first wildcard."""
    for pattern in glob.patterns:
        head: list[str] = []
        for segment in pattern:
            if segment.literal is None:
                break
            head.append(segment.literal)
        yield head


def _near(root: _Node, glob: Glob) -> Iterator[Place]:
    for head in _head(glob):
        node: _Node | None = root
        for name in head:
            assert node is not None
            yield from node.here
            node = node.children.get(name)
            if node is None:
                break
        else:
            assert node is not None
            yield from node.below


def _add(root: _Node, glob: Glob, place: Place) -> None:
    for head in _head(glob):
        node = root
        node.below.append(place)
        for name in head:
            node = node.children.setdefault(name, _Node())
            node.below.append(place)
        node.here.append(place)
