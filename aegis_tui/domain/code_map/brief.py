"""A file in as few tokens as possible, for a model: what it defines, without bodies and line numbers (MAP-3).

A reader goes on with `PATH:NAME`, so it needs no line numbers; each digit of one is a token.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Final, Literal

from aegis_tui.domain.code_map.facts import MODULE_SCOPE, FileFacts, MapSymbol

_DOC_CHARS: Final = 50
_SENTENCE: Final = re.compile(r".*?[.!?](?=\s|$)")
_SELF: Final = re.compile(r"\((?:self|cls)(?:, |(?=\)))")
_DEF: Final = re.compile(r"^(async )?def ")
_SPECIAL: Final = re.compile(r"__\w+__\Z")


def render_brief(facts: FileFacts, form: Literal["outline", "signatures"]) -> str:
    """Return the definitions of a file, one per line, by line, indented by their depth; empty if it defines nothing.

    What is defined inside functions is left out. In Python, so are `def`, `self` and `-> None`.

    Args:
        facts: Of the file.
        form: `outline` has public classes, functions, methods and headings only, without documentation; `signatures`
            has all, with variables by name, the imports outside of functions, those of the standard library left out,
            and the beginning of each documentation.
    """
    lines = list(_definitions(facts, form))
    if form == "signatures" and lines:
        doc = next((symbol.doc for symbol in facts.symbols if symbol.kind == "module"), "")
        lines = [*([f"# {_start(doc)}"] if doc else []), *_imports(facts), *lines]
    return "\n".join(lines)


def _definitions(facts: FileFacts, form: str) -> Iterator[str]:
    kinds = {symbol.name: symbol.kind for symbol in facts.symbols}
    variables: list[str] = []
    scope = ""
    for symbol in sorted(facts.symbols, key=lambda item: (item.line, -item.last)):
        outer, _, name = symbol.name.rpartition(".") if symbol.kind != "heading" else ("", "", symbol.name)
        is_variable = symbol.kind == "variable" and form == "signatures"
        if variables and (not is_variable or outer != scope):
            yield _indent(scope) + ", ".join(variables)
            variables = []
        if kinds.get(outer) in ("function", "method") or symbol.kind == "module":
            continue
        if is_variable:
            variables.append(name)
            scope = outer
        elif symbol.kind != "variable" and (form == "signatures" or _is_public(symbol)):
            doc = f"  # {_start(symbol.doc)}" if form == "signatures" and symbol.doc else ""
            yield _indent(outer) + _signature(symbol, facts.language) + doc
    if variables:
        yield _indent(scope) + ", ".join(variables)


def _indent(outer: str) -> str:
    return " " * (outer.count(".") + 1) if outer else ""


def _signature(symbol: MapSymbol, language: str) -> str:
    if language != "python" or symbol.kind == "class":
        return symbol.signature
    return _SELF.sub("(", _DEF.sub(r"\1", symbol.signature), count=1).removesuffix(" -> None")


def _is_public(symbol: MapSymbol) -> bool:
    if symbol.kind == "heading":
        return True
    parts = symbol.name.split(".")
    return not any(part.startswith("_") for part in parts) and not _SPECIAL.match(parts[-1])


def _start(doc: str) -> str:
    """Return the first sentence of a documentation, cut with `…` between two words if it is long."""
    match = _SENTENCE.match(doc)
    text = match.group() if match else doc
    return text if len(text) <= _DOC_CHARS else f"{text[:_DOC_CHARS].rsplit(' ', 1)[0]}…"


def _imports(facts: FileFacts) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for item in facts.imports:
        is_standard = (
            facts.language == "python" and not item.level and item.module.partition(".")[0] in sys.stdlib_module_names
        )
        if item.scope == MODULE_SCOPE and not is_standard:
            names.setdefault("." * item.level + item.module, []).append(item.name)
    if names:
        yield "imports " + "; ".join(_import(module, taken) for module, taken in names.items())


def _import(module: str, names: list[str]) -> str:
    listed = ", ".join(name for name in names if name)
    return f"{module}: {listed}" if listed else module
