"""The names that a Python file uses and binds: what a merge leaves without a definition, or calls in its old form."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_MODULE_NAMES = frozenset(
    {*dir(builtins), "__file__", "__path__", "__annotations__", "__class__", "__module__", "__qualname__"}
)


@dataclass(slots=True)
class NameUse:
    """The names of one file."""

    used: Counter[str] = field(default_factory=Counter)
    """Names that are read; `self.x` for attributes of `self` and `cls`; `.x` for attributes of anything."""
    bound: set[str] = field(default_factory=set)
    """Names that are bound anywhere in the file, and `self.x` for attributes and members of classes."""
    parameters: dict[str, set[str]] = field(default_factory=dict)
    """Name of a function -> its parameters as text, once per definition."""
    has_star: bool = False
    """Whether it imports all names of a module, so that it is not known what is bound."""

    @property
    def undefined(self) -> set[str]:
        """Names that are read but bound nowhere in the file."""
        if self.has_star:
            return set()
        return {name for name in self.used if not name.startswith(".")} - self.bound - _MODULE_NAMES


def names_of(tree: ast.Module) -> NameUse:
    """Return the names of a module."""
    use = NameUse()
    for node in ast.walk(tree):
        use.used.update(_reads(node))
        use.bound.update(_binds(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            use.parameters.setdefault(node.name, set()).add(ast.unparse(node.args))
        elif isinstance(node, ast.ImportFrom):
            use.has_star |= any(alias.name == "*" for alias in node.names)
    return use


def left_undefined(ours: NameUse, theirs: NameUse, merged: NameUse) -> set[str]:
    """Return the names that the merged file reads without a definition, although neither side does."""
    return merged.undefined - ours.undefined - theirs.undefined


def called_in_old_form(base: NameUse, ours: NameUse, theirs: NameUse) -> set[str]:
    """Return the functions whose parameters one side changed, while the other added uses of them."""
    return {
        name
        for side, other in ((ours, theirs), (theirs, ours))
        for name, old in base.parameters.items()
        if name in side.parameters and side.parameters[name] != old
        if any(other.used[use] > base.used[use] for use in (name, f".{name}"))
    }


def _reads(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            yield name
        case ast.Attribute(value=value, attr=name, ctx=ast.Load()):
            yield f".{name}"
            if isinstance(value, ast.Name) and value.id in ("self", "cls"):
                yield f"self.{name}"


def _binds(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.Attribute(attr=name, ctx=ast.Store()):
            yield f"self.{name}"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name, body=body):
            yield name
            yield from (f"self.{member}" for part in body for member in _members(part))
        case ast.alias(name=name, asname=alias):
            yield alias or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names


def _members(node: ast.stmt) -> Iterator[str]:
    """Yield what a statement of a class's body binds, in its branches too, but not inside of functions."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case _:
            for inner in ast.walk(node):
                yield from _binds(inner)
