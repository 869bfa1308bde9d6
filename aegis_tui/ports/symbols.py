"""The outline of a file: which functions, classes and imports it has, and where (LOCK-1)."""

from __future__ import annotations

from typing import Protocol

from aegis_tui.domain.lock.symbol import Outline


class SymbolReader(Protocol):
    """Parses source text. It blocks; call it in a thread."""

    def outline(self, path: str, text: str) -> Outline | None:
        """Return the symbols of a file's text, in the language that the end of `path` gives; the file is not read.

        None when the language is not known, or when the text is too long or cannot be fully parsed. Raises nothing.
        """
        ...
