"""Reads the items of JavaScript, TypeScript, Go, Rust and Java files with tree-sitter, for merging (GIT-3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from aegis_tui.adapters.symbols.grammar import grammar
from aegis_tui.domain.code_map.language import language_of
from aegis_tui.domain.merge.source import SourceKind, SourceNode, SourceTree

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LANGUAGES: Final = frozenset({"javascript", "typescript", "tsx", "go", "rust", "java"})
_IMPORTS: Final = frozenset(
    {"import_statement", "import_declaration", "use_declaration", "extern_crate_declaration", "package_clause"}
)
_CLASSES: Final = frozenset(
    {"class_declaration", "abstract_class_declaration", "interface_declaration", "impl_item", "trait_item", "mod_item"}
) | {"record_declaration", "internal_module"}
_FUNCTIONS: Final = frozenset(
    {"function_declaration", "generator_function_declaration", "function_signature", "method_definition"}
) | {
    *("method_declaration", "constructor_declaration", "function_item", "function_signature_item", "macro_definition"),
    *("method_signature", "abstract_method_signature", "compact_constructor_declaration"),
}
_NAMED: Final = frozenset(
    {"lexical_declaration", "variable_declaration", "type_alias_declaration", "enum_declaration", "struct_item"}
) | {
    *("enum_item", "union_item", "type_item", "static_item", "const_item", "type_declaration", "field_declaration"),
    *("public_field_definition", "field_definition", "const_declaration", "var_declaration", "property_signature"),
    *("annotation_type_declaration",),
}
_MANY: Final = frozenset(
    {"variable_declaration", "function_signature", "impl_item", "interface_declaration", "internal_module", "mod_item"}
)
"""Of these several with one name are allowed in one place."""
_ATTACHED: Final = frozenset({"attribute_item", "decorator"})
"""They belong to the item below them."""
_WORDS: Final = frozenset({"import_specifier", "export_specifier", "import_spec", "scoped_identifier", "string"})
_COMMENTS: Final = frozenset({"comment", "line_comment", "block_comment"})
_PLAIN: Final = frozenset({"init", "_"})
"""Names of functions and variables that Go allows several times."""
_ACCESSORS: Final = frozenset({"get", "set", "static"})


@lru_cache(maxsize=32)
def read_source(path: str, text: str) -> SourceTree | None:
    """Return the items of a file; None if no installed grammar knows its language.

    Raises:
        SyntaxError: It has an error.
        RecursionError: It is nested too deeply.
    """
    language = language_of(path)
    parser = _parser(language) if language in LANGUAGES else None
    if parser is None:
        return None
    root = parser.parse(text.encode()).root_node
    if root.has_error:
        raise SyntaxError(f"it has an error as {language}")
    items = tuple(_items(root))
    own = set(_lines_of(items))
    return SourceTree(items, tuple(sorted({line for line in _comment_lines(root) if line not in own})))


def _lines_of(items: Iterable[SourceNode]) -> Iterator[int]:
    """Yield the lines of items, without what is in the bodies of classes but in no item there."""
    for item in items:
        start, end = item.body or (item.last, item.last)
        yield from range(item.first, start)
        yield from _lines_of(item.items)
        yield from range(end, item.last)


@cache
def _parser(language: str) -> Parser | None:
    from tree_sitter import Parser

    try:
        return Parser(grammar(language))
    except ImportError:
        return None


def _comment_lines(parent: Node) -> Iterator[int]:
    for node in parent.named_children:
        if node.type in _COMMENTS:
            yield from range(node.start_point[0], _after(node))
        elif _kind(inner := _declared(node)) == "class" and (body := _callback(inner) or _body(inner)) is not None:
            yield from _comment_lines(body)


def _after(node: Node) -> int:
    """Return the line after the last one of a node."""
    row, column = node.end_point
    return row if column == 0 and row > node.start_point[0] else row + 1


def _items(parent: Node) -> Iterator[SourceNode]:
    attached: list[Node] = []
    for node in parent.named_children:
        if node.type in _ATTACHED:
            attached.append(node)
        elif node.type not in _COMMENTS:
            yield _item(node, attached)
            attached = []
    for node in attached:
        yield SourceNode("statement", _text(node), node.start_point[0], _after(node))


def _item(node: Node, attached: list[Node]) -> SourceNode:
    first, last = (attached[0] if attached else node).start_point[0], _after(node)
    inner = _declared(node)
    marks = "".join(f"{_text(mark)} " for mark in attached if "cfg" in _text(mark))
    if inner.type in _IMPORTS or (node.type == "export_statement" and inner is node):
        return SourceNode("import", _source_of(node), first, last, names=tuple(_words(node)))
    kind = _kind(inner)
    name = marks + _name(inner) if kind != "statement" else ""
    if not name:
        return SourceNode("statement", _text(node), first, last)
    if kind == "class" and inner.type == "expression_statement":
        return _with_body(SourceNode(kind, name, first, last), _callback(inner))
    is_single = inner.type not in _MANY and _plain_name(inner) not in _PLAIN and not marks
    return _with_body(SourceNode(kind, name, first, last, is_single), _body(inner) if kind == "class" else None)


def _with_body(item: SourceNode, body: Node | None) -> SourceNode:
    """Return an item with what is in its body, if that begins and ends on lines of its own."""
    span = (body.start_point[0] + 1, body.end_point[0]) if body is not None else None
    if body is None or span is None or span[1] < span[0] or not _stands_alone(body):
        return item
    return item._replace(body=span, items=tuple(_items(body)))


def _callback(node: Node) -> Node | None:
    """Return the body of the function that a statement gives to a call as its last argument, as `describe` gets one."""
    call = node.named_children[0] if node.named_children else node
    arguments = call.child_by_field_name("arguments") if call.type == "call_expression" else None
    last = arguments.named_children[-1] if arguments is not None and arguments.named_children else None
    is_function = last is not None and last.type in ("function_expression", "arrow_function")
    body = last.child_by_field_name("body") if last is not None and is_function else None
    return body if body is not None and body.type == "statement_block" else None


def _declared(node: Node) -> Node:
    """Return the declaration that an export or a statement wraps; the node itself if it wraps none."""
    if node.type in ("export_statement", "ambient_declaration"):
        return node.child_by_field_name("declaration") or next(
            (child for child in node.named_children if _kind(child) != "statement"), node
        )
    if node.type == "expression_statement" and node.named_children and node.named_children[0].type == "internal_module":
        return node.named_children[0]
    return node


def _kind(node: Node) -> SourceKind:
    if node.type in _CLASSES or (node.type == "expression_statement" and _callback(node) is not None):
        return "class"
    if node.type in _FUNCTIONS:
        return "function"
    return "binding" if node.type in _NAMED else "statement"


def _text(node: Node) -> str:
    return " ".join((node.text or b"").decode("utf-8", "replace").split())


def _plain_name(node: Node) -> str:
    named = node.child_by_field_name("name")
    return _text(named) if named is not None else ""


def _name(node: Node) -> str:
    """Return what a declaration is known by: with its receiver, its accessor and the types of its parameters."""
    if node.type == "impl_item":
        body = _body(node)
        whole = (node.text or b"")[: body.start_byte - node.start_byte] if body is not None else node.text or b""
        return " ".join(whole.decode("utf-8", "replace").split())
    if node.type == "expression_statement":
        return (node.text or b"").decode("utf-8", "replace").partition("\n")[0].strip()
    name = _plain_name(node) or " ".join(_declarators(node))
    if not name and node.type == "constructor_declaration":
        name = "constructor"
    if not name:
        return ""
    if node.type == "method_declaration" and (receiver := node.child_by_field_name("receiver")) is not None:
        types = [_text(each) for part in receiver.named_children if (each := part.child_by_field_name("type"))]
        name = f"{' '.join(types)}.{name}"
    words = [child.type for child in node.children if child.type in _ACCESSORS]
    name = " ".join([*words, name])
    parameters = node.child_by_field_name("parameters")
    if parameters is None or node.type not in ("method_declaration", "constructor_declaration", "function_signature"):
        return name
    if node.child_by_field_name("receiver") is not None:
        return name
    types = [_text(part.child_by_field_name("type") or part) for part in parameters.named_children]
    return f"{name}({', '.join(types)})"


def _declarators(node: Node) -> Iterator[str]:
    """Yield the names that a declaration binds."""
    for child in node.named_children:
        if child.type in ("variable_declarator", "var_spec", "const_spec", "type_spec", "type_alias"):
            named = child.child_by_field_name("name")
            yield _text(named) if named is not None else _text(child)
        elif child.type in ("var_spec_list", "property_identifier", "private_property_identifier"):
            yield _text(child).partition("=")[0].strip() if child.type != "var_spec_list" else ""


def _body(node: Node) -> Node | None:
    body = node.child_by_field_name("body")
    return body if body is not None and body.type.endswith(("body", "declaration_list", "block")) else None


def _stands_alone(body: Node) -> bool:
    """Whether nothing of a body is on the lines of its brackets."""
    inner = body.named_children
    return not inner or (inner[0].start_point[0] > body.start_point[0] and inner[-1].end_point[0] < body.end_point[0])


def _source_of(node: Node) -> str:
    """Return what an import is from: its module, or its whole text up to the names in braces."""
    source = node.child_by_field_name("source")
    if source is not None:
        return f"{node.type.partition('_')[0]} {_text(source)}"
    return _text(node).partition("{")[0].rstrip("; (") if node.type != "import_declaration" else _import_name(node)


def _import_name(node: Node) -> str:
    is_list = any(child.type == "import_spec_list" for child in node.named_children)
    return "import" if is_list else _text(node)


def _words(node: Node) -> Iterator[str]:
    """Yield the names, texts and paths in an import, each as one."""
    todo = [node]
    while todo:
        part = todo.pop()
        if part.type in _WORDS or (part.named_child_count == 0 and part is not node):
            yield _text(part)
        else:
            todo += part.named_children
