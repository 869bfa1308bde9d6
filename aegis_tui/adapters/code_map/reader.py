"""Derives the facts of any file: of source in a known language, of headings, or only its number of lines."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator

from aegis_tui.adapters.code_map.apart import derive_apart
from aegis_tui.adapters.code_map.front_matter import read_front_matter
from aegis_tui.adapters.code_map.python import python_facts
from aegis_tui.domain.code_map.entry import Entry, make_entry
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol
from aegis_tui.domain.code_map.text import one_line
from aegis_tui.ports.code_map import BlobKey

_log = logging.getLogger(__name__)

_BY_TREE = frozenset(["javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp"])
_MOST_WORKERS = 3
_WORTH_A_PROCESS = 200
"""From so many contents on, another process saves more time than its start takes."""

_HEADING = re.compile(r"(#{1,6})\s+(.+)")
_FENCE = re.compile(r"\s*(```|~~~)")


class SourceReader:
    """Implements `FactsReader`."""

    def derive(self, language: str, content: bytes) -> FileFacts:
        """Return the facts of a content; of one that cannot be parsed, its number of lines.

        Of Markdown, these are its headings and what its front matter says.

        A language whose grammar is not installed (`aegis-tui[lang]`), and one that the map does not know, give the
        number of lines only. A content with a NUL has the language `binary` and no lines. Raises nothing.
        """
        if b"\0" in content:
            return FileFacts("binary", 0)
        try:
            if language == "python":
                return python_facts(content)
            if language in _BY_TREE:
                from aegis_tui.adapters.code_map.tree import tree_facts

                return tree_facts(language, content)
        except (ImportError, RecursionError, MemoryError, ValueError) as error:
            _log.warning("a file is not parsed", extra={"aegis_language": language, "aegis_error": str(error)})
        return _headings(language, content)

    def derive_all(self, items: Iterable[tuple[BlobKey, bytes]], *, count: int) -> Iterator[tuple[BlobKey, Entry]]:
        """Yield each key with what is to be stored of its content; many contents are shared out to other processes.

        With other processes, the order is any. An error that `items` raises is raised, after what was read before it.

        Args:
            items: The contents.
            count: How many there are, about: 200 are worth one process, and there are three at most.
        """
        workers = self.workers(count)
        if workers > 0:
            yield from derive_apart(items, workers, self.entry)
            return
        for key, content in items:
            yield key, self.entry(key.language, content)

    def workers(self, count: int) -> int:
        """Return how many other processes help to read `count` contents: one for each 200, at most three.

        At most one less than this machine has cores, and so possibly 0.
        """
        return min(_MOST_WORKERS, (os.cpu_count() or 1) - 1, count // _WORTH_A_PROCESS)

    def entry(self, language: str, content: bytes) -> Entry:
        """Return what is to be stored of a content: the facts of `derive`, and the words to find them by.

        Raises nothing.
        """
        return make_entry(self.derive(language, content))


def _headings(language: str, content: bytes) -> FileFacts:
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    count = len(lines) - (not lines[-1])
    return FileFacts(language, count, tuple(_markdown(lines)) if language == "markdown" else ())


def _markdown(lines: list[str]) -> Iterator[MapSymbol]:
    """Yield a symbol of the kind `module` for what front matter says, and one of the kind `heading` for each heading.

    Lines in fenced code and in front matter are not headings.
    """
    doc, after = read_front_matter(lines)
    if doc:
        yield MapSymbol("", "module", 1, 1, max(len(lines), 1), "", doc)
    is_code = False
    for number, line in enumerate(lines[after:], start=after + 1):
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code and (match := _HEADING.match(line)):
            title = one_line(match[2].rstrip("# "), limit=120)
            yield MapSymbol(title, "heading", number, number, number, f"{match[1]} {title}", "")
