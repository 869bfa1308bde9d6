"""Whose change a failure speaks of (FLOW-7). Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.scope.partition import PartitionTable

MOST_CHARACTERS = 512 * 1024
"""Of the end of each output: failures are told last, and one search holds the interpreter as long as it takes."""

_PATH = re.compile(r"(?<![\w./+@-])[\w./+@-]+\.[A-Za-z]{1,5}\b")


def blame(table: PartitionTable, outputs: Sequence[str], changed: Mapping[str, Collection[str]]) -> list[str]:
    """The pieces whose change a failure speaks of, most often named first; empty when the output names nobody's.

    Args:
        table: The partitions as they stand now, by piece name: a person may have moved a path since the design.
        outputs: What the failing commands printed.
        changed: Piece name -> paths that it changes.
    """
    votes: dict[str, int] = {}
    for path, times in Counter(
        found for output in outputs for found in _PATH.findall(output[-MOST_CHARACTERS:])
    ).items():
        for name in _owners(path, changed, table.owner_of):
            votes[name] = votes.get(name, 0) + times
    return sorted(votes, key=lambda name: (-votes[name], list(changed).index(name)))


def _owners(path: str, changed: Mapping[str, Collection[str]], owner_of: Callable[[str], str | None]) -> set[str]:
    clean = path.removeprefix("./")
    found: set[str] = set()
    for name, files in changed.items():
        if name != FOUNDATION and any(clean == item or clean.endswith(f"/{item}") for item in files):
            found.add(name)
    owner = owner_of(clean) if not found else None
    if owner in changed and owner != FOUNDATION and owner is not None:
        found.add(owner)
    return found
