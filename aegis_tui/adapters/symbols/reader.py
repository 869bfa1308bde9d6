"""Chooses the parser of a file: the standard library for Python, tree-sitter for others, imported when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import PurePosixPath

from aegis_tui.adapters.symbols.python import read_python
from aegis_tui.adapters.symbols.tree import read_tree
from aegis_tui.domain.lock.region import split_lines
from aegis_tui.domain.lock.symbol import Definition, Outline, build_outline

MAX_CHARS = 256 * 1024
"""Longer texts are not parsed: Python's parser blocks all other threads, for seconds with 2 MiB."""

_READERS: Mapping[str, Callable[[str], Iterable[Definition] | None]] = {
    **dict.fromkeys((".py", ".pyi"), read_python),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), partial(read_tree, "javascript")),
    **dict.fromkeys((".ts", ".mts", ".cts"), partial(read_tree, "typescript")),
    ".tsx": partial(read_tree, "tsx"),
    ".go": partial(read_tree, "go"),
    ".rs": partial(read_tree, "rust"),
}


class FileSymbols:
    """Implements `SymbolReader` for Python, JavaScript, TypeScript, Go and Rust. Stateless; usable from any thread."""

    def outline(self, path: str, text: str) -> Outline | None:
        """Return the symbols of a file's text, in the language that the end of `path` gives; the file is not read.

        None if the language is not known, or if the text cannot be fully parsed, has more than 256 Ki characters, or
        has a CR that is not part of CRLF. Raises nothing.
        """
        read = _READERS.get(PurePosixPath(path).suffix.lower())
        if read is None or len(text) > MAX_CHARS or "\r" in text.replace("\r\n", ""):
            return None
        definitions = read(text)
        return None if definitions is None else build_outline(definitions, len(split_lines(text)))
