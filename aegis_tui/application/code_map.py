"""Questions to the code map of one worktree: find, show, callers, callees, tests, search, impact (MAP-1 to MAP-5).

Each answer has the number `seq` of the map and the `tree` that it holds for, the paths that are `changed` against that
tree (the answer includes the changes), and in `stale` those of its paths whose content has changed since it was read.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from aegis_tui.application.batches import batched
from aegis_tui.application.call_sites import rows_with_code, site_rows
from aegis_tui.application.map_folders import folder_doc, folder_rows
from aegis_tui.application.map_search import best_of
from aegis_tui.application.map_view import RelationView
from aegis_tui.domain.code_map.entry import Entry
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol
from aegis_tui.domain.code_map.language import is_test, language_of
from aegis_tui.domain.code_map.relations import Relations
from aegis_tui.domain.code_map.resolve import SymbolPlace
from aegis_tui.domain.code_map.shadow import tag_of, with_tags
from aegis_tui.domain.code_map.show import ShowAs, render_symbols
from aegis_tui.domain.code_map.text import words_of
from aegis_tui.domain.wire.code_map import (
    BuildOutput,
    CalledRow,
    CalleesOutput,
    DependentRow,
    ImpactOutput,
    MapAnswer,
    MapStatusOutput,
    ShownFolder,
    ShownText,
    SitesOutput,
    SymbolRow,
    SymbolsOutput,
)
from aegis_tui.errors import GitError, UsageError
from aegis_tui.ports.code_map import BlobKey, FactsReader, FileLinks, Files, Listing, Located, MapStore

_AT_ONCE: Final = 200
"""Contents that are stored in one transaction."""
_MOST_CHANGED: Final = 100
_MOST_FOUND: Final = 50
_MOST_DEFINITIONS: Final = 10


class CodeMap:
    """The map of one worktree. `refresh` it before the first question; all methods block.

    `StoreError` of a method is `MapDamaged` if the file of the map has to be begun anew.
    """

    def __init__(self, files: Files, store: MapStore, reader: FactsReader) -> None:
        self._files = files
        self._store = store
        self._reader = reader
        self._listing = Listing(None, {})
        self._relations: Relations | None = None
        self.refreshed: BuildOutput | None = None
        """The result of the last `refresh`; None before the first."""

    @property
    def listing(self) -> Listing:
        """The files as of the last `refresh`; none before the first."""
        return self._listing

    def refresh(self) -> BuildOutput:
        """Derive what is new in the worktree and store it; later answers hold for the files as they are now.

        Returns:
            `files`, how many of them were `derived`, `wall_s`, and why the map was `rebuilt`, if it was.

        Raises:
            GitError: git fails; `GitUnavailable` if it is missing.
            StoreError: The map cannot be written.
            OSError: The worktree does not exist.
        """
        started_at = time.monotonic()
        listing = self._files.listing()
        keys = {path: BlobKey(oid, language_of(path)) for path, oid in listing.files.items()}
        wanted = set(self._store.missing(list(keys.values())))
        by_key = {key: path for path, key in keys.items() if key in wanted}
        for batch in batched(self._derived(listing, by_key), _AT_ONCE):
            self._store.put(batch)
        self._store.set_view(keys)
        self._listing, self._relations = listing, None
        refreshed: BuildOutput = {
            **self.about(()),
            "files": len(keys),
            "derived": len(by_key),
            "wall_s": round(time.monotonic() - started_at, 3),
            "rebuilt": self._store.rebuilt,
        }
        self.refreshed = refreshed
        return refreshed

    def _derived(self, listing: Listing, by_key: Mapping[BlobKey, str]) -> Iterator[tuple[BlobKey, Entry]]:
        rest = {path: key.oid for key, path in by_key.items() if path not in listing.contents}
        languages = {path: key for key, path in by_key.items()}
        given = ((path, listing.contents[path]) for path in languages if path in listing.contents)
        texts = (
            (languages[path], content) for source in (given, self._files.contents(rest)) for path, content in source
        )
        return self._reader.derive_all(texts, count=len(by_key))

    def status(self, *, checks: bool) -> MapStatusOutput:
        """Return what the map holds, counts and size; with `checks`, also where its three stores do not agree.

        Before `refresh` it knows no files. With `checks` it reads all that is stored; `disagreements` is empty if it is
        sound. Raises `StoreError` if the map cannot be read, `OSError` if the worktree is gone.
        """
        held = self._store.status()
        languages: dict[str, int] = {}
        for path in self._listing.files:
            languages[language_of(path)] = languages.get(language_of(path), 0) + 1
        about = self.about(())
        answer: MapStatusOutput = {
            "seq": about["seq"],
            "tree": about["tree"],
            "changed": about["changed"],
            "stale": about["stale"],
            "files": len(self._listing.files),
            "blobs": held.blobs,
            "symbols": held.symbols,
            "size_bytes": held.size_bytes,
            "tags": held.tags,
            "rebuilt": self._store.rebuilt,
            "languages": dict(sorted(languages.items())),
        }
        if checks:
            answer["disagreements"] = self._store.disagreements()
        return answer

    def find(self, name: str) -> SymbolsOutput:
        """Return the definitions with that name, or dotted name, in all files; `PATH:NAME` for those of one file.

        `symbols` is empty if there are none. If no whole dotted name is equal, those that end with it are taken. Raises
        `StoreError` if the map cannot be read, `OSError` if the worktree is gone.
        """
        path, _, symbol = name.rpartition(":")
        hits = [item for item in self._store.named(symbol) if path in ("", item.path)]
        return self._symbols(hits)

    def search(self, text: str, *, count: int = 10) -> SymbolsOutput:
        """Return definitions that a text speaks of, the best first, `count` at most; `symbols` is empty without any.

        A word of the text counts most, then a similarly spelled one, or one that a model wrote; a file with a word in
        its path counts more, a test or a variable less. Raises `StoreError` if the map cannot be read, `OSError` if the
        worktree is gone.
        """
        words = list(dict.fromkeys(words_of(text)))
        hits = self._store.matching(words, count=4 * count), self._store.alike(words, count=2 * count)
        return self._symbols(best_of(words, *hits, self._store.tagged(words, count=2 * count))[:count])

    def show(self, place: str, form: ShowAs = "signatures") -> ShownText | ShownFolder:
        """Return a file or one of its symbols as text, or what a folder holds.

        Args:
            place: `PATH`, `PATH:SYMBOL`, or a folder (`.` for the whole repository).
            form: `outline`, `signatures` or `body` (empty over 1 MiB), as of `refresh`; no effect for a folder.

        Raises:
            UsageError: There is no such file, folder or symbol in the map.
            GitError: For a `body`: the file has changed since `refresh`, and git lacks that content.
            StoreError: The map cannot be read.
            OSError: The worktree is gone.
        """
        path, symbol = self._split(place)
        facts = self._relate().facts(path)
        if facts is None:
            return self._folder(path)
        within = None if symbol is None else facts.symbols[symbol.at]
        pointers = self._pointers(symbol) if symbol is not None else []
        span = [1, facts.lines] if within is None else [within.first, within.last]
        tags = self._store.tags(self._listing.files[path])
        text = self._body(path, span) if form == "body" else render_symbols(with_tags(facts, tags), form, within=within)
        name, tag = ("", "") if within is None else (within.name, tag_of(within, tags))
        return {
            **self.about([path]),
            "path": path,
            "symbol": name,
            "as": form,
            "lines": span,
            "text": text,
            "machine_doc": tag,
            "pointers": pointers,
        }

    def _folder(self, path: str) -> ShownFolder:
        files, facts = self._listing.files, self._relate().facts
        folders, rows = folder_rows(path, files, facts)
        doc = folder_doc(path, files, facts)
        return {**self.about([]), "path": path or ".", "doc": doc, "folders": folders, "files": rows}

    def callers(self, name: str) -> SitesOutput:
        """Return what `name` or `PATH:NAME` defines and its calls, with their code and the function each stands in.

        If several definitions have the name, the calls of all of them. Files that changed while they are read have no
        code in the answer.

        Raises:
            UsageError: The map has no function, method or class of that name.
            StoreError: The map cannot be read.
            OSError: The worktree is gone.
        """
        places, relations = self._places(name), self._relate()
        sites = [site for place in places for site in relations.callers(place)]
        shown = [self._row(place) for place in places[:_MOST_DEFINITIONS]]
        definitions, rows = rows_with_code(shown, sites, relations.facts, self._texts)
        about = self.about({row["path"] for row in [*rows, *definitions]})
        return {**about, "of": self._names(places), "definitions": definitions, "sites": rows}

    def tests(self, name: str) -> SitesOutput:
        """Return the tests that call or name what `name` or `PATH:NAME` defines; of several definitions, any.

        Raises:
            UsageError: The map has no function, method or class of that name.
            StoreError: The map cannot be read.
            OSError: The worktree is gone.
        """
        places = self._places(name)
        sites = [site for place in places for site in self._relate().tests(place)]
        rows = site_rows(sites)
        about = self.about({row["path"] for row in rows})
        answer: SitesOutput = {
            "seq": about["seq"],
            "tree": about["tree"],
            "changed": about["changed"],
            "stale": about["stale"],
            "of": self._names(places),
            "sites": rows,
        }
        return answer

    def callees(self, name: str) -> CalleesOutput:
        """Return the definitions that are called inside what `name` or `PATH:NAME` defines; of several, inside any.

        Raises:
            UsageError: The map has no function, method or class of that name.
            StoreError: The map cannot be read.
            OSError: The worktree is gone.
        """
        places, relations = self._places(name), self._relate()
        hits = [(place, line) for outer in places for place, line in relations.callees(outer)]
        rows: list[CalledRow] = [{**self._row(place), "called_at": line} for place, line in hits]
        return {**self.about({row["path"] for row in rows}), "of": self._names(places), "symbols": rows}

    def impact(self, place: str) -> ImpactOutput:
        """Return the other files that directly depend on `PATH` or `PATH:NAME`: certainly call it, or import a `PATH`.

        Tests are marked `is_test`. What depends on a listed file is not followed.

        Raises:
            UsageError: There is no such file or symbol in the map.
            StoreError: The map cannot be read.
            OSError: The worktree is gone.
        """
        path, symbol = self._split(place)
        relations = self._relate()
        facts = relations.facts(path)
        if facts is None:
            raise UsageError(f"{path} is not in the map", "aegis-tui map show . lists the files and folders in it")
        kinds = ("class", "function", "method")
        places = (
            [symbol] if symbol else [SymbolPlace(path, at) for at, one in enumerate(facts.symbols) if one.kind in kinds]
        )
        reasons: dict[str, list[str]] = {}
        for one in places:
            for site in relations.callers(one):
                if site.path != path and site.certain:
                    reasons.setdefault(site.path, []).append(f"{facts.symbols[one.at].name} at {site.line}")
        for importer in relations.importers(path) if symbol is None else ():
            reasons.setdefault(importer, [])
        rows: list[DependentRow] = [
            {"path": other, "calls": sorted(set(calls))[:_MOST_FOUND], "is_test": is_test(other)}
            for other, calls in sorted(reasons.items())
        ]
        return {**self.about([path, *reasons]), "path": path, "dependents": rows}

    def links(self) -> Iterator[FileLinks]:
        """Yield all files with their lines and imports, by path; raises `StoreError` if the map cannot be read."""
        return self._store.links()

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of a file; None if the map does not have it. Raises `StoreError` if it cannot be read."""
        return self._relate().facts(path)

    def _relate(self) -> Relations:
        if self._relations is None:
            self._relations = Relations(RelationView(self._store))
        return self._relations

    def about(self, paths: Iterable[str]) -> MapAnswer:
        """Return the fields that every answer has: `seq`, `tree`, `changed` and `stale` (see the module).

        Args:
            paths: The files that the answer is about; `stale` names those whose content has changed since `refresh`.

        Raises `StoreError` if the map cannot be read, `OSError` if the worktree is gone.
        """
        listing = self._listing
        return {
            "seq": self._store.status().seq,
            "tree": listing.tree,
            "changed": list(listing.changed[:_MOST_CHANGED]),
            "stale": self._files.stale(listing, sorted(set(paths))),
        }

    def _split(self, place: str) -> tuple[str, SymbolPlace | None]:
        """Return the path of `PATH` or `PATH:SYMBOL`, and the symbol; None if it names none. The path may be unknown.

        Raises:
            UsageError: The file has no such symbol.
        """
        normal = posixpath.normpath(place) if place else "."
        path = "" if normal == "." else normal
        if path in self._listing.files or ":" not in path:
            return path, None
        path, _, symbol = path.rpartition(":")
        hits = [item for item in self._store.named(symbol) if item.path == path]
        if not hits:
            raise UsageError(f"{path} defines no {symbol}", f"aegis-tui map show {path}")
        exact = next((item for item in hits if item.symbol.name == symbol), hits[0])
        return path, SymbolPlace(path, exact.at)

    def _places(self, name: str) -> list[SymbolPlace]:
        path, _, symbol = name.rpartition(":")
        hits = [item for item in self._store.named(symbol) if path in ("", item.path)]
        places = [
            SymbolPlace(item.path, item.at)
            for item in hits
            if item.symbol.kind not in ("variable", "heading", "module")
        ]
        if not places:
            raise UsageError(f"the map has no function or class {name}", f"aegis-tui map search {symbol}")
        return places

    def _body(self, path: str, span: list[int]) -> str:
        return "\n".join(dict(self._contents([path]))[path][span[0] - 1 : span[1]])

    def _texts(self, paths: Collection[str]) -> dict[str, list[str]]:
        """Return the lines of files of the listing by path.

        If a file has changed since and git does not have the content either, it and those after it are missing.
        """
        texts: dict[str, list[str]] = {}
        with suppress(GitError):
            texts.update(self._contents(paths))
        return texts

    def _contents(self, paths: Collection[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield path and lines of files of the listing, as `Files.contents` does; what it raises is raised."""
        held = self._listing.contents
        yield from ((path, _lines_of(held[path])) for path in paths if path in held)
        rest = {path: self._listing.files[path] for path in paths if path not in held}
        yield from ((path, _lines_of(content)) for path, content in self._files.contents(rest))

    def _pointers(self, place: SymbolPlace) -> list[str]:
        """Return `PATH:SYMBOL` of what a symbol calls, at most `_MOST_FOUND`, so that a reader can go on from it."""
        relations = self._relate()
        return [self._pointer(target) for target, _ in relations.callees(place)][:_MOST_FOUND]

    def _pointer(self, place: SymbolPlace) -> str:
        return f"{place.path}:{self._symbol(place).name}"

    def _symbol(self, place: SymbolPlace) -> MapSymbol:
        facts = self._relate().facts(place.path)
        if facts is None:
            raise UsageError(f"{place.path} is not in the map")
        return facts.symbols[place.at]

    def _row(self, place: SymbolPlace) -> SymbolRow:
        return self._tagged(self._symbol(place), place.path)

    def _names(self, places: Iterable[SymbolPlace]) -> list[str]:
        return [self._pointer(place) for place in places]

    def _symbols(self, hits: Iterable[Located]) -> SymbolsOutput:
        rows = [self._tagged(item.symbol, item.path) for item in hits]
        return {**self.about({row["path"] for row in rows}), "symbols": rows}

    def _tagged(self, symbol: MapSymbol, path: str) -> SymbolRow:
        row = symbol.to_row(path)
        if tag := tag_of(symbol, self._store.tags(self._listing.files[path])):
            row["machine_doc"] = tag
        return row


def _lines_of(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").split("\n")
