"""Derives the facts of JavaScript, TypeScript, Go, Rust, Java, C and C++ with tree-sitter.

Definitions are those that can be locked by name; calls inside of functions count as those of the definition around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from aegis_tui.adapters.code_map.imports import imports_of
from aegis_tui.adapters.symbols.grammar import grammar
from aegis_tui.adapters.symbols.tree import definitions_in
from aegis_tui.domain.code_map.facts import CallSite, FileFacts, MapKind, MapSymbol
from aegis_tui.domain.code_map.scopes import Scopes
from aegis_tui.domain.code_map.text import first_paragraph, one_line
from aegis_tui.domain.lock.symbol import Definition

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

_SCRIPT: Final = """
(call_expression function: (_) @call)
(new_expression constructor: (_) @call)
(import_statement) @import
(export_statement source: (_)) @import
(variable_declarator value: (call_expression function: (identifier) @_name) (#eq? @_name "require")) @import
"""
_C: Final = "(call_expression function: (_) @call) (preproc_include) @import"
_QUERIES: Final = {
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "go": "(call_expression function: (_) @call) (import_spec) @import",
    "rust": "(call_expression function: (_) @call) (macro_invocation macro: (_) @call) (use_declaration) @import",
    "java": "(method_invocation) @call (object_creation_expression type: (_) @call) (import_declaration) @import",
    "c": _C,
    "cpp": f"{_C} (new_expression type: (_) @call)",
}
"""Language -> the query for its calls and imports."""


_ACCESS = re.compile(r"\s*(?:\?\.|->|::|\.)\s*")
_ARGUMENTS = re.compile(r"<[^<>()]*>")
_PLAIN = re.compile(r"[\w$#]+(?:\.[\w$#]+)*\Z")
_LAST = re.compile(r"\.([\w$#]+)\Z")
_COMMENT = re.compile(r"^\s*(?:/\*\*?|\*/|\*|//[/!]?)\s?|\s*\*/\s*$")
_END = re.compile(r"(?:\s*(?:=>|=|\{|;))+\Z")


def tree_facts(language: str, source: bytes) -> FileFacts:
    """Return the facts of a file; one with syntax errors gives what can be read of it.

    Args:
        language: The language: javascript, typescript, tsx, go, rust, java, c or cpp.
        source: Its content.

    Raises:
        ImportError: The grammar is not installed.
        RecursionError: It is nested too deeply.
    """
    from tree_sitter import QueryCursor

    parser, query = _tools(language)
    root = parser.parse(source).root_node
    captured = QueryCursor(query).captures(root)
    nodes = {name: sorted(items, key=_place) for name, items in captured.items()}
    definitions = [(item, node) for item, node in definitions_in(root) if item.kind != "imports"]
    definitions.sort(key=lambda pair: _place(pair[1]))
    scopes = Scopes([(node.start_byte, node.end_byte) for _, node in definitions])
    lines = source.decode("utf-8", "replace").split("\n")
    calls = (
        CallSite(node.end_point[0] + 1, scopes.innermost(node.start_byte), _target(node))
        for node in nodes.get("call", ())
    )
    imports = (
        item
        for node in nodes.get("import", ())
        for item in imports_of(language, _text(node), node.start_point[0] + 1, scopes.innermost(node.start_byte))
    )
    symbols = tuple(_symbol(item, node, lines) for item, node in definitions)
    return FileFacts(language, len(lines) - (not lines[-1]), symbols, tuple(imports), tuple(calls))


@cache
def _tools(language: str) -> tuple[Parser, Query]:
    from tree_sitter import Parser, Query

    known = grammar(language)
    return Parser(known), Query(known, _QUERIES[language])


def _place(node: Node) -> tuple[int, int]:
    return node.start_byte, -node.end_byte


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _symbol(definition: Definition, node: Node, lines: list[str]) -> MapSymbol:
    named = node.child_by_field_name("name") or node.child_by_field_name("declarator") or node
    line, (first, last) = named.start_point[0] + 1, definition.span
    kind: MapKind = definition.kind if definition.kind in ("class", "method") else "function"
    doc = first_paragraph("\n".join(_documented(lines[first - 1 : line - 1])))
    return MapSymbol(definition.name, kind, first, line, last, _END.sub("", one_line(definition.signature)), doc)


def _documented(lines: Iterable[str]) -> Iterator[str]:
    """Yield the text of the comments among lines above a definition, up to the first `@tag` of JSDoc or Javadoc."""
    for line in lines:
        stripped = line.strip()
        if not stripped.startswith(("/", "*")):
            continue
        text = _COMMENT.sub("", stripped).strip()
        if text.startswith("@"):
            return
        yield text


def _target(node: Node) -> str:
    """Return what is called in the form of `CallSite.target`: names and dots, `?` for what has no name."""
    if node.type == "method_invocation":
        owner, name = node.child_by_field_name("object"), node.child_by_field_name("name")
        text = f"{_text(owner)}.{_text(name) if name else ''}" if owner is not None else _text(name) if name else ""
    else:
        text = _text(node)
    text = _ACCESS.sub(".", _ARGUMENTS.sub("", text.strip()))
    if _PLAIN.match(text):
        return text
    last = _LAST.search(text)
    return f"?.{last[1]}" if last else "?"
