"""Names that Python code uses and that nothing defines: not its repository, its dependencies, nor the library.

A model that does not know a repository invents names that would fit. Only what can be read off with certainty is
reported: imports of modules and of names, attributes of imported modules, and names that a file binds nowhere.
"""

from __future__ import annotations

import ast
import builtins
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from aegis_tui.domain.code_map.facts import Import
from aegis_tui.domain.code_map.modules import ModuleIndex

_ALWAYS: Final = frozenset(dir(builtins)) | {
    *("__file__", "__path__", "__class__", "__module__", "__qualname__", "__annotations__", "__builtins__"),
    *("__cached__", "__spec__", "__loader__", "__package__", "__name__", "__doc__", "__dict__", "reveal_type"),
    *("WindowsError", "_", "get_ipython"),  # of another system, of `gettext.install`, of a notebook
}
_STANDARD: Final = sys.stdlib_module_names | {"__main__", "_typeshed"}
_MADE: Final = re.compile(r"_(?!_)\w*|\w+_pb2(?:_grpc)?")
"""Names of modules that a compiler or a build makes, so that no file of the repository needs to show them."""

_DYNAMIC: Final = frozenset({"globals", "locals", "vars", "setattr", "exec", "__getattr__", "import_module"})
"""A module that uses one of these may have names that its text does not show."""


class ChangedFile(NamedTuple):
    """One changed Python file."""

    path: str
    text: str
    added: frozenset[int]
    """The numbers of the lines that the change adds; only these are looked at."""


class UnknownName(NamedTuple):
    """A use of a name that nothing defines: where it stands, and what is missing."""

    path: str
    line: int
    name: str
    problem: str
    """What is missing, in words."""


class NamesSeen(NamedTuple):
    """What a check of names found."""

    used: int
    """How many uses of names were looked at."""
    unknown: tuple[UnknownName, ...]


def wanted_modules(files: Sequence[ChangedFile], paths: Collection[str]) -> list[str]:
    """Return the files of the repository that the added lines import, sorted; `check_names` needs their texts.

    Args:
        files: The changed files; one that cannot be parsed is left out.
        paths: All files of the repository after the change.
    """
    modules = ModuleIndex(paths)
    wanted: set[str] = set()
    for file in files:
        tree = _parse(file.text)
        for item, _, _ in _imports(tree) if tree is not None else ():
            if module_file := _module(modules, file.path, item):
                wanted.add(module_file)
                if item.name and (inner := modules.submodule(module_file, item.name)):
                    wanted.add(inner)
    return sorted(wanted)


def check_names(
    files: Sequence[ChangedFile], paths: Collection[str], texts: Mapping[str, str], roots: Collection[str]
) -> NamesSeen:
    """Return the names in the added lines that nothing defines, in the order of the files and lines.

    Args:
        files: The changed files; one that cannot be parsed is left out.
        paths: All files of the repository after the change.
        texts: The texts of `wanted_modules`, by path.
        roots: The first parts of modules that are known besides those of the repository and the standard library.
    """
    checker = _Checker(paths, texts, frozenset(roots))
    used, unknown = 0, list[UnknownName]()
    for file in files:
        tree = _parse(file.text)
        if tree is None:
            continue
        for line, name, problem in checker.uses(file.path, tree):
            if line in file.added:
                used += 1
                if problem:
                    unknown.append(UnknownName(file.path, line, name, problem))
    return NamesSeen(used, tuple(dict.fromkeys(sorted(unknown))))


_Use = tuple[int, str, str]
"""Line, name, and what is wrong with it; empty if it is known."""


