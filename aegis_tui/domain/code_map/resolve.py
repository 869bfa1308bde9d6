"""Which definition a name or a call in Python source means, from the facts of the files alone.

Only what can be read off is answered: imported names, names of the file, methods of `self`, and those of variables
whose class is annotated or is what they were made from. Everything else has no answer, rather than a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

from aegis_tui.domain.code_map.facts import MODULE_SCOPE, Binding, FileFacts, Import, MapSymbol
from aegis_tui.domain.code_map.modules import ModuleIndex
from aegis_tui.domain.code_map.typing import classes_in, parameters_of

_DEEPEST = 12
_OWN_CLASS = ("=type()", "=self.__class__")
"""What is assigned to a variable that then means the own class."""


class SymbolPlace(NamedTuple):
    """A definition: the file and the index of its symbol."""

    path: str
    at: int


class Meaning(NamedTuple):
    """What an expression is: a definition itself, an instance of a class, or a module (`at` is `MODULE_SCOPE`)."""

    kind: Literal["symbol", "instance", "parents", "module"]
    """`parents`: the result of `super()` in the class."""
    place: SymbolPlace


class FactsSource(Protocol):
    """Where the facts of the files of a view come from."""

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of the file at this path; None if the source has no such file."""
        ...


class _File:
    """One file's facts, with look-ups by name that are made once."""

    def __init__(self, facts: FileFacts) -> None:
        self.facts = facts
        self.by_name: dict[str, int] = {symbol.name: at for at, symbol in enumerate(facts.symbols)}
        self.imports: dict[tuple[int, str], Import] = {(item.scope, item.alias): item for item in facts.imports}
        self.bindings: dict[tuple[int, str], list[Binding]] = {}
        for binding in facts.bindings:
            self.bindings.setdefault((binding.scope, binding.target), []).append(binding)
        self.stars = [item for item in facts.imports if item.name == "*"]

    def scopes(self, scope: int) -> Iterator[int]:
        """Yield a scope, the index of a definition, and those around it, the innermost first.

        The last one is always `MODULE_SCOPE`.
        """
        while scope >= 0:
            yield scope
            name = self.facts.symbols[scope].name
            scope = self.by_name.get(name.rpartition(".")[0], MODULE_SCOPE) if "." in name else MODULE_SCOPE
        yield MODULE_SCOPE


