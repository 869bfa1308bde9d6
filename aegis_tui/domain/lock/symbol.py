"""The symbols of a file: the parts that can be locked by name, and the symbol that a change lies in (LOCK-1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from aegis_tui.domain.lock.region import Hunk, Span, is_inside, joined

SymbolKind = Literal["function", "class", "method", "imports", "module"]

IMPORTS: Final = "<imports>"
"""The import statements of the module level."""
MODULE: Final = "<module>"
"""The lines that are in no function, class or import."""
_NEAREST = 5


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition that a parser reported; several may have the same name."""

    name: str
    """Dotted, `Parser.parse`."""
    kind: SymbolKind
    span: Span
    """From its first decorator, attribute or attached comment to its end."""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A part of a file that can be locked by name."""

    name: str
    kind: SymbolKind
    spans: tuple[Span, ...]
    """Its lines and those of the symbols below it; sorted, no two adjacent."""
    signature_hash: str
    """Changes when its signature does, not when its body does."""


class Outline:
    """The symbols of one content of a file, by name."""

    def __init__(self, symbols: Mapping[str, Symbol], line_count: int) -> None:
        self.symbols = symbols
        self.line_count = line_count

    def find(self, name: str) -> Symbol | None:
        """Return the symbol with that dotted name; None when there is none."""
        return self.symbols.get(name)

    def nearest(self, name: str) -> list[str]:
        """Return at most five names that a person may have meant, the likeliest first; empty if none is similar.

        Those with the same last part come first, in any case of letters.
        """
        last = name.rpartition(".")[2].casefold()
        same = [known for known in self.symbols if known.rpartition(".")[2].casefold() == last]
        alike = get_close_matches(name, list(self.symbols), n=_NEAREST, cutoff=0.4)
        return list(dict.fromkeys([*same, *alike]))[:_NEAREST]

    def enclosing(self, hunks: Sequence[Hunk]) -> Symbol | None:
        """Return the smallest symbol that contains the whole change; None when no symbol does, or there is no change.

        `<module>` counts as larger than any other.

        Args:
            hunks: The change, in the line numbers of this content.
        """
        around = [
            symbol for symbol in self.symbols.values() if hunks and all(is_inside(hunk, symbol.spans) for hunk in hunks)
        ]
        return min(around, key=_size, default=None)


def _size(symbol: Symbol) -> tuple[bool, int, int]:
    """Return the key by which `enclosing` finds the smallest symbol.

    `<module>` counts as the largest, so lines added at the end of a function belong to the function.
    """
    lines = sum(last - first + 1 for first, last in symbol.spans)
    return symbol.kind == "module", lines, -len(symbol.name)


def build_outline(definitions: Iterable[Definition], line_count: int) -> Outline:
    """Build the outline of a file from its definitions; the lines in none of them become the symbol `<module>`.

    Args:
        definitions: They may be in any order. Those with one name become one symbol; `A.b` is also part of `A`.
        line_count: How many lines the file has.
    """
    by_name: dict[str, list[Definition]] = {}
    for item in definitions:
        by_name.setdefault(item.name, []).append(item)
    spans: dict[str, list[Span]] = {name: [item.span for item in items] for name, items in by_name.items()}
    for name, items in by_name.items():
        outer = name
        while outer := outer.rpartition(".")[0]:
            spans.get(outer, []).extend(item.span for item in items)
    symbols = {name: _symbol(name, items, spans[name]) for name, items in by_name.items()}
    if rest := _rest([span for symbol in symbols.values() for span in symbol.spans], line_count):
        symbols[MODULE] = Symbol(MODULE, "module", rest, _hash(""))
    return Outline(symbols, line_count)


def _symbol(name: str, items: Sequence[Definition], spans: Iterable[Span]) -> Symbol:
    return Symbol(name, items[0].kind, joined(spans), _hash("\n".join(item.signature for item in items)))


def _rest(taken: Iterable[Span], line_count: int) -> tuple[Span, ...]:
    rest: list[Span] = []
    after = 1
    for first, last in joined(taken):
        if first > after:
            rest.append((after, first - 1))
        after = last + 1
    if after <= line_count:
        rest.append((after, line_count))
    return tuple(rest)


def _hash(signature: str) -> str:
    return hashlib.sha256(" ".join(signature.split()).encode("utf-8", "replace")).hexdigest()[:16]


def hull(hunks: Sequence[Hunk], line_count: int) -> Span:
    """Return the span from the first to the last line that a change may touch, in the line numbers of the old file.

    An insertion touches the line before which it is placed. The span is limited to the lines of the old file.

    Args:
        hunks: The change, at least one hunk.
        line_count: How many lines the old file has.
    """
    first = min(hunk.start - hunk.slack for hunk in hunks)
    last = max(hunk.start + max(hunk.removed, 1) - 1 for hunk in hunks)
    top = max(line_count, 1)
    return min(first, top), min(last, top)
