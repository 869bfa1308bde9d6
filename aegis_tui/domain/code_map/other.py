"""Which definition a call means in languages other than Python: by the names of the file, its imports and its folder.

There are no types here: a method call is resolved only if the file itself, or a file that it imports, has exactly one
definition of that name.
"""

from __future__ import annotations

import posixpath
from typing import Protocol

from aegis_tui.domain.code_map.facts import CallSite, FileFacts
from aegis_tui.domain.code_map.language import language_of
from aegis_tui.domain.code_map.modules import ModuleIndex
from aegis_tui.domain.code_map.resolve import SymbolPlace


class FactSource(Protocol):
    """Where the facts of the files of a view come from."""

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of the file at this path; None if the source has no such file."""
        ...


def resolve_other(source: FactSource, modules: ModuleIndex, path: str, call: CallSite) -> SymbolPlace | None:
    """Return the definition that a call in a file reaches; None if that is not known. For languages other than Python.

    A call on `this` or `self` is looked up in the file, first in the class around it. A plain name is looked up in the
    file outside of classes. Everything else, and a plain name that is not there, in the imported files and those whose
    names are visible without an import. Each step needs exactly one definition with the last name.

    Args:
        source: Where facts of files come from.
        modules: The files of the same source, by the names under which they are imported.
        path: The file with the call.
        call: The call, as the facts of this file have it.
    """
    facts = source.facts(path)
    if facts is None:
        return None
    first, _, rest = call.target.partition(".")
    name = call.target.rpartition(".")[2]
    owner = facts.symbols[call.scope].name.rpartition(".")[0] if call.scope >= 0 else ""
    if first in ("this", "self", "Self") and "." not in rest:
        return _only(path, facts, name, owner=owner) or _only(path, facts, name)
    if not rest and (place := _only(path, facts, name, is_plain=True)) is not None:
        return place
    imported = [item for item in facts.imports if item.alias == first]
    files = [file for item in imported for file in modules.files(path, item)]
    wanted = imported[0].name if imported and not rest and imported[0].name not in ("", "*", "default") else name
    files += _whole(source, modules, path, facts)
    places = [place for file in dict.fromkeys(files) if (place := _in_file(source, file, wanted)) is not None]
    return places[0] if len(places) == 1 else None


def _whole(source: FactSource, modules: ModuleIndex, path: str, facts: FileFacts) -> list[str]:
    """Return the files whose names can be used in a file without naming each in an import.

    In C and C++ the included files with their siblings of another suffix; in Go and Java the other files of the folder
    in this language; empty in any other language.
    """
    language = language_of(path)
    if language in ("c", "cpp"):
        included = [file for item in facts.imports for file in modules.files(path, item)]
        return [*included, *(other for file in included for other in modules.beside(file))]
    if language in ("go", "java"):
        folder = posixpath.dirname(path)
        return [file for file in modules.folder(folder) if file != path and language_of(file) == language]
    return []


def _in_file(source: FactSource, path: str, name: str) -> SymbolPlace | None:
    facts = source.facts(path)
    return None if facts is None else _only(path, facts, name)


def _only(path: str, facts: FileFacts, name: str, *, owner: str = "", is_plain: bool = False) -> SymbolPlace | None:
    """Return the function, method or class with a name in a file if there is exactly one, else None.

    Args:
        path: The file.
        facts: Its facts.
        name: The last dotted part of the name.
        owner: The dotted name of the class that it must be in; empty for any.
        is_plain: Only what has no dotted name, so is in no class.
    """
    indexes = [
        at
        for at, symbol in enumerate(facts.symbols)
        if symbol.kind in ("function", "method", "class")
        and symbol.name.rpartition(".")[2] == name
        and (not owner or symbol.name == f"{owner}.{name}")
        and not (is_plain and "." in symbol.name)
    ]
    return SymbolPlace(path, indexes[0]) if len(indexes) == 1 else None
