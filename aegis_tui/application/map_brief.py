"""What briefs say about the code: what lies around partitions, and what the repository consists of (MAP-3, MAP-5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from aegis_tui.application.code_map import CodeMap
from aegis_tui.application.map_folders import folder_doc
from aegis_tui.domain.code_map.around import Neighbour, OutlineFile, around_text, outline_text
from aegis_tui.domain.code_map.language import TEXT, language_of
from aegis_tui.domain.code_map.modules import ModuleIndex
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.inert import inert
from aegis_tui.ports.code_map import FileLinks

Edges = Mapping[str, Mapping[str, frozenset[str]]]
"""A file -> each file of the repository that it imports -> the names that it takes from there."""


def texts_around(code_map: CodeMap, partitions: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return for each partition the signatures of what its files import, and of what imports them; perhaps empty.

    Args:
        code_map: The map, refreshed; blocking.
        partitions: Name -> globs.

    Raises:
        UsageError: A glob is not valid.
        StoreError: The map cannot be read.
    """
    edges = _edges(list(code_map.links()))
    return {name: _text_around(code_map, edges, globs) for name, globs in partitions.items()}


def outline_of(code_map: CodeMap) -> str:
    """Return the outline of a repository within a budget; empty if it has no code.

    Args:
        code_map: The map, refreshed; blocking.

    Raises:
        StoreError: The map cannot be read.
    """
    links = list(code_map.links())
    importers = Counter(target for targets in _edges(links).values() for target in targets)
    code = [
        OutlineFile(item.path, item.lines, importers[item.path])
        for item in links
        if language_of(item.path) not in (TEXT, "markdown")
    ]

    def defined(path: str) -> list[str]:
        facts = code_map.facts(path)
        symbols = facts.symbols if facts is not None else ()
        names = [item.name for item in symbols if item.kind in ("class", "function") and "." not in item.name]
        return [name for name in names if not name.startswith("_")]

    paths = [item.path for item in links]
    return _inert(outline_text(code, defined, lambda folder: folder_doc(folder, paths, code_map.facts)))


def _inert(text: str) -> str:
    return "\n".join(map(inert, text.split("\n")))


def _edges(links: Sequence[FileLinks]) -> Edges:
    modules = ModuleIndex([item.path for item in links])
    edges: dict[str, dict[str, frozenset[str]]] = {}
    for link in links:
        taken: dict[str, set[str]] = {}
        for item in link.imports:
            files = modules.files(link.path, item)
            inner = modules.submodule(files[0], item.name) if item.name and files else None
            for file in [inner] if inner is not None else files:
                names = taken.setdefault(file, set())
                if inner is None and item.name not in ("", "*"):
                    names.add(item.name)
        edges[link.path] = {file: frozenset(names) for file, names in taken.items() if file != link.path}
    return edges


def _text_around(code_map: CodeMap, edges: Edges, globs: Iterable[str]) -> str:
    matchers = [compile_glob(glob) for glob in globs]
    inside = frozenset(path for path in edges if any(matcher.matches(path) for matcher in matchers))
    imported: dict[str, list[frozenset[str]]] = {}
    importers: dict[str, list[frozenset[str]]] = {}
    for path, targets in edges.items():
        for target, names in targets.items():
            if (path in inside) != (target in inside):
                side, outer = (imported, target) if path in inside else (importers, path)
                side.setdefault(outer, []).append(names)
    return _inert(around_text(_neighbours(code_map, imported), _neighbours(code_map, importers)))


def _neighbours(code_map: CodeMap, files: Mapping[str, Sequence[frozenset[str]]]) -> list[Neighbour]:
    neighbours = []
    for path, taken in files.items():
        if (facts := code_map.facts(path)) is not None:
            neighbours.append(Neighbour(path, facts, tuple(sorted(frozenset().union(*taken))), len(taken)))
    return neighbours
