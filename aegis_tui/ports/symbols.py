"""The outline of a file: which functions, classes and imports it has, and where (LOCK-1)."""

from __future__ import annotations

from typing import Protocol

from aegis_tui.domain.lock.symbol import Outline


class SymbolReader(Protocol):
    """Parses source text. It blocks; call it in a thread."""

    def outline(self, path: str, text: str) -> Outline | None:
        """Return the symbols of `text`; None when it cannot be fully parsed. The file name gives the language."""
        ...
