"""Reads Python definitions with the standard library's parser; syntax newer than this Python with tree-sitter."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from aegis_tui.adapters.symbols.tree import read_tree
from aegis_tui.domain.lock.symbol import IMPORTS, Definition, SymbolKind

_DefinitionNode = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_python(text: str) -> Iterable[Definition] | None:
    """Return the definitions in a Python file's text, in their order; None if it is invalid or nested too deeply.

    These are classes, functions, methods, and import statements outside of classes; not what is inside functions. What
    this Python cannot parse, such as newer syntax, is parsed with tree-sitter's grammar, if that is installed.
    """
    try:
        return list(_definitions(ast.parse(text).body, scope=""))
    except SyntaxError:
        return read_tree("python", text)
    except (ValueError, RecursionError, MemoryError):
        return None


def _definitions(body: Iterable[ast.stmt], *, scope: str, within: str | None = None) -> Iterator[Definition]:
    """Yield the definitions among statements, in their branches too, and in classes, but not those inside functions.

    Args:
        body: The statements.
        scope: The dotted name of the class around them, with a dot at its end; empty at the top of the module.
        within: `class` for the body of a class: functions in it are methods.
    """
    for node in body:
        if isinstance(node, _DefinitionNode):
            yield _definition(node, scope, within)
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, scope=f"{scope}{node.name}.", within="class")
        elif isinstance(node, ast.Import | ast.ImportFrom) and not scope:
            yield Definition(IMPORTS, "imports", (node.lineno, node.end_lineno or node.lineno))
        elif not isinstance(node, _DefinitionNode):
            yield from _definitions(_branches(node), scope=scope, within=within)


def _branches(node: ast.stmt) -> Iterator[ast.stmt]:
    for name in ("body", "orelse", "finalbody"):
        yield from getattr(node, name, ())
    for name in ("handlers", "cases"):
        for branch in getattr(node, name, ()):
            yield from branch.body


def _definition(node: _DefinitionNode, scope: str, within: str | None) -> Definition:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    span = (first, node.end_lineno or node.lineno)
    if isinstance(node, ast.ClassDef):
        return Definition(f"{scope}{node.name}", "class", span, ", ".join(map(ast.unparse, node.bases)))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kind: SymbolKind = "method" if within == "class" else "function"
    return Definition(f"{scope}{node.name}", kind, span, f"{type(node).__name__}({ast.unparse(node.args)}){returns}")
