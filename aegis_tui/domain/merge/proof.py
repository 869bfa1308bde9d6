"""Judges a merged Python file by what its three versions hold: is anything lost, doubled, or out of order (GIT-3)?

It knows nothing of how the file was merged; see `inventory` for what is counted.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from aegis_tui.domain.merge.inventory import Atom, Inventory, take_inventory
from aegis_tui.domain.merge.names import called_in_old_form, left_undefined, names_of

FaultKind = Literal[
    "syntax", "lost", "kept", "doubled", "defined twice", "undefined", "misplaced", "order", "signature"
]
BREAKING: frozenset[FaultKind] = frozenset({"syntax", "defined twice", "undefined"})
"""Faults with which even a merge that git calls clean is a conflict."""
LOSING: frozenset[FaultKind] = frozenset({"lost", "kept", "doubled"})
"""Faults with which what a side did is gone, or there twice."""

_Counted = TypeVar("_Counted", bound=Hashable)


class MergeFault(NamedTuple):
    """What is wrong with a merged file."""

    kind: FaultKind
    what: str


class Versions(NamedTuple):
    """The versions of a file that are merged, as text."""

    base: str
    ours: str
    theirs: str


def judge(versions: Versions, merged: str) -> list[MergeFault]:
    """Return what speaks against a merged file; an empty list is the proof that nothing does.

    Raises:
        SyntaxError: One of the three versions cannot be parsed.
        ValueError: One of them contains a null byte.
        RecursionError: One of them is nested too deeply.
    """
    sides = [take_inventory(text) for text in versions]
    try:
        result = take_inventory(merged)
    except (SyntaxError, ValueError, RecursionError) as error:
        return [MergeFault("syntax", str(error))]
    return compare(sides, result, _names(versions, merged))


def compare(sides: Sequence[Inventory], result: Inventory, further: Iterable[MergeFault] = ()) -> list[MergeFault]:
    """Return what speaks against a merged file by what was counted in it and in its versions.

    Args:
        sides: What base, ours and theirs hold.
        result: What the merged file holds.
        further: Other faults of it.
    """
    base, ours, theirs = sides
    faults = [*_defined_twice(base, ours, theirs, result), *further]
    faults += _counted(*(item.counts(by_place=False) for item in (*sides, result)))
    faults += _counted(*(item.comments for item in (*sides, result)))
    if not any(fault.kind in LOSING for fault in faults):
        strict = _counted(*(item.counts(by_place=True) for item in (*sides, result)), once=True)
        faults += [MergeFault("misplaced", fault.what) for fault in strict]
    faults += [MergeFault("order", what) for what in _disordered(base, ours, theirs, result)]
    return faults


def _defined_twice(base: Inventory, ours: Inventory, theirs: Inventory, merged: Inventory) -> Iterator[MergeFault]:
    for name, count in merged.defined.items():
        if count > max(base.defined[name], ours.defined[name], theirs.defined[name], 1):
            yield MergeFault("defined twice", name[1])
    for name, count in merged.bound.items():
        if count > 1 and base.bound[name] == 0 and count > max(ours.bound[name], theirs.bound[name]):
            yield MergeFault("defined twice", name[1])


def _names(versions: Versions, merged: str) -> Iterator[MergeFault]:
    base, ours, theirs, result = (names_of(ast.parse(text)) for text in (*versions, merged))
    yield from (MergeFault("undefined", name) for name in sorted(left_undefined(ours, theirs, result)))
    yield from (MergeFault("signature", name) for name in sorted(called_in_old_form(base, ours, theirs)))


def _counted(
    base: Counter[_Counted],
    ours: Counter[_Counted],
    theirs: Counter[_Counted],
    merged: Counter[_Counted],
    *,
    once: bool = False,
) -> Iterator[MergeFault]:
    """Yield what is in the merged file more or less often than the two sides' changes allow.

    Args:
        base: How often the base has each.
        ours: How often we have it.
        theirs: How often they have it.
        merged: How often the merged file has it.
        once: Whether what both sides added alike may be there only once, and what one adds the other may not remove.
    """
    for item in {**base, **ours, **theirs, **merged}:
        low, high = _allowed(base[item], ours[item] - base[item], theirs[item] - base[item], once=once)
        if once and (ours[item] - base[item]) * (theirs[item] - base[item]) < 0:
            yield MergeFault("doubled", str(item))
        elif merged[item] < low:
            yield MergeFault("lost", str(item))
        elif merged[item] > high:
            yield MergeFault("kept" if high < base[item] else "doubled", str(item))


def _allowed(base: int, by_us: int, by_them: int, *, once: bool) -> tuple[int, int]:
    """Return how often something may be there, at least and at most, after two sides changed its number."""
    total = max(0, base + by_us + by_them)
    if by_us > 0 and by_them > 0:
        return base + max(by_us, by_them), base + max(by_us, by_them) if once else total
    if by_us < 0 and by_them < 0:
        return total, base + min(by_us, by_them)
    return total, total


def _disordered(base: Inventory, ours: Inventory, theirs: Inventory, merged: Inventory) -> Iterator[str]:
    """Yield the places in which what a side has once, and the merged file too, is in another order.

    Where one side has moved something, only its order counts. Where both have, no order is the right one.
    """
    for place, atoms in merged.sequences.items():
        here, old, mine, other = (
            _once(side) for side in (atoms, *(each.sequences.get(place, ()) for each in (base, ours, theirs)))
        )
        shared = old.keys() & mine.keys() & other.keys()
        moved = [_within(side, shared) != _within(old, shared) for side in (mine, other)]
        sides = [side for side, has_moved in ((mine, moved[0]), (other, moved[1])) if has_moved or not any(moved)]
        if all(moved) or any(_within(side, here) != _within(here, side) for side in sides):
            yield " / ".join(place) or "module"


def _within(atoms: Iterable[Atom], others: Collection[Atom]) -> list[Atom]:
    return [atom for atom in atoms if atom in others]


def _once(atoms: Sequence[Atom]) -> Mapping[Atom, int]:
    """Return the atoms that are there exactly once, in their order; without imports, whose order is free."""
    counts = Counter(atoms)
    return {atom: 1 for atom in atoms if counts[atom] == 1 and atom[0] != "import"}
