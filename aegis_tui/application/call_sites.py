"""The places that call a definition, with the code of the calls, so that they can be changed without a file read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from aegis_tui.domain.code_map.excerpt import Excerpt, excerpt_of, joined, render_excerpt
from aegis_tui.domain.code_map.facts import FileFacts
from aegis_tui.domain.code_map.language import is_test
from aegis_tui.domain.code_map.relations import Site
from aegis_tui.domain.wire.code_map import DefinitionRow, SiteRow, SymbolRow

MOST_CODE_CHARS: Final = 4_000
"""How much code an answer has; the sites after that have none. Tests come last."""

_MOST_FILES: Final = 20
"""Of how many files an answer has code."""

MOST_LINES: Final = 40
"""How many lines of a definition or of calls are shown together at most, unless one call has more."""

Texts = Callable[[Collection[str]], Mapping[str, Sequence[str]]]
"""Returns the lines of the files with these paths; a file that cannot be read is missing in it."""

Block = tuple[list[Site], Excerpt]
"""Calls in one definition whose lines are shown together, and these lines."""


def site_rows(sites: Iterable[Site]) -> list[SiteRow]:
    """Return the sites as answers have them, by path and line, each once."""
    return [
        {"path": site.path, "line": site.line, "caller": site.caller, "call": site.target, "certain": site.certain}
        for site in sorted(set(sites))
    ]


def rows_with_code(
    definitions: Sequence[SymbolRow], sites: Iterable[Site], facts: Callable[[str], FileFacts | None], texts: Texts
) -> tuple[list[DefinitionRow], list[SiteRow]]:
    """Return the definitions with their code, and the sites by path and line, each once, with the code of the call.

    At most `MOST_CODE_CHARS` characters of code are returned in all. Short definitions come first, then calls, those in
    tests last. Calls whose excerpts touch are shown together, with the first of them.

    Args:
        definitions: What is called.
        sites: The calls.
        facts: Returns the facts of a file; None if the map does not have it.
        texts: The files.
    """
    ordered = sorted(set(sites))
    paths = sorted({site.path for site in ordered}, key=lambda path: (is_test(path), path))[:_MOST_FILES]
    lines = texts(sorted({*paths, *(row["path"] for row in definitions)}))
    code = _Code(MOST_CODE_CHARS)
    defined: list[DefinitionRow] = []
    for row in definitions:
        extent = Excerpt(row["first"], row["last"])
        is_short = extent.last - extent.first < MOST_LINES
        defined.append({**row, "code": code.take(lines.get(row["path"], ()), extent) if is_short else ""})
    codes: dict[Site, tuple[int, str]] = {}
    for path in paths:
        mine = [site for site in ordered if site.path == path and site.line <= len(lines.get(path, ()))]
        for block, excerpt in _blocks(mine, facts(path), lines.get(path, ())):
            codes[block[0]] = (excerpt.first, code.take(lines[path], excerpt))
    return defined, [
        {
            **row,
            "signature": _signature(site, facts(site.path)),
            "code_line": first if text else 0,
            "code": text,
        }
        for site, row in zip(ordered, site_rows(ordered), strict=True)
        for first, text in [codes.get(site, (0, ""))]
    ]


class _Code:
    """The code of one answer, which is limited.

    Args:
        limit: How many characters it may have.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, lines: Sequence[str], excerpt: Excerpt) -> str:
        """Return the lines of an excerpt as they are written; empty if they are too long for what is left."""
        text = render_excerpt(lines, excerpt)
        if len(text) > self._left:
            return ""
        self._left -= len(text)
        return text


def _blocks(sites: Iterable[Site], facts: FileFacts | None, lines: Sequence[str]) -> Iterator[Block]:
    """Yield the sites of one file, those of a definition whose excerpts touch together, with the lines to show."""
    for caller, group in groupby(sites, key=lambda site: site.caller):
        block: list[Site] = []
        shown = Excerpt(0, 0)
        for site in group:
            excerpt = excerpt_of(lines, site.line, within=_extent(facts, caller, site.line, len(lines)))
            if block and (excerpt.first > shown.last + 1 or excerpt.last - shown.first >= MOST_LINES):
                yield block, shown
                block = []
            shown = joined([shown, excerpt]) if block else excerpt
            block.append(site)
        yield block, shown


def _extent(facts: FileFacts | None, caller: str, line: int, count: int) -> Excerpt:
    """Return the lines of the definition around a call; all lines of the file outside of all definitions."""
    for symbol in facts.symbols if facts is not None else ():
        if symbol.name == caller and symbol.first <= line <= symbol.last:
            return Excerpt(symbol.first, symbol.last)
    return Excerpt(1, count)


def _signature(site: Site, facts: FileFacts | None) -> str:
    for symbol in facts.symbols if facts is not None else ():
        if symbol.name == site.caller and symbol.first <= site.line <= symbol.last:
            return symbol.signature
    return ""
