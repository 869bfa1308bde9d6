"""The outline of a file: which functions, classes and imports it has, and where (LOCK-1)."""

from __future__ import annotations

from typing import Protocol

from aegis_tui.domain.lock.symbol import Outline


class SymbolReader(Protocol):
    """Parses source text. Blocks while it does; call it in a thread."""

    def outline(self, path: str, text: str) -> Outline | None:
        """The symbols of `text`, whose language the name of `path` tells; None when it cannot be parsed in full."""
        ...
