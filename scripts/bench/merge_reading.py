"""What a source file of JavaScript, TypeScript, Go, Rust or Java says, for `scripts/bench merge`.

It is read with tree-sitter, as the program reads it for merging; the verdicts are computed from it in another way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from aegis_tui.adapters.symbols.source import read_source
from aegis_tui.domain.merge.source import SourceNode, SourceTree

_FREE = frozenset("()[]{},;\\")
"""Tokens that formatters add and remove."""


class SourceReading:
    """Reads the versions of one file.

    Args:
        path: Its path; the suffix tells the language.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def parses(self, text: str) -> bool:
        """Whether the text has no error."""
        return self._tree(text) is not None

    def contents(self, text: str) -> Counter[str] | None:
        """Return the items of the file, whatever their order, with imported names one by one; None if it has errors."""
        tree, lines = self._tree(text), text.split("\n")
        if tree is None:
            return None
        counted: Counter[str] = Counter()
        for item in tree.items:
            whole = squeezed("\n".join(lines[item.first : item.last]))
            counted.update(item.names if item.kind == "import" and item.names else [whole])
        return counted

    def words(self, text: str) -> Counter[str]:
        """Return how often each word and each sign is there."""
        return Counter(word for word in re.findall(r"\w+|[^\w\s]", text) if word not in _FREE)

    def lines(self, text: str) -> Counter[str]:
        """Return the squeezed lines that say something; imported names one by one."""
        tree, lines = self._tree(text), text.split("\n")
        named: Counter[str] = Counter()
        for item in tree.items if tree else ():
            if item.kind == "import" and item.names:
                named.update(f"import {name}" for name in item.names)
                lines[item.first : item.last] = [""] * (item.last - item.first)
        return named + Counter(short for line in lines if (short := squeezed(line)))

    def definitions(self, text: str) -> Counter[tuple[str, ...]]:
        """Return how often each definition is there of which the language allows one in a place."""
        tree = self._tree(text)
        return Counter(_named(tree.items, ())) if tree else Counter()

    def _tree(self, text: str) -> SourceTree | None:
        try:
            return read_source(self._path, text)
        except (SyntaxError, RecursionError):
            return None


def _named(items: Iterable[SourceNode], scope: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for item in items:
        place = (*scope, item.name)
        if item.is_single:
            yield place
        yield from _named(item.items, place)


def squeezed(text: str) -> str:
    """Return a text without what a formatter changes: white space, the kind of quotes, commas before brackets."""
    return re.sub(r",(?=[)\]}]|\Z)", "", re.sub(r"\s+", "", text).replace("'", '"'))
