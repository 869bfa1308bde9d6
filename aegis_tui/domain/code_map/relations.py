"""Callers, callees, importers and tests of definitions, worked out for one view from the facts of its files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from aegis_tui.domain.code_map.facts import MODULE_SCOPE, CallSite, FileFacts, MapSymbol
from aegis_tui.domain.code_map.language import is_test, language_of
from aegis_tui.domain.code_map.modules import ModuleIndex
from aegis_tui.domain.code_map.other import resolve_other
from aegis_tui.domain.code_map.resolve import Resolver, SymbolPlace

_MAKERS = ("__init__", "__new__")


class MapView(Protocol):
    """The files of one worktree, as the store of a code map answers for them."""

    def paths(self) -> list[str]:
        """Return the paths of all files of the worktree, relative to its root."""
        ...

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of the file at this path; None if the worktree has no such file."""
        ...

    def mentioning(self, name: str) -> list[str]:
        """Return the paths of the files that call, import or derive from something of this name.

        See `FileFacts.mentions`.

        Args:
            name: The last dotted part of a name.
        """
        ...

    def places(self, name: str) -> list[SymbolPlace]:
        """Return all definitions in the worktree whose name has this last dotted part."""
        ...


class Site(NamedTuple):
    """A place where something is called."""

    path: str
    line: int
    caller: str
    """The dotted name of the definition around it; empty outside of all."""
    target: str
    """The call as in `CallSite.target`."""
    certain: bool
    """Whether it was read off what is called there. If not, it is the only definition with that name."""


