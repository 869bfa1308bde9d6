"""Reads definitions with tree-sitter; the grammars are installed packages and never downloaded at run time."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aegis_tui.adapters.symbols.grammar import grammar
from aegis_tui.domain.lock.region import Span
from aegis_tui.domain.lock.symbol import IMPORTS, Definition, SymbolKind

if TYPE_CHECKING:
    from tree_sitter import Node

_log = logging.getLogger(__name__)

# Node types of all grammars together: none of them has different meanings in two of these languages.
_IMPORTS = frozenset(
    [
        "import_statement",
        "import_from_statement",
        "future_import_statement",
        "import_alias",
        "import_declaration",
        "use_declaration",
        "extern_crate_declaration",
        "preproc_include",
    ]
)
_WRAPPERS = frozenset(
    [
        *("export_statement", "ambient_declaration", "expression_statement", "decorated_definition"),
        "template_declaration",
    ]
)
_BRANCHES = frozenset(
    [
        *("preproc_ifdef", "preproc_if", "preproc_else", "preproc_elif", "linkage_specification", "declaration_list"),
        "enum_body_declarations",
    ]
)
"""Nodes whose definitions count as those of the node around them."""
_FUNCTIONS = frozenset(
    [
        "function_declaration",
        "generator_function_declaration",
        "function_signature",
        "method_definition",
        "method_signature",
        "abstract_method_signature",
        "function_definition",
        "method_declaration",
        "function_item",
        "function_signature_item",
        "macro_definition",
        "constructor_declaration",
        "compact_constructor_declaration",
        "preproc_function_def",
    ]
)
_CLASSES = frozenset(
    [
        "class_declaration",
        "abstract_class_declaration",
        "interface_declaration",
        "type_alias_declaration",
        "enum_declaration",
        "internal_module",
        "class_definition",
        "struct_item",
        "enum_item",
        "union_item",
        "trait_item",
        "impl_item",
        "mod_item",
        "type_item",
        "type_spec",
        "type_alias",
        "record_declaration",
        "annotation_type_declaration",
        "class_specifier",
        "struct_specifier",
        "union_specifier",
        "enum_specifier",
        "namespace_definition",
        "type_definition",
    ]
)
_LISTS = frozenset(["lexical_declaration", "variable_declaration", "type_declaration"])
_PROTOTYPES = frozenset(["declaration", "field_declaration"])
"""Of C and C++: they define a function only if their declarator is one."""

_VALUED = frozenset(["variable_declarator", "field_definition", "public_field_definition"])
_VALUES = frozenset(["arrow_function", "function_expression", "generator_function", "function", "class"])
_ATTACHED = frozenset(["comment", "line_comment", "block_comment", "attribute_item", "decorator"])
_NAME = re.compile(r"[\w$#]+")
_GENERIC = re.compile(r"<[^<>]*>")
_QUALIFIED = re.compile(r"(?:\w+::)*~?\w+")


def read_tree(language: str, text: str) -> Iterable[Definition] | None:
    """Return the definitions of a file in that language, in their order: imports, classes, functions and methods.

    What is inside functions is left out. Raises nothing for these languages.

    Args:
        language: One of python, javascript, typescript, tsx, go, rust, java, c, cpp.
        text: The whole file.

    Returns:
        None if the text has a syntax error, is nested too deeply, or the grammar of the language is not installed.
    """
    try:
        from tree_sitter import Parser

        parser = Parser(grammar(language))
    except ImportError as error:
        _log.warning(
            "no grammar of the language is installed", extra={"aegis_language": language, "aegis_error": str(error)}
        )
        return None
    try:
        root = parser.parse(text.encode("utf-8", "replace")).root_node
        return None if root.has_error else [item for item, _ in definitions_in(root)]
    except (RecursionError, MemoryError):
        return None


def definitions_in(
    parent: Node, *, scope: str = "", within: SymbolKind | None = None
) -> Iterator[tuple[Definition, Node]]:
    """Yield the definitions below a node, each with its own node; those inside of functions are left out.

    Args:
        parent: The root of a file, or the body of a class.
        scope: The dotted name of the class around them, with a dot at its end; empty at the top of the file.
        within: `class` for the body of a class: functions in it are methods.

    Raises:
        RecursionError: The text is nested too deeply.
    """
    for outer in parent.named_children:
        inner = outer
        while inner.type in _WRAPPERS and (wrapped := _wrapped(inner)) is not None:
            inner = wrapped
        if inner.type in _IMPORTS and not scope:
            yield Definition(IMPORTS, "imports", _span(outer)), outer
        elif inner.type in _BRANCHES:
            yield from definitions_in(inner, scope=scope, within=within)
        elif inner.type in _LISTS:
            many = [item for item in inner.named_children if item.type not in _ATTACHED]
            for item in many:
                yield from _one(item, outer if len(many) == 1 else item, scope, within)
        else:
            yield from _one(inner, outer, scope, within)


def _wrapped(node: Node) -> Node | None:
    for name in ("declaration", "definition"):
        if (child := node.child_by_field_name(name)) is not None:
            return child
    kinds = _FUNCTIONS | _CLASSES | _LISTS
    return next((child for child in node.named_children if child.type in kinds), None)


def _one(node: Node, outer: Node, scope: str, within: SymbolKind | None) -> Iterator[tuple[Definition, Node]]:
    name = _name(node)
    if name is None:
        return
    span = _span(outer)
    value = node.child_by_field_name("value") if node.type in _VALUED else None
    if node.type in _CLASSES or (value is not None and value.type == "class"):
        body = (value or node).child_by_field_name("body")
        yield Definition(f"{scope}{name}", "class", span, _signature(node, body)), node
        if body is not None:
            yield from definitions_in(body, scope=f"{scope}{name}.", within="class")
    elif node.type in _FUNCTIONS or node.type in _PROTOTYPES or (value is not None and value.type in _VALUES):
        body = (value or node).child_by_field_name("body")
        is_method = within == "class" or node.type == "method_declaration"
        kind: SymbolKind = "method" if is_method else "function"
        yield Definition(f"{scope}{name}", kind, span, _signature(node, body)), node


def _name(node: Node) -> str | None:
    """Return the name of a definition's node: for Rust's `impl` its type, for a method of Go with its type in front.

    None if it has no name, or one that is not a plain word: then it is no definition that can be named.
    """
    if node.type == "impl_item":
        return _first_type(node.child_by_field_name("type"))
    if (declarator := node.child_by_field_name("declarator")) is not None and node.type not in _VALUED:
        return _declared(node, declarator)
    if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return None
    named = node.child_by_field_name("name") or node.child_by_field_name("property")
    name = _text(named)
    if not _NAME.fullmatch(name):
        return None
    if (receiver := node.child_by_field_name("receiver")) is not None:
        owner = _first_type(receiver)
        return None if owner is None else f"{owner}.{name}"
    return name


def _declared(node: Node, declarator: Node | None) -> str | None:
    """Return the dotted name that a declarator of C or C++ gives to a function or type; None if it is neither.

    Template arguments are left out, and `::` becomes a dot.
    """
    is_function = node.type == "type_definition"
    while declarator is not None and declarator.type.endswith("_declarator"):
        is_function = is_function or declarator.type == "function_declarator"
        inner = declarator.child_by_field_name("declarator")
        declarator = inner or (declarator.named_children[-1] if declarator.named_child_count else None)
    name = _GENERIC.sub("", _text(declarator))
    return name.replace("::", ".") if is_function and _QUALIFIED.fullmatch(name) else None


def _first_type(node: Node | None) -> str | None:
    waiting = [] if node is None else [node]
    while waiting:
        candidate = waiting.pop()
        if candidate.type == "type_identifier":
            return _text(candidate)
        waiting += reversed(candidate.named_children)
    return None


def _text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def _signature(node: Node, body: Node | None) -> str:
    whole = node.text or b""
    return whole[: len(whole) if body is None else body.start_byte - node.start_byte].decode("utf-8", "replace")


def _span(node: Node) -> Span:
    """Return the first and last line of a node, from 1, including the comments and attributes directly above it.

    A comment that shares a line with the code before it is not included.
    """
    first = node.start_point.row + 1
    above = node.prev_named_sibling
    while above is not None and above.type in _ATTACHED and _last_line(above) == first - 1:
        before = above.prev_named_sibling
        if before is not None and _last_line(before) == above.start_point.row + 1:
            break
        first, above = above.start_point.row + 1, before
    return first, _last_line(node)


def _last_line(node: Node) -> int:
    ends_at_line_start = node.end_point.column == 0 and node.end_point.row > node.start_point.row
    return node.end_point.row + (0 if ends_at_line_start else 1)
