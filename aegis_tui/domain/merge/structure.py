"""Merges suites of Python by their items: disjoint definitions, imports as sets, insertions at one place (GIT-3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from aegis_tui.domain.merge.lines import merge_lines
from aegis_tui.domain.merge.outline import Key, MergeItem, Suite
from aegis_tui.domain.merge.undecided import Undecided

MergeStatement = Callable[[MergeItem, MergeItem, MergeItem], Sequence[str] | None]
"""Merges a statement that both sides changed, by what is inside of it; None if it cannot."""


class SuiteMerger:
    """Merges suites.

    Args:
        statement: Merges what both sides changed and whose lines cannot be merged.
    """

    def __init__(self, statement: MergeStatement) -> None:
        self._statement = statement

    def merge(self, base: Suite, ours: Suite, theirs: Suite) -> list[str]:
        """Return the lines of the merged suite.

        Raises:
            Undecided: The two sides' changes exclude each other.
        """
        sides = _paired(*({item.key: item for item in suite.items} for suite in (base, ours, theirs)))
        merged = self._items(*sides)
        _check_replaced(*sides, merged)
        order = _order(*(list(side) for side in sides), kept=merged)
        lines = [line for key in order for line in merged[key]]
        return lines + merge_lines(base.tail, ours.tail, theirs.tail)

    def _items(
        self, base: Mapping[Key, MergeItem], ours: Mapping[Key, MergeItem], theirs: Mapping[Key, MergeItem]
    ) -> dict[Key, list[str]]:
        merged: dict[Key, list[str]] = {}
        for key in {**ours, **theirs}:
            lines = self._item(key, base.get(key), ours.get(key), theirs.get(key))
            if lines is not None:
                merged[key] = lines
        return merged

    def _item(
        self, key: Key, base: MergeItem | None, ours: MergeItem | None, theirs: MergeItem | None
    ) -> list[str] | None:
        """Return the lines of one item; None if a side deleted it and the other left it alone."""
        if ours is None or theirs is None:
            rest = ours or theirs
            if rest is None or base is None:
                return list(rest.text) if rest else None
            if rest.lines != base.lines:
                raise Undecided(f"one side deletes what the other changes: {_name(key)}")
            return None
        if base is None:
            return self._both_added(key, ours, theirs)
        return [*_lead(base, ours, theirs), *self._own_lines(key, base, ours, theirs)]

    def _both_added(self, key: Key, ours: MergeItem, theirs: MergeItem) -> list[str]:
        if ours.lines == theirs.lines:
            return list(ours.text if len(ours.text) >= len(theirs.text) else theirs.text)
        joined = self._statement(MergeItem(key, (), ()), ours, theirs) if key[0] == "import" else None
        if joined is None:
            raise Undecided(f"both sides add {_name(key)}, with different content")
        return [*ours.lead, *joined]

    def _own_lines(self, key: Key, base: MergeItem, ours: MergeItem, theirs: MergeItem) -> Sequence[str]:
        if ours.lines in (base.lines, theirs.lines):
            return theirs.lines
        if theirs.lines == base.lines:
            return ours.lines
        if key[0] in ("class", "function", "block"):
            return self._compound(key, base, ours, theirs)
        joined = self._statement(base, ours, theirs)
        return joined if joined is not None else merge_lines(base.lines, ours.lines, theirs.lines)

    def _compound(self, key: Key, base: MergeItem, ours: MergeItem, theirs: MergeItem) -> Sequence[str]:
        """Merge a class by its suite, another compound statement by its lines, then by suites, then as a whole."""
        of_suites = len(base.segments) == len(ours.segments) == len(theirs.segments) > 0
        if not (of_suites and key[0] == "class"):
            with suppress(Undecided):
                return merge_lines(base.lines, ours.lines, theirs.lines)
        if of_suites:
            with suppress(Undecided):
                return self._segments(base, ours, theirs)
        joined = self._statement(base, ours, theirs)
        if joined is None:
            raise Undecided(f"both sides change {_name(key)}")
        return joined

    def _segments(self, base: MergeItem, ours: MergeItem, theirs: MergeItem) -> list[str]:
        merged: list[str] = []
        for old, mine, other in zip(base.segments, ours.segments, theirs.segments, strict=True):
            merged += merge_lines(old.head, mine.head, other.head)
            merged += self.merge(old.suite, mine.suite, other.suite)
        return merged


def _paired(
    base: dict[Key, MergeItem], ours: dict[Key, MergeItem], theirs: dict[Key, MergeItem]
) -> tuple[dict[Key, MergeItem], dict[Key, MergeItem], dict[Key, MergeItem]]:
    """Return the sides with statements that both edited under the key of the base, by which they are known as one.

    Statements have their text as key. Where a side has as many others in a place as it removed, these are edits.
    """
    stayed = {key for key in base if key in ours and key in theirs}
    gone, mine, others = (_gaps(side, stayed) for side in (base, ours, theirs))
    renamed: list[dict[Key, Key]] = [{}, {}]
    for above, removed in gone.items():
        for names, side in zip(renamed, (mine, others), strict=True):
            new = side.get(above, [])
            if len(new) == len(removed) and all(
                key == old or (key[0] == old[0] and key[0] in ("statement", "block") and key not in base)
                for key, old in zip(new, removed, strict=True)
            ):
                names.update(zip(new, removed, strict=True))
    mine_now, others_now = (
        {names.get(key, key): item for key, item in side.items()}
        for names, side in zip(renamed, (ours, theirs), strict=True)
    )
    return base, mine_now, others_now


def _name(key: Key) -> str:
    return f"{key[0]} {key[1].splitlines()[0] if key[1] else ''}".strip()


def _lead(base: MergeItem, ours: MergeItem, theirs: MergeItem) -> Sequence[str]:
    if ours.lead in (base.lead, theirs.lead):
        return theirs.lead
    if theirs.lead == base.lead or not any(map(str.strip, (*ours.lead, *theirs.lead))):
        return ours.lead
    return merge_lines(base.lead, ours.lead, theirs.lead)


def _check_replaced(
    base: Mapping[Key, MergeItem],
    ours: Mapping[Key, MergeItem],
    theirs: Mapping[Key, MergeItem],
    merged: Mapping[Key, object],
) -> None:
    """Refuse a place from which both sides removed an item, and into which they did not put the same.

    A statement that is edited has another key afterwards, so that it looks like one removed and one added.

    Raises:
        Undecided: There is such a place.
    """
    stayed = {key for key in base if key in merged}
    mine, others, gone = (_gaps(side, stayed) for side in (ours, theirs, base))
    for above, removed in gone.items():
        both = [key for key in removed if key not in ours and key not in theirs]
        new = [{key for key in side.get(above, ()) if key not in base} for side in (mine, others)]
        if both and new[0] != new[1]:
            raise Undecided(f"both sides change {_name(both[0])}")


def _gaps(side: Iterable[Key], stayed: Collection[Key]) -> dict[Key | None, list[Key]]:
    """Return a side's items that are not among those that stayed, by the one of these above them; None at the top."""
    gaps: dict[Key | None, list[Key]] = {}
    above: Key | None = None
    for key in side:
        if key in stayed:
            above = key
        else:
            gaps.setdefault(above, []).append(key)
    return gaps


