"""What the history tells about files: how often each was changed, and which were changed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from typing import Final

from aegis_tui.domain.partition.model import ChangeHistory

MOST_PATHS: Final = 30
"""A commit that changes more files than this says nothing about which of them belong together."""
LEAST_TIMES: Final = 3
_LEAST_SHARE: Final = 0.3

Pair = tuple[str, str]
"""Two different paths in order."""


class Together:
    """The changes of files that exist now.

    Args:
        history: The newest commits.
        paths: The files; others are left out of what is counted.
    """

    def __init__(self, history: ChangeHistory, paths: Iterable[str]) -> None:
        known = frozenset(paths)
        changes = [sorted(known.intersection(commit)) for commit in history.commits if len(commit) <= MOST_PATHS]
        self.changes = [paths for paths in changes if paths]
        """The files that each commit changed; commits of many files are left out."""
        self.times = Counter(path for paths in self.changes for path in paths)
        """How many of these commits changed a file."""
        self._pairs = Counter(pair for paths in self.changes for pair in combinations(paths, 2))

    def bonds(self) -> dict[Pair, float]:
        """Return the pairs of files that are often changed together, with the share of changes in common.

        Of a pair that is, at least three commits changed both files, and these are at least 30 % of those that changed
        the one that is changed less often.
        """
        bonds = {}
        for (one, other), times in sorted(self._pairs.items()):
            share = times / min(self.times[one], self.times[other])
            if times >= LEAST_TIMES and share >= _LEAST_SHARE:
                bonds[(one, other)] = share
        return bonds

    def is_often_changed(self, path: str) -> bool:
        """Return whether at least three of the commits, and 5 % of them, changed the file."""
        return self.times[path] >= max(LEAST_TIMES, 0.05 * len(self.changes))
