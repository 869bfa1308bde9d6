"""Find the pieces that a QA failure is about (FLOW-7). Does no IO."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.scope.partition import PartitionTable

MOST_CHARACTERS = 512 * 1024
"""How much of the end of each output is searched: failures are printed last, and a search blocks the interpreter."""

_PATH = re.compile(r"(?<![\w./+@-])[\w./+@-]+\.[A-Za-z]{1,5}\b")


def blame(table: PartitionTable, outputs: Sequence[str], changed: Mapping[str, Collection[str]]) -> list[str]:
    """Return the pieces whose files the outputs name, most often named first; empty when they name no such file.

    A path counts for each piece that changes a file of that path, or one that ends in it; if there is none, for the
    piece whose partition it is in. Only pieces in `changed` are returned, and never the foundation.

    Args:
        table: The present partitions by piece name; a person may have changed them since the design.
        outputs: What the failing commands printed; the last 512 Ki characters of each are searched.
        changed: Piece name -> paths that it changes.
    """
    votes: dict[str, int] = {}
    for path, times in Counter(
        mentioned for output in outputs for mentioned in _PATH.findall(output[-MOST_CHARACTERS:])
    ).items():
        for name in _owners(path, changed, table.owner_of):
            votes[name] = votes.get(name, 0) + times
    return sorted(votes, key=lambda name: (-votes[name], list(changed).index(name)))


def _owners(path: str, changed: Mapping[str, Collection[str]], owner_of: Callable[[str], str | None]) -> set[str]:
    clean = path.removeprefix("./")
    owners: set[str] = set()
    for name, files in changed.items():
        if name != FOUNDATION and any(clean == item or clean.endswith(f"/{item}") for item in files):
            owners.add(name)
    owner = owner_of(clean) if not owners else None
    if owner in changed and owner != FOUNDATION and owner is not None:
        owners.add(owner)
    return owners