class Relations:
    """Answers for one view. It keeps what it has read: use a new one for a changed view."""

    def __init__(self, view: MapView) -> None:
        self._view = view
        self._facts: dict[str, FileFacts | None] = {}
        self.modules = ModuleIndex(view.paths())
        self.resolver = Resolver(self, self.modules)

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of the file at this path, read once and then remembered.

        None if the view has no such file.
        """
        if path not in self._facts:
            self._facts[path] = self._view.facts(path)
        return self._facts[path]

    def target(self, path: str, call: CallSite) -> SymbolPlace | None:
        """Return the definition that a call in a file reaches; for making an instance, the class.

        None if that is not known.

        Args:
            path: The file with the call.
            call: The call, as the facts of this file have it.
        """
        if language_of(path) == "python":
            return self.resolver.call(path, call.scope, call.target)
        return resolve_other(self, self.modules, path, call)

    def callers(self, place: SymbolPlace) -> list[Site]:
        """Return the calls of a function, method or class in all files, sorted by path and line.

        Empty if there are none.

        A call of a method whose target is not known is among them, with `certain` False, if no other definition in the
        worktree has its last name and built-in types have no method of that name. For `__init__` and `__new__`, the
        calls that make an instance of the class, or of a class that inherits it, are added.

        Args:
            place: The definition.

        Raises:
            LookupError: The file of `place` is not in the view.
        """
        symbol = self._symbol(place)
        name = symbol.name.rpartition(".")[2]
        sites = list(self._sites(name, place, makes=False))
        if name in _MAKERS and "." in symbol.name:
            for owner in self._made_by(place):
                sites += self._sites(self._symbol(owner).name.rpartition(".")[2], owner, makes=True)
        return sorted(set(sites))

    def callees(self, place: SymbolPlace) -> list[tuple[SymbolPlace, int]]:
        """Return the definitions called inside a definition, each with the line of its first call, in that order.

        Definitions nested in it count as inside. Calls whose target is not known are left out. Empty for a file that is
        not in the view.
        """
        facts = self.facts(place.path)
        inside = set() if facts is None else set(_inside(facts, place.at))
        first_lines: dict[SymbolPlace, int] = {}
        for call in facts.calls if facts is not None else ():
            if call.scope in inside and (target := self.target(place.path, call)) is not None:
                first_lines.setdefault(target, call.line)
        return list(first_lines.items())

    def importers(self, path: str) -> list[str]:
        """Return the files of the view that import the file at this path, sorted; empty if there are none."""
        folder, file = posixpath.split(path)
        names = {file.partition(".")[0], posixpath.basename(folder)} - {"__init__", "mod", "index", ""}
        candidates = {item for name in names for item in self._view.mentioning(name)} - {path}
        return sorted(item for item in candidates if path in self.imports(item))

    def imports(self, path: str) -> set[str]:
        """Return the files of the view that a file imports, without itself; empty for a file that is not in the view.

        For Python these include submodules that are imported by name from their package.
        """
        facts = self.facts(path)
        return set() if facts is None else self.modules.imported_files(path, facts.imports)

    def tests(self, place: SymbolPlace) -> list[Site]:
        """Return the calls of a definition from test files, sorted by path and line.

        Besides those that `callers` finds, calls by its last name in test files that import its file are among them, as
        not `certain`, if `callers` found none in that file. `is_test` says by the path what a test file is.

        Raises:
            LookupError: The file of `place` is not in the view.
        """
        sites = [site for site in self.callers(place) if is_test(site.path)]
        name = self._symbol(place).name.rpartition(".")[2]
        known = {site.path for site in sites}
        for path in self._view.mentioning(name):
            facts = self.facts(path)
            if path in known or not is_test(path) or facts is None or place.path not in self.imports(path):
                continue
            sites += [
                _site(path, facts, call, certain=False)
                for call in facts.calls
                if call.target.rpartition(".")[2] == name
            ]
        return sorted(set(sites))

    def _sites(self, name: str, place: SymbolPlace, *, makes: bool) -> Iterator[Site]:
        """Yield the calls that reach a definition, as `certain`, file by file.

        With `makes` False, a call of unknown target `x.NAME` is yielded too, not `certain`, if the definition is in a
        class and the only one of this last name, and built-in types have no such method.

        Args:
            name: The last dotted part of its name; an alias under which a file imports it counts as well.
            place: The definition.
            makes: Whether it is a class of which only the certain calls are wanted.

        Raises:
            LookupError: The file of `place` is not in the view.
        """
        is_only = not makes and "." in self._symbol(place).name and len(self._view.places(name)) == 1
        for path in self._view.mentioning(name):
            facts = self.facts(path)
            if facts is None:
                continue
            names = {name, *(item.alias for item in facts.imports if item.name == name)}
            for call in facts.calls:
                last = call.target.rpartition(".")[2]
                if last not in names:
                    continue
                target = self.target(path, call)
                if target is not None and self._is_same(target, place):
                    yield _site(path, facts, call, certain=True)
                elif target is None and is_only and "." in call.target and not _is_common(name):
                    yield _site(path, facts, call, certain=False)

    def _is_same(self, target: SymbolPlace, place: SymbolPlace) -> bool:
        """Return whether two places have the same file and the same dotted name.

        Overloads and branches define a name several times.

        Raises:
            LookupError: The file is not in the view.
        """
        return target.path == place.path and self._symbol(target).name == self._symbol(place).name

    def _made_by(self, init: SymbolPlace) -> list[SymbolPlace]:
        """Return the Python classes whose instances are made with this `__init__` or `__new__`.

        These are its own class and those derived from it, at any depth, that do not define another one. Empty if its
        class is unknown.
        """
        owner_name = self._symbol(init).name.rpartition(".")[0]
        facts = self.facts(init.path)
        at = next((at for at, item in enumerate(facts.symbols) if item.name == owner_name), None) if facts else None
        if at is None:
            return []
        classes = [SymbolPlace(init.path, at)]
        for owner in classes:
            classes += [item for item in self._derived(owner) if item not in classes]
        return [owner for owner in classes if (made := self.resolver.constructor(owner)) and self._is_same(made, init)]

    def _derived(self, place: SymbolPlace) -> list[SymbolPlace]:
        """Return the Python classes that directly name the class at this place among their bases."""
        name = self._symbol(place).name.rpartition(".")[2]
        derived = []
        for path in self._view.mentioning(name):
            facts = self.facts(path)
            for at, symbol in enumerate(facts.symbols if facts is not None else ()):
                bases = [base for base in symbol.bases if base.rpartition(".")[2] == name]
                if any(self.resolver.call(path, MODULE_SCOPE, base) == place for base in bases):
                    derived.append(SymbolPlace(path, at))
        return derived

    def _symbol(self, place: SymbolPlace) -> MapSymbol:
        facts = self.facts(place.path)
        if facts is None:
            raise LookupError(place.path)
        return facts.symbols[place.at]


def _site(path: str, facts: FileFacts, call: CallSite, *, certain: bool) -> Site:
    caller = facts.symbols[call.scope].name if call.scope >= 0 else ""
    return Site(path, call.line, caller, call.target, certain)


def _inside(facts: FileFacts, at: int) -> Iterable[int]:
    """Yield the index of the definition `at` and of those nested in it, by dotted name and line, in order."""
    outer = facts.symbols[at]
    for inner, symbol in enumerate(facts.symbols):
        if inner == at or (symbol.name.startswith(f"{outer.name}.") and outer.line <= symbol.line <= outer.last):
            yield inner


def _is_common(name: str) -> bool:
    """Return whether str, bytes, list, dict, set, tuple, int or object has an attribute of that name.

    A call of it then says nothing about which definition is meant.
    """
    return any(hasattr(kind, name) for kind in (str, bytes, list, dict, set, tuple, int, object))