class Resolver:
    """Resolves names in the files of one view; keeps what it has read, so use a new one for a changed view."""

    def __init__(self, source: FactsSource, modules: ModuleIndex) -> None:
        self._source = source
        self._modules = modules
        self._files: dict[str, _File | None] = {}

    def symbol(self, place: SymbolPlace) -> MapSymbol:
        """Return the symbol at a place that this resolver has returned.

        Raises:
            LookupError: The file is not in the view.
        """
        file = self._file(place.path)
        if file is None:
            raise LookupError(place.path)
        return file.facts.symbols[place.at]

    def call(self, path: str, scope: int, target: str) -> SymbolPlace | None:
        """Return the definition that a call reaches: a function, a method, or the class of which it makes an instance.

        None if that cannot be read off the text.

        Args:
            path: The file with the call.
            scope: The index of the innermost definition around the call, or `MODULE_SCOPE`.
            target: What is called, without arguments, as `self.store.put` or `make().run`.
        """
        meaning = self.expression(path, scope, target)
        return meaning.place if meaning is not None and meaning.kind == "symbol" else None

    def constructor(self, place: SymbolPlace) -> SymbolPlace | None:
        """Return the `__init__` that making an instance of a class runs, its own or the nearest inherited one.

        None if no file of the view defines it.
        """
        return self._member(place, "__init__", _DEEPEST)

    def imported(self, path: str, item: Import) -> Meaning | None:
        """Return what an import in the file `path` names: a module or a definition; None if that is not in the view."""
        return self._imported(path, item, _DEEPEST)

    def expression(self, path: str, scope: int, text: str, depth: int = _DEEPEST) -> Meaning | None:
        """Return what an expression means in a scope of a file; None if that cannot be read off.

        Args:
            path: The file.
            scope: The index of the innermost definition around the expression, or `MODULE_SCOPE`.
            text: Dotted names, with `()` after each that is called, as `make().run`.
            depth: How many steps of looking up may be nested; at 0 there is no answer.
        """
        first, *rest = text.split(".")
        meaning = self._first(path, scope, first, depth)
        for at, part in enumerate(rest):
            if meaning is None:
                return None
            name, calls, _ = part.partition("()")
            meaning = self._attribute(meaning, name, depth)
            if calls:
                meaning = self._result(meaning, depth)
            elif at < len(rest) - 1:
                meaning = self._value(meaning, depth)
        return meaning

    def _file(self, path: str) -> _File | None:
        if path not in self._files:
            facts = self._source.facts(path)
            self._files[path] = None if facts is None else _File(facts)
        return self._files[path]

    def _first(self, path: str, scope: int, part: str, depth: int) -> Meaning | None:
        name, calls, _ = part.partition("()")
        file = self._file(path)
        if file is None or depth <= 0:
            return None
        if name == "super" and calls:
            return self._own(path, file, scope, "parents")
        if name in ("self", "cls") and not calls and _is_receiver(file, scope, name):
            return self._own(path, file, scope, "instance" if name == "self" else "symbol")
        meaning = self._name(path, file, scope, name, depth)
        return self._result(meaning, depth) if calls else meaning

    def _own(
        self, path: str, file: _File, scope: int, kind: Literal["symbol", "instance", "parents"]
    ) -> Meaning | None:
        """Return the innermost class around a scope as a meaning of this kind; None if the scope is in no class."""
        for one in file.scopes(scope):
            if one >= 0 and file.facts.symbols[one].kind == "class":
                return Meaning(kind, SymbolPlace(path, one))
        return None

    def _name(self, path: str, file: _File, scope: int, name: str, depth: int) -> Meaning | None:
        """Return what a plain name means in a scope; None if that cannot be read off.

        Names of a class body are seen from that body alone.
        """
        for one in file.scopes(scope):
            symbol = file.facts.symbols[one] if one >= 0 else None
            if symbol is not None and symbol.kind == "class" and one != scope:
                continue
            if (bound := file.bindings.get((one, name))) is not None:
                return self._bound(path, bound, depth)
            at = file.by_name.get(f"{symbol.name}.{name}" if symbol is not None else name)
            if at is not None:
                return Meaning("symbol", SymbolPlace(path, at))
            if (item := file.imports.get((one, name))) is not None:
                return self._imported(path, item, depth - 1)
            if symbol is not None and symbol.kind != "class" and name in parameters_of(symbol.signature):
                return None  # a parameter without a useful annotation
        return self._starred(path, file, name, depth)

    def _starred(self, path: str, file: _File, name: str, depth: int) -> Meaning | None:
        for item in file.stars:
            module = self._modules.python(path, item.module, item.level)
            if module is not None and (meaning := self._global(module, name, depth - 1)) is not None:
                return meaning
        return None

    def _bound(self, path: str, bindings: list[Binding], depth: int) -> Meaning | None:
        """Return what a variable is, if all of its bindings that can be read off mean the same; else None.

        Bindings that cannot be read off are ignored.
        """
        meanings = {meaning for one in bindings if (meaning := self._one_bound(path, one, depth - 1)) is not None}
        return meanings.pop() if len(meanings) == 1 else None

    def _one_bound(self, path: str, binding: Binding, depth: int) -> Meaning | None:
        if binding.value.startswith("="):
            outer = self._before(path, binding)
            meaning = self.expression(path, outer, binding.value[1:], depth) if depth > 0 else None
            return self._value(meaning, depth) if "." in binding.value else meaning
        return self._annotated(path, binding.scope, binding.value, depth)

    def _before(self, path: str, binding: Binding) -> int:
        """Return the scope in which a binding's value is read: the binding's own.

        For a value that begins with the bound name, as `x = x()`, it is the one around it.
        """
        if binding.value[1:].split(".")[0].partition("()")[0] != binding.target:
            return binding.scope
        file = self._file(path)
        scopes = list(file.scopes(binding.scope)) if file is not None else []
        return scopes[1] if len(scopes) > 1 else MODULE_SCOPE

    def _annotated(self, path: str, scope: int, annotation: str, depth: int) -> Meaning | None:
        """Return the instance that an annotation speaks of, if exactly one class that it names is in the view.

        Else None.

        `Self` stands for the class around the scope.
        """
        meanings = set()
        for name in classes_in(annotation):
            if name.rpartition(".")[2] == "Self" and (file := self._file(path)) is not None:
                meanings.add(self._own(path, file, scope, "instance"))
                continue
            meaning = self.expression(path, scope, name, depth - 1) if depth > 0 else None
            if meaning is not None and meaning.kind == "symbol" and self.symbol(meaning.place).kind == "class":
                meanings.add(Meaning("instance", meaning.place))
        return meanings.pop() if len(meanings) == 1 else None

    def _imported(self, path: str, item: Import, depth: int) -> Meaning | None:
        module = item.module if item.name or item.alias != item.module.partition(".")[0] else item.alias
        file = self._modules.python(path, module, item.level)
        if file is None or depth <= 0:
            return None
        if not item.name:
            return Meaning("module", SymbolPlace(file, MODULE_SCOPE))
        return self._global(file, item.name, depth)

    def _global(self, path: str, name: str, depth: int) -> Meaning | None:
        """Return what a name of the module at `path` means to others; None if unknown.

        It may be defined there, imported there, or be a submodule if the file is the package's `__init__`.
        """
        file = self._file(path)
        if file is None or depth <= 0:
            return None
        meaning = self._name(path, file, MODULE_SCOPE, name, depth - 1)
        if meaning is None and (inner := self._modules.submodule(path, name)) is not None:
            return Meaning("module", SymbolPlace(inner, MODULE_SCOPE))
        return meaning

    def _attribute(self, meaning: Meaning, name: str, depth: int) -> Meaning | None:
        if depth <= 0:
            return None
        if meaning.kind == "module":
            return self._global(meaning.place.path, name, depth - 1)
        if meaning.kind == "symbol" and self.symbol(meaning.place).kind != "class":
            return None
        if meaning.kind == "instance" and (value := self._self_value(meaning.place, name, depth - 1)) is not None:
            return value
        place = self._member(meaning.place, name, depth - 1, skips_own=meaning.kind == "parents")
        return None if place is None else Meaning("symbol", place)

    def _self_value(self, place: SymbolPlace, name: str, depth: int) -> Meaning | None:
        """Return what the attribute NAME of a class's instances is, by its bindings in the class or a base.

        The nearest class with bindings counts. A binding is an assignment or annotation of `self.NAME` in a method, or
        of NAME in the class body. None if there is none, none can be read off, or they do not agree.
        """
        for owner in self.lineage(place, depth):
            file = self._file(owner.path)
            if file is None:
                continue
            prefix = f"{file.facts.symbols[owner.at].name}."
            bound = [
                item
                for (scope, target), items in file.bindings.items()
                if (target == f"self.{name}" and scope >= 0 and file.facts.symbols[scope].name.startswith(prefix))
                or (target == name and scope == owner.at)
                for item in items
            ]
            if bound:
                return self._bound(owner.path, bound, depth)
        return None

    def _member(self, place: SymbolPlace, name: str, depth: int, *, skips_own: bool = False) -> SymbolPlace | None:
        """Return the definition of an attribute in a class or the nearest of its bases.

        None if none of the view has it.

        Args:
            place: The class.
            name: The attribute.
            depth: How many steps of looking up may be nested.
            skips_own: Whether to look in the bases only, as `super()` does.
        """
        for owner in list(self.lineage(place, depth))[int(skips_own) :]:
            file = self._file(owner.path)
            if file is None:
                continue
            at = file.by_name.get(f"{file.facts.symbols[owner.at].name}.{name}")
            if at is not None:
                return SymbolPlace(owner.path, at)
        return None

    def lineage(self, place: SymbolPlace, depth: int = _DEEPEST) -> Iterator[SymbolPlace]:
        """Yield a class and its bases, as far as the view defines them, depth first, each once; at most 64.

        Args:
            place: The class, which comes first.
            depth: How many steps of looking up a base may take; at 0 the class alone is yielded.
        """
        seen: dict[SymbolPlace, None] = {}
        waiting = [place]
        while waiting and len(seen) < 64:
            owner = waiting.pop(0)
            if owner in seen:
                continue
            seen[owner] = None
            yield owner
            file = self._file(owner.path)
            outer = [] if file is None else list(file.scopes(owner.at))[1:]
            bases = [] if file is None else file.facts.symbols[owner.at].bases
            meanings = [self.expression(owner.path, outer[0], base, depth - 1) for base in bases] if depth > 0 else []
            waiting = [item.place for item in meanings if item is not None and item.kind == "symbol"] + waiting

    def _result(self, meaning: Meaning | None, depth: int) -> Meaning | None:
        """Return what calling something gives; None if that cannot be read off.

        A class gives its instance, an instance the result of its `__call__`, a function or method what its return
        annotation says.
        """
        if meaning is None or meaning.kind in ("module", "parents") or depth <= 0:
            return None
        if meaning.kind == "instance":
            place = self._member(meaning.place, "__call__", depth - 1)
            return self._result(None if place is None else Meaning("symbol", place), depth - 1)
        symbol = self.symbol(meaning.place)
        if symbol.kind == "class":
            return Meaning("instance", meaning.place)
        return self._annotated(meaning.place.path, meaning.place.at, symbol.returns, depth - 1)

    def _value(self, meaning: Meaning | None, depth: int) -> Meaning | None:
        """Return what an attribute is when it is read: for a method the result of calling it, as if it were a property.

        Any other meaning is returned unchanged, None too.
        """
        if meaning is not None and meaning.kind == "symbol" and self.symbol(meaning.place).kind == "method":
            return self._result(meaning, depth)
        return meaning


def _is_receiver(file: _File, scope: int, name: str) -> bool:
    """Return whether `self` or `cls` means the own instance or class in a scope, and is no other variable.

    It does as a parameter of a function around the scope, and if `type(self)` or `self.__class__` is assigned to it.
    """
    for one in file.scopes(scope):
        symbol = file.facts.symbols[one] if one >= 0 else None
        if symbol is not None and symbol.kind != "class" and re.search(rf"\b{name}\b", symbol.signature):
            return True
        if any(item.value in _OWN_CLASS for item in file.bindings.get((one, name), ())):
            return True
    return False
