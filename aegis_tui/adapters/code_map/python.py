"""Derives the facts of Python source with tree-sitter. A file with syntax errors gives what can be read of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from aegis_tui.adapters.symbols.grammar import grammar
from aegis_tui.domain.code_map.facts import Binding, CallSite, FileFacts, Import, MapKind, MapSymbol
from aegis_tui.domain.code_map.scopes import Scopes
from aegis_tui.domain.code_map.text import first_paragraph, one_line

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

_QUERY = """
(class_definition) @definition
(function_definition) @definition
(call function: (_) @call)
(decorator (identifier) @call)
(decorator (attribute) @call)
(import_statement) @import
(import_from_statement) @import
(module (expression_statement (assignment left: (identifier)) @field))
(class_definition body: (block (expression_statement (assignment left: (identifier)) @field)))
(assignment right: [(call) (identifier) (attribute) (await)]) @binding
(assignment type: (type)) @binding
(typed_parameter) @binding
(typed_default_parameter) @binding
(as_pattern (call) alias: (as_pattern_target)) @binding
"""
_NESTING = frozenset(
    [
        *("block", "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "try_statement"),
        *("except_clause", "except_group_clause", "finally_clause", "with_statement", "match_statement", "case_clause"),
        *("function_definition", "class_definition", "decorated_definition"),
    ]
)
"""The nodes whose last statement may be followed by a comment that they contain."""

_PLAIN = re.compile(r"[^\W\d][\w.]*\Z")
_STRING = re.compile(r"""\A[A-Za-z]*("{3}|'{3}|"|')(.*)\1\Z""", re.DOTALL)
_SELF = re.compile(r"(?:self|cls)\.\w+\Z|\w+\Z")


def python_facts(source: bytes) -> FileFacts:
    """Return the facts of a Python file; of one with syntax errors, what can be read of it.

    Args:
        source: Its content; bytes that are not UTF-8 are replaced where text is taken from it.

    Raises:
        ImportError: The grammar is not installed.
        RecursionError: An expression is nested too deeply.
    """
    from tree_sitter import QueryCursor

    parser, query = _tools()
    root = parser.parse(source).root_node
    nodes = {
        name: sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte))
        for name, nodes in QueryCursor(query).captures(root).items()
    }
    return _PythonFile(source, root, nodes).facts()


@cache
def _tools() -> tuple[Parser, Query]:
    from tree_sitter import Parser, Query

    language = grammar("python")
    return Parser(language), Query(language, _QUERY)


