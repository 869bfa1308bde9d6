"""Which of many globs can meet at all: those whose leading folders, as far as they are literal, agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.pattern import Glob

Place = tuple[int, int]
"""Which list of globs, and which glob in it."""

_CANDIDATE_STEPS = 4


class _Node:
    """The globs that begin with the same literal folders."""

    __slots__ = ("below", "children", "here")

    def __init__(self) -> None:
        self.here: list[Place] = []
        """Those whose literal part ends here."""
        self.below: list[Place] = []
        """Those and the ones that go on."""
        self.children: dict[str, _Node] = {}


def near_pairs(groups: Sequence[Sequence[Glob]], effort: Effort) -> list[tuple[Place, Place]]:
    """The pairs of globs of different groups that may meet, in the order of the groups and of the globs in them.

    A design of many globs in folders of their own has few of them, and only these are compared.

    Args:
        groups: Lists of globs, all compiled with the same rule about case.
        effort: Every pair is counted.

    Raises:
        Refused: code `glob.effort`, when there are too many.
    """
    root, found = _Node(), set[tuple[Place, Place]]()
    for at, globs in enumerate(groups):
        for number, glob in enumerate(globs):
            for earlier in _near(root, glob):
                effort.spend(_CANDIDATE_STEPS, groups[earlier[0]][earlier[1]].text, glob.text)
                found.add((earlier, (at, number)))
        for number, glob in enumerate(globs):
            _add(root, glob, (at, number))
    return sorted(found, key=lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1]))


def _head(glob: Glob) -> Iterator[list[str]]:
    """For each alternative its leading segments up to the first that has a wildcard."""
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
