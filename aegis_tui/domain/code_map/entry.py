"""What a store keeps of one content: its facts, with the words and vectors by which they are looked up."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol, pack_facts
from aegis_tui.domain.code_map.text import words_of
from aegis_tui.domain.code_map.vector import vector_of

_SYNTAX: Final = frozenset(["async", "bool", "class", "cls", "def", "float", "int", "none", "object", "self", "str"])
"""Words of signatures that say nothing about one of them."""


class SymbolEntry(NamedTuple):
    """One symbol, and by what it is searched for."""

    symbol: MapSymbol
    name_words: str
    """The words of its name, each once, with blanks between them."""
    words: str
    """Other words of its signature and documentation."""
    vector: bytes
    """Of all these words; see `vector_of`."""


class Entry(NamedTuple):
    """One content."""

    lines: int
    relations: str
    """`pack_facts` of its facts without the symbols."""
    mention: str
    """The names of `FileFacts.mentions`, sorted, with blanks between them."""
    symbols: tuple[SymbolEntry, ...]


def make_entry(facts: FileFacts) -> Entry:
    """Return what the store keeps of a file's content: packed facts, the names that it mentions, and its symbols.

    Each symbol gets the words of its name, the other words of its signature and documentation (without words that occur
    in every signature, such as `def`), and a vector of both. The order of the symbols stays.
    """
    symbols = tuple(_symbol(symbol) for symbol in facts.symbols)
    mention = " ".join(sorted(facts.mentions()))
    return Entry(facts.lines, pack_facts(facts._replace(symbols=())), mention, symbols)


def _symbol(symbol: MapSymbol) -> SymbolEntry:
    name = dict.fromkeys(words_of(symbol.name))
    others = dict.fromkeys(words_of(f"{symbol.signature} {symbol.doc}"))
    words = [word for word in others if word not in name and word not in _SYNTAX]
    return SymbolEntry(symbol, " ".join(name), " ".join(words), vector_of([*name, *words]))


def entry_to_wire(entry: Entry) -> list[Any]:
    """Return an entry as a list that JSON can hold; `entry_from_wire` makes the entry again."""
    symbols = [[*item[:3], item.vector.decode("latin-1")] for item in entry.symbols]
    return [*entry[:3], symbols]


def entry_from_wire(wire: list[Any]) -> Entry:
    """Return the entry of which `entry_to_wire` made these values, also after a trip through JSON.

    Raises:
        ValueError: The values have another form; not every such value is found.
    """
    try:
        lines, relations, mention, symbols = wire
        items = tuple(
            SymbolEntry(_symbol_from_wire(symbol), name, words, vector.encode("latin-1"))
            for symbol, name, words, vector in symbols
        )
        return Entry(lines, relations, mention, items)
    except (TypeError, AttributeError) as error:
        raise ValueError("an entry of the code map has an unexpected form") from error


def _symbol_from_wire(fields: list[Any]) -> MapSymbol:
    return MapSymbol._make([*fields[:7], tuple(fields[7]), fields[8]])
