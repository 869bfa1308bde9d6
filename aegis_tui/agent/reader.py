"""Shows files to the model: whole, as signatures, one symbol of them, or what has changed (MAP-3, LLM-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches

from aegis_tui.agent.files import OwnWorktree, numbered
from aegis_tui.agent.pointers import Pointers
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.signatures import outline
from aegis_tui.agent.views import FileViews
from aegis_tui.domain.code_map.brief import render_brief
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol
from aegis_tui.domain.count import counted
from aegis_tui.domain.tool.model import ReadArguments
from aegis_tui.errors import UsageError

_WHOLE_LINES = 40
"""A file of at most so many lines is shown whole."""
_MOST_NAMED = 20
_NONE = "(no signatures found; use read)"


class FileReader:
    """Reads files of the instance's worktree for the model.

    Args:
        worktree: The instance's worktree.
        scope: What the instance may write.
        pointers: Parses source text, and looks up what a symbol calls.
        views: What the conversation has shown.
        shows_bodies: Show files outside the scope whole too, for a role that judges code.
    """

    def __init__(
        self,
        worktree: OwnWorktree,
        scope: WriteScope,
        pointers: Pointers,
        views: FileViews,
        *,
        shows_bodies: bool,
    ) -> None:
        self._worktree, self._scope, self.pointers = worktree, scope, pointers
        self._shows_bodies = shows_bodies
        self.views = views

    def locate(self, place: str) -> tuple[str, str]:
        """Return the path in the worktree that a place names, as `OwnWorktree.locate` does, and the symbol in it.

        Args:
            place: `PATH` or `PATH:SYMBOL`; the symbol is empty for the first. A file with that whole name goes first.

        Raises:
            Refused: The path is not usable, or leads to the root, outside the worktree or into git's own files.
        """
        path, colon, symbol = place.rpartition(":")
        if colon and path and symbol and not self._worktree.is_file(self._worktree.locate(place)):
            return self._worktree.locate(path), symbol
        return self._worktree.locate(place), ""

    async def read(self, path: str, symbol: str, wanted: ReadArguments) -> str:
        """Return what the model gets to see for a `read`.

        That are the lines it asks for, or of a longer file that the instance may not write its signatures. Of what
        it has seen before it gets the difference (see `FileViews.show`).

        Args:
            path: A result of `locate`.
            symbol: A function or class in it; empty for the file.
            wanted: The arguments of the call; its lines count only without a symbol.

        Raises:
            UsageError: There is no such file or symbol, or the file cannot be read as text.
            OSError: The system refuses to read it.
        """
        text = self._worktree.load(path)
        if symbol:
            return await self._read_symbol(path, symbol, text)
        wants_lines = wanted.start is not None or wanted.end is not None
        if not (wants_lines or wanted.body or self._shows_bodies or self._scope.verdict(path).allowed):
            shape = await self._shape(path, text)
            if shape and text.count("\n") > _WHOLE_LINES and len(shape) * 2 < len(numbered(text, start=None, end=None)):
                return self.views.show_text(f"the signatures of {path}", self._head(path, text) + shape)
        return self.views.show(path, text, start=wanted.start, end=wanted.end)

    def _head(self, path: str, text: str) -> str:
        size = counted(len(text.splitlines()), "line")
        return (
            f"(signatures only, because {path} has {size} and you may not write it; to see one definition, read "
            f"{path}:NAME; to see the whole file, set body to true)\n"
        )

    async def signatures(self, path: str) -> str:
        """Return the signatures of a file, one per line as `render_brief` does; a remark if there are none.

        Of languages that are not parsed, lines that look like a definition, with their numbers.

        Args:
            path: A result of `OwnWorktree.locate`.

        Raises:
            UsageError: There is no such file, or it cannot be read as text.
            OSError: The system refuses to read it.
        """
        shape = await self._shape(path, self._worktree.load(path))
        return self.views.show_text(f"the signatures of {path}", shape or _NONE)

    async def _shape(self, path: str, text: str) -> str:
        facts = await self._parse(path, text)
        if facts is not None and (shape := render_brief(facts, "signatures")):
            return shape
        guessed = outline(path, text)
        return "" if guessed == _NONE else guessed

    async def _parse(self, path: str, text: str) -> FileFacts | None:
        return await asyncio.to_thread(self.pointers.parse, path, text)

    def spans(self, path: str, symbol: str, text: str) -> list[tuple[int, int]]:
        """Return first and last line, 1-based, of each definition of a symbol in a text. Blocking.

        Args:
            path: A result of `OwnWorktree.locate`; its end gives the language.
            symbol: A function or class, as in `locate`.
            text: The content of the file.

        Raises:
            UsageError: The text defines no such symbol, or is longer than 1 MiB.
        """
        facts = self.pointers.parse(path, text)
        return [(item.first, item.last) for item in _definitions(path, facts, symbol)]

    async def _read_symbol(self, path: str, symbol: str, text: str) -> str:
        facts = await self._parse(path, text)
        definitions = _definitions(path, facts, symbol)
        parts = [self.views.show(path, text, start=item.first, end=item.last) for item in definitions]
        if facts is not None and (pointers := await self.pointers.of(path, facts, definitions[0])):
            parts.append(f"(calls {', '.join(pointers)})")
        return "\n".join(parts)


def _definitions(path: str, facts: FileFacts | None, symbol: str) -> list[MapSymbol]:
    definitions = _find(facts.symbols if facts else (), symbol)
    if not definitions:
        raise UsageError(f"{path} defines no {symbol}", _names_words(facts, symbol))
    return definitions


def _find(symbols: Sequence[MapSymbol], name: str) -> list[MapSymbol]:
    """Return the definitions with that dotted name, else those whose dotted name ends with it; variables count last."""
    exact = [item for item in symbols if item.name == name]
    ending = [item for item in symbols if item.name.endswith(f".{name}")]
    matching = exact or ending
    return [item for item in matching if item.kind != "variable"] or matching


def _names_words(facts: FileFacts | None, symbol: str) -> str:
    names = [item.name for item in facts.symbols if item.kind in ("class", "function", "method")] if facts else []
    near = get_close_matches(symbol, names, n=5, cutoff=0.4) or names[:_MOST_NAMED]
    return f"It defines {', '.join(near)}" if near else "Read it by lines"
