"""Paths that differ only in letter case, and are one file where git ignores case (`core.ignoreCase`)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator


def folded(path: str) -> str:
    """Return a path in NFC and case-folded: equal for paths that differ only in case or in Unicode composition."""
    return unicodedata.normalize("NFC", path).casefold()


def case_clashes(fresh: Iterable[str], there: Iterable[str]) -> list[tuple[str, str]]:
    """Return each new path that differs only in case from another path or its folder, with that other; sorted.

    A folder of a new path counts only where the folder is new too. Each new path is listed once.

    Args:
        fresh: The new paths.
        there: All paths, including the new ones.
    """
    every, new = set(there), set(fresh)
    names: dict[str, set[str]] = {}
    for path in every:
        for name in _prefixes(path):
            names.setdefault(folded(name), set()).add(name)
    old = {name for path in every - new for name in _prefixes(path)}
    clashes: dict[str, str] = {}
    for path in new:
        for name in _prefixes(path):
            if name not in old and (others := names.get(folded(name), set()) - {name}):
                clashes.setdefault(path, min(others))
    return sorted(clashes.items())


def _prefixes(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, outermost first, and then the path itself."""
    for at, char in enumerate(path):
        if char == "/":
            yield path[:at]
    yield path
