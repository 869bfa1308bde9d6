"""The order in which pieces are composed, and what has to go with a piece that is left out (GIT-5, FLOW-7).

Needs are given as piece -> the pieces that it builds on. One that is not among the pieces is ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

Needs = Mapping[str, Collection[str]]


def in_order(names: Iterable[str], needs: Needs) -> list[str]:
    """Return the pieces so that each comes after those that it needs, otherwise in the given order.

    Raises:
        ValueError: Pieces need each other in a cycle.
    """
    left = dict.fromkeys(names)
    order: list[str] = []
    while left:
        free = next((name for name in left if not any(need in left for need in needs.get(name, ()))), None)
        if free is None:
            raise ValueError(f"these pieces need each other: {', '.join(left)}")
        order.append(free)
        del left[free]
    return order


def dependants(name: str, names: Iterable[str], needs: Needs) -> list[str]:
    """Return those of `names` that need a piece, directly or through others, in the given order; not the piece itself.

    The pieces may need each other in a cycle.
    """
    others = [other for other in names if other != name]
    gone = {name}
    before = 0
    while before != len(gone):
        before = len(gone)
        gone.update(other for other in others if any(need in gone for need in needs.get(other, ())))
    return [other for other in others if other in gone]
