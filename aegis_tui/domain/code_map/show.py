"""A file or symbol as text for a reader who wants no more than is needed: outline, signatures or body (MAP-3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol

ShowAs = Literal["outline", "signatures", "body"]
FORMS: Final[tuple[ShowAs, ...]] = ("outline", "signatures", "body")

_SPECIAL: Final = re.compile(r"__\w+__\Z")


def render_symbols(facts: FileFacts, form: Literal["outline", "signatures"], *, within: MapSymbol | None = None) -> str:
    """Return the definitions of a file, one per line as `LINE: SIGNATURE`, by line, indented by their depth.

    Empty if there is nothing to show.

    Args:
        facts: Of the file.
        form: `outline` has public classes, functions, methods and headings only, without documentation; `signatures`
            has all but variables inside functions and methods, with the imports outside of functions and each first
            paragraph of documentation.
        within: Only what begins on the lines of this symbol, without the imports; None for all.
    """
    lines = list(_imports(facts)) if form == "signatures" and within is None else []
    for symbol in sorted(facts.symbols, key=lambda item: (item.line, -item.last)):
        if _is_shown(symbol, form, within):
            lines.append((symbol.line, _line(symbol, form)))
    return "\n".join(f"{number}: {text}" for number, text in sorted(lines, key=lambda line: line[0]))


def _line(symbol: MapSymbol, form: str) -> str:
    if symbol.kind == "module":
        return f"# {symbol.doc}"
    indent = "" if symbol.kind == "heading" else "  " * symbol.name.count(".")
    doc = f"  # {symbol.doc}" if form == "signatures" and symbol.doc else ""
    return f"{indent}{symbol.signature}{doc}"


def _is_shown(symbol: MapSymbol, form: str, within: MapSymbol | None) -> bool:
    if within is not None and not (within.first <= symbol.line <= within.last):
        return False
    if form == "signatures":
        return symbol.kind != "variable" or symbol.name.count(".") <= 1
    parts = symbol.name.split(".")
    is_public = not any(part.startswith("_") and not _SPECIAL.match(part) for part in parts)
    is_special = bool(_SPECIAL.match(parts[-1]))
    return symbol.kind in ("class", "function", "method", "heading") and (is_public and not is_special)


def _imports(facts: FileFacts) -> Iterator[tuple[int, str]]:
    """Yield line and text of each import outside of functions: `import MODULE: NAME, NAME`, or `import MODULE` alone.

    Names taken from one module on one line are yielded together.
    """
    names: dict[tuple[int, str], list[str]] = {}
    for item in facts.imports:
        if item.scope < 0:
            names.setdefault((item.line, "." * item.level + item.module), []).append(item.name)
    for (line, module), taken in names.items():
        listed = ", ".join(name for name in taken if name)
        yield line, f"import {module}{f': {listed}' if listed else ''}"