class _PythonFile:
    """One file while its facts are read. `nodes` are those of the query by their names, in the order of the text."""

    def __init__(self, source: bytes, root: Node, nodes: dict[str, list[Node]]) -> None:
        self._source = source
        self._root = root
        self._nodes = nodes
        self._definitions = nodes.get("definition", [])
        self._scopes = Scopes([(node.start_byte, node.end_byte) for node in self._definitions])
        self._symbols: list[MapSymbol] = []

    def facts(self) -> FileFacts:
        source = self._source
        lines = source.count(b"\n") + (bool(source) and not source.endswith(b"\n"))
        for at, node in enumerate(self._definitions):
            self._symbols.append(self._symbol(at, node))
        inner = self._scopes.innermost
        imports = [
            item for node in self._nodes.get("import", ()) for item in self._imports(node, inner(node.start_byte))
        ]
        calls = [
            CallSite(node.end_point[0] + 1, inner(node.start_byte), self._dotted(node))
            for node in self._nodes.get("call", ())
        ]
        bindings = [item for node in self._nodes.get("binding", ()) if (item := self._binding(node)) is not None]
        symbols = [*self._symbols, *(self._field(node) for node in self._nodes.get("field", ()))]
        if doc := self._doc(self._root):
            symbols.append(MapSymbol("", "module", 1, 1, max(lines, 1), "", doc))
        return FileFacts("python", lines, tuple(symbols), tuple(imports), tuple(calls), tuple(bindings))

    def _text(self, node: Node | None) -> str:
        return "" if node is None else self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _name(self, scope: int, name: str) -> str:
        return f"{self._symbols[scope].name}.{name}" if scope >= 0 else name

    def _symbol(self, at: int, node: Node) -> MapSymbol:
        """Return the symbol of one class or function, with its lines, signature and the start of its docstring.

        The symbols of all definitions before it must be in `_symbols` already: the name of the one around it is taken
        from there.

        Args:
            at: Its index in `_definitions`.
            node: Its node.
        """
        outer = self._scopes.outer(at)
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        line, parent = node.start_point[0] + 1, node.parent
        is_decorated = parent is not None and parent.type == "decorated_definition"
        first = parent.start_point[0] + 1 if parent is not None and is_decorated else line
        head = self._head(node, body.start_byte if body is not None else node.end_byte)
        last = _last_line(body if body is not None else node)
        doc = self._doc(body) if body is not None else ""
        full = self._name(outer, self._text(name))
        if node.type == "class_definition":
            return MapSymbol(full, "class", first, line, last, head, doc, tuple(self._bases(node)))
        is_method = outer >= 0 and self._symbols[outer].kind == "class"
        kind: MapKind = "method" if is_method else "function"
        returns = one_line(self._text(node.child_by_field_name("return_type")))
        return MapSymbol(full, kind, first, line, last, head, doc, (), returns)

    def _head(self, node: Node, until: int) -> str:
        """Return a definition up to a byte on one line, without the colon at its end and without comments."""
        parameters = node.child_by_field_name("parameters")
        inner = [*node.children, *(parameters.children if parameters is not None else ())]
        comments = [(item.start_byte, item.end_byte) for item in inner if item.type == "comment"]
        text, at = b"", node.start_byte
        for first, last in sorted(pair for pair in comments if pair[1] <= until):
            text, at = text + self._source[at:first], last
        return one_line((text + self._source[at:until]).decode("utf-8", "replace")).rstrip(": ")

    def _field(self, node: Node) -> MapSymbol:
        """Return the symbol of a variable of a module or class, from the node of its assignment."""
        line, last = node.start_point[0] + 1, node.end_point[0] + 1
        name = self._name(self._scopes.innermost(node.start_byte), self._text(node.child_by_field_name("left")))
        return MapSymbol(name, "variable", line, line, last, one_line(self._text(node), limit=120), "")

    def _bases(self, node: Node) -> Iterator[str]:
        listed = node.child_by_field_name("superclasses")
        for item in listed.named_children if listed is not None else ():
            base = item.child_by_field_name("value") if item.type == "subscript" else item
            if base is not None and base.type in ("identifier", "attribute"):
                yield self._text(base)

    def _doc(self, body: Node) -> str:
        """Return the first paragraph of the docstring that begins a module or body; empty if there is none."""
        first = _first(body)
        while first is not None and first.type == "comment":
            first = first.next_named_sibling
        inner = _first(first) if first is not None and first.type == "expression_statement" else None
        if inner is None or inner.type != "string":
            return ""
        match = _STRING.match(self._text(inner))
        return first_paragraph(match[2]) if match else ""

    def _dotted(self, node: Node) -> str:
        """Return an expression in the form of `CallSite.target`: names and dots, `()` for a call, `?` for the rest."""
        text = self._text(node)
        if _PLAIN.match(text):
            return text
        if node.type == "attribute":
            value, name = node.child_by_field_name("object"), node.child_by_field_name("attribute")
            return f"{self._dotted(value)}.{self._text(name)}" if value is not None else "?"
        if node.type == "call" and (function := node.child_by_field_name("function")) is not None:
            return f"{self._dotted(function)}()"
        if node.type in ("await", "parenthesized_expression") and (inner := _first(node)) is not None:
            return self._dotted(inner)
        return "?"

    def _imports(self, node: Node, scope: int) -> Iterator[Import]:
        line = node.start_point[0] + 1
        names = [self._imported(item) for item in node.children_by_field_name("name")]
        if node.type == "import_statement":
            for name, alias in names:
                yield Import(line, scope, name, "", alias or name.partition(".")[0])
            return
        whence = self._text(node.child_by_field_name("module_name"))
        module = whence.lstrip(". ")
        level = whence.count(".", 0, len(whence) - len(module))
        if not names:
            names = [("*", "*")]
        for name, alias in names:
            yield Import(line, scope, module, name, alias or name, level)

    def _imported(self, node: Node) -> tuple[str, str]:
        if node.type != "aliased_import":
            return self._text(node), ""
        return self._text(node.child_by_field_name("name")), self._text(node.child_by_field_name("alias"))

    def _binding(self, node: Node) -> Binding | None:
        """Return what a parameter, an assignment or a `with` says about the type of a variable; None if nothing.

        The text of the result is the annotation, or else `=` and the assigned expression in the form of `_dotted`. None
        as well for an expression that this cannot name, and for a target other than a name, `self.x` or `cls.x`.
        """
        scope = self._scopes.innermost(node.start_byte)
        kind = node.type
        if kind == "as_pattern":
            target, opened = self._text(node.child_by_field_name("alias")), _first(node)
            text = "" if opened is None else f"={self._dotted(opened)}"
        else:
            left = node.child_by_field_name("left") or node.child_by_field_name("name") or _first(node)
            target, annotated = self._text(left), node.child_by_field_name("type")
            right = node.child_by_field_name("right")
            value = "" if right is None else f"={self._dotted(right)}"
            text = one_line(self._text(annotated)) if annotated is not None else value
        return Binding(scope, target, text) if text and "?" not in text and _SELF.match(target) else None


def _first(node: Node) -> Node | None:
    return node.named_child(0) if node.named_child_count else None


def _last_line(body: Node) -> int:
    """Return the last line of a body as Python counts it: a comment after the last statement is not part of it."""
    node = body
    while node.type in _NESTING:
        inner = next(_statements_from_end(node), None)
        if inner is None:
            break
        node = inner
    return node.end_point[0] + 1


def _statements_from_end(node: Node) -> Iterator[Node]:
    for at in range(node.named_child_count - 1, -1, -1):
        child = node.named_child(at)
        if child is not None and child.type != "comment":
            yield child
