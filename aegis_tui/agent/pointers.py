"""Where to read on: what a symbol calls, as `PATH:SYMBOL`, looked up in the files of the worktree (MAP-3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol
from aegis_tui.domain.code_map.language import language_of
from aegis_tui.domain.code_map.modules import ModuleIndex
from aegis_tui.domain.code_map.resolve import Resolver
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import AegisError
from aegis_tui.ports.code_map import SourceFacts

MOST_POINTERS = 12
_MOST_KNOWN, _MOST_TAKEN = 200, 4
_MOST_PARSED_CHARS = 1 << 20
_LIST_TIMEOUT_S = 10.0
_LISTED_S = 60.0
"""How long a list of files is used; a new file is called after that."""


class Pointers:
    """Looks up calls in the files of one worktree. Only what is certain is answered, and only in Python.

    Args:
        worktree: The worktree.
        git: Its git, which lists the files.
        facts: Parses source text.
    """

    def __init__(self, worktree: OwnWorktree, git: Git, facts: SourceFacts) -> None:
        self._worktree, self._git, self._facts = worktree, git, facts
        self._modules: ModuleIndex | None = None
        self._parsed: dict[str, tuple[int, FileFacts]] = {}
        self._listed_at = 0.0

    def parse(self, path: str, text: str) -> FileFacts | None:
        """Return the facts of a file's text; None if it is longer than 1 MiB. Blocking.

        Args:
            path: A result of `OwnWorktree.locate`; its end gives the language.
            text: The content.
        """
        if len(text) > _MOST_PARSED_CHARS:
            return None
        return self._facts.derive(language_of(path), text.encode("utf-8", "replace"))

    async def of(self, path: str, facts: FileFacts, symbol: MapSymbol) -> list[str]:
        """Return `PATH:SYMBOL` of what a symbol calls in the order of the text, each once, at most `MOST_POINTERS`.

        What the symbol itself contains is left out. Empty if nothing is certain, or git does not list the files.

        Args:
            path: The file of the symbol.
            facts: Its facts.
            symbol: One of the symbols in `facts`.
        """
        if facts.language != "python" or (modules := await self._index()) is None:
            return []
        return await asyncio.to_thread(self._called, modules, path, facts, symbol)

    async def relation(self, path: str, known: Collection[str]) -> str:
        """Return how a Python file has to do with others: `b.py imports pay from it`, or `it imports b.py`.

        Empty if none of them imports it and it imports none of them, as the files are in this worktree, or if git does
        not list the files.

        Args:
            path: The file, in the form of `OwnWorktree.locate`.
            known: The others; the first 200 by their paths are looked at.
        """
        if language_of(path) != "python" or (modules := await self._index()) is None:
            return ""
        return await asyncio.to_thread(self._relation, modules, path, sorted(known)[:_MOST_KNOWN])

    def _relation(self, modules: ModuleIndex, path: str, known: Sequence[str]) -> str:
        for other in known:
            facts = self._facts_now(other)
            if path in modules.imported_files(other, facts.imports):
                taken = sorted(
                    {item.name for item in facts.imports if item.name and path in modules.files(other, item)}
                )
                names = f"{', '.join(taken[:_MOST_TAKEN])} from it" if taken else "it"
                return f"{other} imports {names}"
        imported = modules.imported_files(path, self._facts_now(path).imports)
        return next((f"it imports {other}" for other in known if other in imported), "")

    def _facts_now(self, path: str) -> FileFacts:
        """Return the facts of a Python file of the worktree as it is now; without imports if it cannot be read."""
        try:
            text = self._worktree.load(self._worktree.locate(path)) if language_of(path) == "python" else None
        except (AegisError, OSError):
            text = None
        if text is None:
            return FileFacts("python", 0)
        if path not in self._parsed or self._parsed[path][0] != hash(text):
            self._parsed[path] = hash(text), self.parse(path, text) or FileFacts("python", 0)
        return self._parsed[path][1]

    async def _index(self) -> ModuleIndex | None:
        now = time.monotonic()
        if self._modules is None or now - self._listed_at > _LISTED_S:
            try:
                listed = await self._git.run(
                    *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py", "*.pyi"),
                    timeout_s=_LIST_TIMEOUT_S,
                    limit_bytes=16 * 1024 * 1024,
                    errors="surrogateescape",
                )
            except AegisError:
                return None
            if listed.code != 0:
                return None
            names = [write_name(name) for name in listed.output.split("\0") if name]
            self._modules, self._listed_at = await asyncio.to_thread(ModuleIndex, names), now
        return self._modules

    def _called(self, modules: ModuleIndex, path: str, facts: FileFacts, symbol: MapSymbol) -> list[str]:
        source = _WorktreeFacts(self, self._worktree, {path: facts})
        resolver = Resolver(source, modules)
        called: dict[str, None] = {}
        for call in facts.calls:
            if not symbol.first <= call.line <= symbol.last:
                continue
            place = resolver.call(path, call.scope, call.target)
            if place is None:
                continue
            target = resolver.symbol(place)
            if place.path != path or not symbol.first <= target.line <= symbol.last:
                called[f"{place.path}:{target.name}"] = None
            if len(called) >= MOST_POINTERS:
                break
        return list(called)


class _WorktreeFacts:
    """The facts of the worktree's files, read when they are needed."""

    def __init__(self, pointers: Pointers, worktree: OwnWorktree, known: dict[str, FileFacts | None]) -> None:
        self._pointers, self._worktree, self._known = pointers, worktree, known

    def facts(self, path: str) -> FileFacts | None:
        if path not in self._known:
            try:
                self._known[path] = self._pointers.parse(path, self._worktree.load(self._worktree.locate(path)))
            except (AegisError, OSError):
                self._known[path] = None
        return self._known[path]
