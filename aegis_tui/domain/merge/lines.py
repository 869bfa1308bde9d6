"""Merges text by lines, finer than git does: neighbouring changes, and lines that both sides add at one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aegis_tui.domain.merge.align import SideChange, ThreeWay, changes, parts
from aegis_tui.domain.merge.undecided import Undecided


def merge_lines(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return the merged lines.

    What both sides insert at one place is put there once if it is the same, else first ours, then theirs. Changes of
    neighbouring lines are both made. Whether the result makes sense is for the caller to check.

    Raises:
        Undecided: Both sides change the same lines in different ways.
    """
    merged: list[str] = []
    for part in parts(base, ours, theirs):
        settled = part.settled
        merged += settled if settled is not None else _join(part)
    return merged


def _join(part: ThreeWay[str]) -> list[str]:
    base, lifted = _with_commas(part)
    mine, others = changes(base, part.ours), changes(base, part.theirs)
    _check_apart(mine, others)
    merged: list[str] = []
    at = 0
    for change, also in _in_order(mine, others):
        merged += base[at : change.start]
        at = max(at, change.end)
        merged += change.new
        if also is not None:
            if lifted and change.new and not change.new[-1].rstrip().endswith(","):
                merged[-1] = merged[-1].rstrip() + ","
            merged += also.new
    return merged + list(base[at:])


def _with_commas(part: ThreeWay[str]) -> tuple[tuple[str, ...], bool]:
    """Return the base with a comma after each last element that both sides gave one, and whether there is such."""
    lifted = tuple(
        f"{line},"
        if f"{line}," in part.ours and f"{line}," in part.theirs and line not in (*part.ours, *part.theirs)
        else line
        for line in part.base
    )
    return lifted, lifted != part.base


def _check_apart(mine: Iterable[SideChange[str]], others: Sequence[SideChange[str]]) -> None:
    for change in mine:
        for other in others:
            if change != other and change.start < other.end and other.start < change.end:
                raise Undecided("both sides change the same lines")


def _in_order(
    mine: Iterable[SideChange[str]], others: Iterable[SideChange[str]]
) -> list[tuple[SideChange[str], SideChange[str] | None]]:
    """Return the changes in the order of their places; insertions at one place are a pair, the same one only once."""
    ordered: list[tuple[SideChange[str], SideChange[str] | None]] = []
    for change in sorted([*mine, *others], key=lambda item: (item.start, item.end)):
        last = ordered[-1] if ordered else None
        if last and last[0] == change:
            continue
        if last and last[0][:2] == change[:2] == (change.start, change.start):
            ordered[-1] = (last[0], change)
        else:
            ordered.append((change, None))
    return ordered
