"""What a Python file holds, counted: statements by their place, names, elements between brackets, and comments.

It is read from the syntax tree and the tokens alone, not from lines, and shares nothing with what merges files.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

Place = tuple[str, ...]
"""The headers around a statement, from outside to inside: classes, functions, branches."""
Atom = tuple[str, str]
"""What it is and its content."""

_NOT_ITS_OWN = frozenset({"value", "type_comment"})
"""Fields of a statement that are counted apart, or say nothing."""

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Inventory:
    """What a file holds."""

    sequences: dict[Place, list[Atom]] = field(default_factory=dict)
    """What stands at each place, in the order of the text."""
    defined: Counter[tuple[Place, str]] = field(default_factory=Counter)
    """Per place how often a class or function of that name is defined."""
    bound: Counter[tuple[Place, str]] = field(default_factory=Counter)
    """Per place outside of functions how often a name is bound by an assignment."""
    comments: Counter[str] = field(default_factory=Counter)

    def counts(self, *, by_place: bool) -> Counter[tuple[Place, Atom]]:
        """Return how often each atom is there, per place or in the whole file (the place is empty then)."""
        counted: Counter[tuple[Place, Atom]] = Counter()
        for place, atoms in self.sequences.items():
            counted.update((place if by_place else (), atom) for atom in atoms)
        return counted


def take_inventory(text: str) -> Inventory:
    """Return what a file's text holds.

    Raises:
        SyntaxError: This Python cannot parse it.
        ValueError: It contains a null byte.
        RecursionError: It is nested too deeply.
    """
    reader = _Reader()
    reader.suite(ast.parse(text).body, ())
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                reader.inventory.comments[token.string.rstrip()] += 1
    except (tokenize.TokenError, IndentationError) as error:
        raise SyntaxError(str(error)) from error
    return reader.inventory


class _Reader:
    def __init__(self) -> None:
        self.inventory = Inventory()

    def suite(self, body: list[ast.stmt], place: Place) -> None:
        for node in body:
            self._statement(node, place)

    def _add(self, place: Place, *atoms: Atom) -> None:
        self.inventory.sequences.setdefault(place, []).extend(atoms)

    def _statement(self, node: ast.stmt, place: Place) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                self._add(place, *_imports(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._definition(node, place)
            case ast.Expr(value=ast.Constant(value=str(text))):
                self._add(place, *(("text", line.strip()) for line in text.splitlines() if line.strip()))
            case _ if isinstance(node, ast.Match) or hasattr(node, "body"):
                self._compound(node, place)
            case _:
                self._simple(node, place)

    def _simple(self, node: ast.stmt, place: Place) -> None:
        target = _target(node)
        if target and not any(part.startswith("def ") for part in place):
            self.inventory.bound[place, target] += 1
        value = getattr(node, "value", None)
        if isinstance(value, ast.List | ast.Set | ast.Tuple | ast.Dict | ast.Call):
            rest = " ".join(_dumped(part) for name, part in ast.iter_fields(node) if name not in _NOT_ITS_OWN)
            self._add(place, ("statement", f"{type(node).__name__} {rest} {'' if target else _call_name(value)}"))
            self._add((*place, f"in {target or _call_name(value)}"), *_elements(value))
            return
        self._add(place, ("statement", ast.dump(node)))

    def _definition(self, node: _Definition, place: Place) -> None:
        word = "class" if isinstance(node, ast.ClassDef) else "def"
        self.inventory.defined[place, node.name] += 1
        self._add(place, ("definition", f"{type(node).__name__} {node.name}"))
        inner = (*place, f"{word} {node.name}")
        self._add((*inner, "header"), *_header(node))
        self.suite(node.body, inner)

    def _compound(self, node: ast.stmt, place: Place) -> None:
        """Add a statement with suites: what its header says names the place of what is in it."""
        suites: list[tuple[str, list[ast.stmt]]] = []
        words: list[str] = []
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                suites.append((name, value))
            elif name in ("handlers", "cases"):
                suites += [(_branch(part), part.body) for part in value]
            elif name != "type_comment":
                words.append(_dumped(value))
        header = f"{type(node).__name__} {' '.join(words)}"
        self._add(place, ("block", header))
        for name, body in suites:
            self.suite(body, (*place, f"{header}.{name}"))


def _dumped(value: object) -> str:
    if isinstance(value, ast.AST):
        return ast.dump(value)
    return "[" + ", ".join(map(_dumped, value)) + "]" if isinstance(value, list) else repr(value)


def _branch(part: ast.ExceptHandler | ast.match_case) -> str:
    return " ".join(_dumped(value) for name, value in ast.iter_fields(part) if name != "body")


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[Atom]:
    module = "." * node.level + (node.module or "") + ":" if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        yield "import", f"{module}{alias.name} as {alias.asname}"


def _target(node: ast.stmt) -> str:
    match node:
        case ast.Assign(targets=[*targets]):
            return " = ".join(map(ast.unparse, targets))
        case ast.AnnAssign(target=target, value=value) if value is not None:
            return ast.unparse(target)
    return ""


def _call_name(value: ast.expr) -> str:
    return ast.unparse(value.func) if isinstance(value, ast.Call) else type(value).__name__


def _elements(value: ast.expr, path: str = "") -> Iterator[Atom]:
    """Yield what is between brackets; inside nested brackets with the way there, where that is known by name."""
    match value:
        case ast.List(elts=items) | ast.Set(elts=items) | ast.Tuple(elts=items):
            yield "shape", f"{path}{type(value).__name__}"
            yield from (("element", path + ast.dump(item)) for item in items)
        case ast.Dict(keys=keys, values=values):
            yield "shape", f"{path}Dict"
            for key, item in zip(keys, values, strict=True):
                yield from _entry("entry", path + (ast.dump(key) if key else "**"), item)
        case ast.Call(func=func, args=args, keywords=keywords):
            yield "shape", path + ast.dump(func)
            for at, item in enumerate(args):
                yield from _entry("argument", f"{path}{at}", item)
            for word in keywords:
                yield from _entry("keyword", f"{path}{word.arg}=", word.value)
        case _:
            yield "value", path + ast.dump(value)


def _entry(kind: str, name: str, value: ast.expr) -> Iterator[Atom]:
    yield kind, name
    yield from _elements(value, f"{name} ")


def _header(node: _Definition) -> Iterator[Atom]:
    for item in node.decorator_list:
        yield from _elements(item, "@ ")
    if isinstance(node, ast.ClassDef):
        yield from (("base", ast.dump(item)) for item in node.bases)
        yield from (("keyword", ast.dump(item)) for item in node.keywords)
        return
    for name, value in ast.iter_fields(node.args):
        parts = value if isinstance(value, list) else [value]
        yield from (("parameter", f"{name} {ast.dump(item)}") for item in parts if item is not None)
    yield "returns", ast.dump(node.returns) if node.returns else ""
