"""What is derived from the content of one file alone, without its path: the unit of which a code map is made (MAP-1).

Equal contents have equal facts, so they are derived once for each git blob and shared by all worktrees.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from aegis_tui.domain.wire.code_map import SymbolRow

MapKind = Literal["class", "function", "method", "variable", "heading", "module"]

MODULE_SCOPE: Final = -1
"""The `scope` of what stands outside of every class and function."""

FACTS_VERSION: Final = 3
"""Raised whenever other facts are derived from the same content; maps with another version are built again."""


class MapSymbol(NamedTuple):
    """One definition. Several in a file may have the same name, such as overloads."""

    name: str
    """Dotted: `Parser.parse`; `outer.inner` also for a function inside a function."""
    kind: MapKind
    first: int
    """Its first line, with decorators and attached comments. Lines count from 1."""
    line: int
    """The line of the word that defines it (`def`, `class`, `func`)."""
    last: int
    """Its last line, inclusive."""
    signature: str
    """As written, up to the body, on one line."""
    doc: str
    """The first paragraph of its documentation on one line; empty if it has none."""
    bases: tuple[str, ...] = ()
    """The base classes as written; for a method of Go or Rust, empty."""
    returns: str = ""
    """The return type as written; empty if there is none."""

    def to_row(self, path: str) -> SymbolRow:
        """Return the definition as answers show it; `path` is its file."""
        return {
            "path": path,
            "name": self.name,
            "kind": self.kind,
            "line": self.line,
            "first": self.first,
            "last": self.last,
            "signature": self.signature,
            "doc": self.doc,
        }


class CallSite(NamedTuple):
    """A place where something is called."""

    line: int
    scope: int
    """Index in `FileFacts.symbols` of the innermost definition around it; `MODULE_SCOPE` outside of all."""
    target: str
    """What is called, without arguments: `make`, `self.store.put`, `make().run`; `?` for what has no name."""


class Import(NamedTuple):
    """One imported name, or one imported module."""

    line: int
    scope: int
    module: str
    """The module as written; in Python without leading dots. May be empty in Python for `from . import name`."""
    name: str
    """What is taken from it; empty for the module itself, `*` for everything."""
    alias: str
    """The name that it has in this file; for `import a.b` without `as`, `a`."""
    level: int = 0
    """How many dots a Python import begins with."""


class Binding(NamedTuple):
    """A variable whose type can be read off: it is annotated, or another expression is its value."""

    scope: int
    target: str
    """`name` or `self.name`."""
    value: str
    """The type as written; or `=` and the value, in the form of `CallSite.target` with `()` after a call."""


class FileFacts(NamedTuple):
    """Everything that the map knows about one content."""

    language: str
    """`python`, `javascript`, …; `markdown` and `text` have headings only; `binary` has nothing."""
    lines: int
    symbols: tuple[MapSymbol, ...] = ()
    """In the order of their lines."""
    imports: tuple[Import, ...] = ()
    calls: tuple[CallSite, ...] = ()
    """In the order of the text."""
    bindings: tuple[Binding, ...] = ()

    def mentions(self) -> frozenset[str]:
        """Return each name that the file calls, imports or derives from, reduced to its last dotted part.

        Of an import it has the taken name, the alias and every part of the module's path. Names that are only defined
        or only read are not among them.
        """
        names = {call.target.rpartition(".")[2] for call in self.calls}
        for item in self.imports:
            names.update((item.name, item.alias, *_last_parts(item.module)))
        for symbol in self.symbols:
            names.update(base.rpartition(".")[2] for base in symbol.bases)
        return frozenset(names - {"", "?", "*"})


def _last_parts(module: str) -> list[str]:
    return [part for part in module.replace("::", ".").replace("/", ".").split(".") if part]


def pack_facts(facts: FileFacts) -> str:
    """Return the facts as JSON text, from which `unpack_facts` makes equal facts again."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))


def unpack_facts(text: str) -> FileFacts:
    """Return the facts that `pack_facts` wrote.

    Raises:
        ValueError: The text is not JSON, or has not the shape of facts.
    """
    try:
        language, lines, symbols, imports, calls, bindings = json.loads(text)
        return FileFacts(
            language,
            lines,
            tuple(_symbol(item) for item in symbols),
            tuple(Import(*item) for item in imports),
            tuple(CallSite(*item) for item in calls),
            tuple(Binding(*item) for item in bindings),
        )
    except (TypeError, ValueError) as error:
        raise ValueError("the facts of a file are damaged") from error


def unpack_imports(text: str) -> tuple[Import, ...]:
    """Return the imports alone of the facts that `pack_facts` wrote, which takes less time.

    Raises:
        ValueError: The text is not JSON, or has not the shape of facts.
    """
    try:
        return tuple(Import(*item) for item in json.loads(text)[3])
    except (TypeError, ValueError, LookupError) as error:
        raise ValueError("the facts of a file are damaged") from error


def _symbol(item: list[Any]) -> MapSymbol:
    return MapSymbol._make([*item[:7], tuple(item[7]), item[8]])
