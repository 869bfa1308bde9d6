"""Which pieces break a batch: a search that asks for the verdict on one set of pieces after the other (PERF-22).

It is pure: the caller composes a set, runs QA on it, and sends back what failed. Each piece that is named was seen to
break a set that passes without it, and what is kept in the end was tested as a whole.

Several pieces that only fail together are one culprit: the last of them, in the order of composition. If each culprit
causes failures of its own, k culprits among N pieces are named within k·⌈log2 N⌉ + 1 verdicts, besides the one that is
known at the start. If the failures of culprits cannot be told apart, each after the first may cost one verdict more.

No search keeps the bound for every k then. Take N = 512 and verdicts that only say whether a set fails. To name one
culprit within 10 verdicts, of which one has to test all the other pieces, a search has to halve the candidates with
each of the first nine, so its first set has 256 of them. If that set fails, every group of k culprits with one among
these 256 has to end at its own leaf, at most 9·k verdicts further down. The sum of 2^-(9·k) over these groups is 1.07,
but by Kraft's inequality a tree of verdicts has room for at most 1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from aegis_tui.domain.composition.order import Needs, dependants, in_order

Failures = frozenset[str]
"""What fails on a tree, each by its identity; empty if the tree passes."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """A piece that breaks what passes without it."""

    name: str
    failures: Failures
    """What failed when it was added to pieces that pass."""
    dependants: tuple[str, ...]
    """The pieces that build on it, which have to be left out too."""


@dataclass(frozen=True, slots=True)
class Split:
    """A batch in two parts: the pieces that pass together, and those that have to be left out."""

    good: tuple[str, ...]
    """In the order of composition. Their tree was tested, unless there are none."""
    culprits: tuple[Culprit, ...]


Search = Generator[tuple[str, ...], Failures, Split]
"""Yields the pieces of the next set to test, in the order of composition; takes what fails on it."""


def search_culprits(names: Sequence[str], needs: Needs, failures: Failures) -> Search:
    """Find the pieces that break a batch; the base, without any piece, counts as passing.

    No set is asked for twice, and each contains what its pieces need.

    Args:
        names: All pieces of the batch.
        needs: Piece -> the pieces that it builds on.
        failures: What fails with all pieces; at least one failure.

    Raises:
        ValueError: Pieces need each other in a cycle.
    """
    good: tuple[str, ...] = ()
    rest = tuple(in_order(names, needs))
    culprits: list[Culprit] = []
    unexplained, is_tested = failures, True
    while rest:
        if not unexplained:
            unexplained, is_tested = (yield (*good, *rest)), True
            if not unexplained:
                good, rest = (*good, *rest), ()
                continue
        place, seen = yield from _first_bad(good, rest, unexplained if is_tested else None)
        good, after = (*good, *rest[: place - 1]), rest[place:]
        if place > len(rest):
            break
        name = rest[place - 1]
        gone = tuple(dependants(name, (name, *after), needs))
        culprits.append(Culprit(name, seen, gone))
        rest = tuple(other for other in after if other not in gone)
        # What this culprit does not explain needs no further test of the whole to be known.
        unexplained, is_tested = unexplained - seen, False
    return Split(good, tuple(culprits))


def _first_bad(
    good: tuple[str, ...], rest: tuple[str, ...], whole: Failures | None
) -> Generator[tuple[str, ...], Failures, tuple[int, Failures]]:
    """Return the place, from 1, of the first piece with which the pieces before it no longer pass, and what fails then.

    The place is one more than there are pieces if all pass.

    Args:
        good: Pieces that pass.
        rest: The pieces to search, in order.
        whole: What fails with all of `rest`; None if that was not tested.
    """
    low, high = 0, len(rest) + (whole is None)
    at_high: Failures = whole or frozenset()
    while high - low > 1:
        middle = (low + high) // 2
        failures = yield (*good, *rest[:middle])
        if failures:
            high, at_high = middle, failures
        else:
            low = middle
    return high, at_high
