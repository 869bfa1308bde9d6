"""Small changes of Python code that a test ought to notice."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One place where one operator applies.

    Attributes:
        name: File, line, operator and what stood there; the same as long as that line does.
        file: Relative to the root.
        index: Which of the file's changes this is, in order of the walk.
    """

    name: str
    file: str
    index: int


def changes_of(file: str, text: str) -> list[Change]:
    """Every change that can be made to a module."""
    changes = []
    for index, (kind, node, _) in enumerate(_changes(ast.parse(text))):
        words = " ".join(ast.unparse(node).split())[:70]
        changes.append(Change(f"{file}:{node.lineno} {kind}: {words}", file, index))
    return changes


def changed(text: str, index: int) -> str:
    """The module with its change number `index` made; comments are lost."""
    module = ast.parse(text)
    _, _, make = next(item for number, item in enumerate(_changes(module)) if number == index)
    make()
    return ast.unparse(ast.fix_missing_locations(module))


_Mutation = tuple[str, "ast.expr | ast.stmt", Callable[[], None]]


def _changes(module: ast.Module) -> Iterator[_Mutation]:
    """Functions only: the declarations around them are checked by other means."""
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef):
            for statement in function.body:
                yield from _in_statement(statement)


def _in_statement(node: ast.stmt) -> Iterator[_Mutation]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef) or _is_docstring(node):
        return
    yield from _of_statement(node)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            yield from _in_child(child)


def _in_child(child: object) -> Iterator[_Mutation]:
    if isinstance(child, ast.stmt):
        yield from _in_statement(child)
    elif isinstance(child, ast.match_case | ast.ExceptHandler):
        for statement in child.body:
            yield from _in_statement(statement)
    elif isinstance(child, ast.AST):
        for node in ast.walk(child):
            if isinstance(node, ast.expr):
                yield from _of_expression(node)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of_statement(node: ast.stmt) -> Iterator[_Mutation]:
    match node:
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and not value.value):
            yield "return None", node, lambda: setattr(node, "value", ast.Constant(None))
        case ast.If(test=test) | ast.While(test=test):
            yield "negated test", test, lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test))
        case ast.Raise() | ast.AugAssign() | ast.Delete() | ast.Expr(value=ast.Call()):
            yield "dropped", node, lambda: _drop(node)
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "dropped", node, lambda: _drop(node)


def _drop(node: ast.stmt) -> None:
    """Turn a statement into one that does nothing."""
    node.__class__ = ast.Pass
    node.__dict__.clear()


def _of_expression(node: ast.expr) -> Iterator[_Mutation]:
    match node:
        case ast.Compare(ops=[compared]) if type(compared) in _COMPARED:
            yield "comparison", node, lambda: setattr(node, "ops", [_COMPARED[type(compared)]()])
        case ast.BoolOp(op=joined):
            other = ast.Or() if isinstance(joined, ast.And) else ast.And()
            yield "and/or", node, lambda: setattr(node, "op", other)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", node, lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), operand))
        case ast.IfExp(test=test):
            yield "negated test", node, lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool() as value):
            yield "flipped", node, lambda: setattr(node, "value", not value)
        case ast.Constant(value=int() | float() as value):
            yield "plus one", node, lambda: setattr(node, "value", value + 1)