class _Checker:
    def __init__(self, paths: Collection[str], texts: Mapping[str, str], roots: frozenset[str]) -> None:
        self._paths, self._texts, self._roots = paths, texts, roots
        self._modules = ModuleIndex(paths)
        self._names: dict[str, frozenset[str] | None] = {}

    def uses(self, path: str, tree: ast.Module) -> Iterator[_Use]:
        aliases: dict[str, str] = {}
        for item, line, is_optional in _imports(tree):
            at = _module(self._modules, path, item)
            yield line, _written(item), "" if is_optional else self._import_problem(path, item, at)
            inner = self._modules.submodule(at, item.name) if at and item.name else at
            if inner and item.alias:
                aliases[item.alias] = inner
        names = _bound(tree)
        bound, guarded = None if names is None else Counter(names), _guarded(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
                at = aliases.get(node.value.id) if bound is not None and bound[node.value.id] == 1 else None
                if at and not self._has(at, node.attr):
                    yield node.lineno, f"{node.value.id}.{node.attr}", f"{at} defines no {node.attr}"
                elif at:
                    yield node.lineno, f"{node.value.id}.{node.attr}", ""
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and bound is not None:
                is_known = node.id in _ALWAYS or node.id in bound or node.id in guarded
                yield node.lineno, node.id, "" if is_known else "nothing in the file defines it"

    def _import_problem(self, path: str, item: Import, at: str | None) -> str:
        root = item.module.partition(".")[0]
        if at is not None:
            is_made = posixpath.basename(at).startswith("__init__.") and bool(_MADE.fullmatch(item.name))
            is_known = item.name in ("", "*") or is_made or self._has(at, item.name)
            return "" if is_known else f"{at} defines no {item.name}"
        is_ours = item.level > 0 or self._is_ours(root)
        if (not item.level and root in _STANDARD) or (not is_ours and root in self._roots):
            return ""
        is_made = is_ours and any(_MADE.fullmatch(part) for part in item.module.split("."))
        if is_made or self._is_there(item.module):
            return ""
        return (
            "the repository has no such module" if is_ours else "neither a dependency nor the standard library has it"
        )

    def _is_ours(self, root: str) -> bool:
        return self._modules.python("", root, 0) is not None

    def _is_there(self, module: str) -> bool:
        """Return whether a path of the repository ends like the module, as in a package without an `__init__` file."""
        stem = f"/{module.replace('.', '/')}"
        return not module or any(f"{stem}/" in f"/{path}" or f"/{path}".endswith(f"{stem}.py") for path in self._paths)

    def _has(self, path: str, name: str) -> bool:
        if self._modules.submodule(path, name) is not None or name in _ALWAYS:
            return True
        if path not in self._names:
            self._names[path] = _defined(self._texts.get(path))
        names = self._names[path]
        return names is None or name in names


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imports(tree: ast.Module) -> Iterator[tuple[Import, int, bool]]:
    """Yield each import with its line, and whether it may fail: in a `try`, or where an `ImportError` is suppressed."""
    optional = {id(inner) for node in ast.walk(tree) if _may_fail(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                alias = item.asname or ("" if "." in item.name else item.name)
                yield Import(node.lineno, -1, item.name, "", alias), node.lineno, id(node) in optional
        elif isinstance(node, ast.ImportFrom):
            for item in node.names:
                alias = item.asname or item.name
                taken = Import(item.lineno, -1, node.module or "", item.name, alias, node.level)
                yield taken, item.lineno, id(node) in optional


def _may_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.With):
        return any(re.search("ImportError|ModuleNotFoundError", ast.unparse(item)) for item in node.items)
    return isinstance(node, ast.Try | ast.TryStar)


def _guarded(tree: ast.Module) -> set[str]:
    """Return the names that are used in a `try` that expects a `NameError`."""
    return {
        inner.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any("NameError" in ast.unparse(item.type or item) for item in node.handlers)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name)
    }


def _module(modules: ModuleIndex, path: str, item: Import) -> str | None:
    """Return the file of the module that an import names, or of the package that it takes a name from.

    None if the repository has none, and for a name of the standard library, also if the repository has it too. A file
    beside the importing one counts only if it has that whole name, as a program in one folder has.
    """
    if not item.level and item.module.partition(".")[0] in _STANDARD:
        return None
    file = modules.python(path, item.module, item.level)
    if file is None or item.level or modules.python_name(file) == item.module:
        return file
    return None


def _written(item: Import) -> str:
    module = "." * item.level + item.module
    return f"{module}.{item.name}" if item.name else module


def _bound(tree: ast.Module) -> list[str] | None:
    """Return every name that is bound anywhere in the file, as often as it is; None if its text does not show all."""
    names: list[str] = []
    for node in ast.walk(tree):
        if _hides_names(node):
            return None
        names += _bound_by(node)
    return names


def _hides_names(node: ast.AST) -> bool:
    if isinstance(node, ast.alias):
        return node.name == "*"
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "globals")


def _bound_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name):
            return [] if isinstance(node.ctx, ast.Load) else [name]
        case ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=asname):
            return [asname or name.partition(".")[0]]
        case ast.MatchMapping(rest=rest):
            return [rest] if rest else []
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
        case _:
            own = getattr(node, "name", None)  # of definitions, handlers of errors, patterns and type parameters
            return [own] if isinstance(own, str) else []


def _defined(text: str | None) -> frozenset[str] | None:
    """Return the names that a module defines or imports, in any scope; None if its text does not show all of them."""
    tree = None if text is None else _parse(text)
    if tree is None:
        return None
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else node.name if isinstance(node, ast.FunctionDef) else ""
        if name in _DYNAMIC or (isinstance(node, ast.Attribute) and node.attr in ("modules", "import_module")):
            return None
    names = _bound(tree)
    return None if names is None else frozenset(names)