def _order(base: list[Key], ours: list[Key], theirs: list[Key], *, kept: Mapping[Key, object]) -> list[Key]:
    """Return the kept items in our order, each of theirs below the item that is above it there, after new ones of ours.

    Raises:
        Undecided: Both sides moved items, in different ways.
    """
    common = {key for key in base if key in kept}
    orders = [[key for key in side if key in common] for side in (base, ours, theirs)]
    if orders[2] in (orders[0], orders[1]):
        return _woven([key for key in ours if key in kept], [key for key in theirs if key in kept], set(ours), common)
    if orders[1] != orders[0]:
        raise Undecided("both sides move definitions")
    return _woven([key for key in theirs if key in kept], [key for key in ours if key in kept], set(), common)


def _woven(order: list[Key], others: list[Key], first: set[Key], common: set[Key]) -> list[Key]:
    """Return `order` with the keys that only `others` has put in, each below the one above it in `others`.

    Args:
        order: The order that is kept.
        others: The other side's order.
        first: Keys that stay directly below the one above them; new ones come after these.
        common: Keys that the base has.
    """
    new, known = _gaps(others, set(order)), set(others)
    woven: list[Key] = []
    due = new.get(None, [])
    for key in order:
        if key not in first or key in common or key in known:
            woven += due
            due = new.get(key, [])
        woven.append(key)
    return woven + due
