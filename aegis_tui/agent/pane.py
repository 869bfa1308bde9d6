"""Writes text to the pane, with the few styles that an agent's screen uses.

It does not use rich, whose import took a sixth of an agent's start. The caller must have removed control characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

_CODES: Mapping[str, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
"""Style -> its parameter for Select Graphic Rendition (ECMA-48, 8.3.117)."""
_WITHOUT_COLOUR = frozenset({"bold", "dim"})
_TERMINALS_WITHOUT_STYLES = frozenset({"", "dumb", "unknown"})


class Pane:
    """One terminal, or a file for plain text.

    Args:
        file: Where to write.
        styles: The styles that it can show; with other styles, text stays plain.
    """

    def __init__(self, file: TextIO, styles: frozenset[str] = frozenset()) -> None:
        self._file = file
        self._styles = styles

    @classmethod
    def of(cls, file: TextIO, environ: Mapping[str, str]) -> Pane:
        """Return a pane with styles if `file` is a terminal that has them; without colours if NO_COLOR is set.

        See https://no-color.org.
        """
        if not file.isatty() or environ.get("TERM", "") in _TERMINALS_WITHOUT_STYLES:
            return cls(file)
        return cls(file, _WITHOUT_COLOUR if environ.get("NO_COLOR") else frozenset(_CODES))

    def styled(self, text: str, style: str) -> str:
        """Return the text with the codes of its style around it; unchanged if the pane does not show the style."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if text and style in self._styles else text

    def write(self, text: str) -> None:
        """Write text without adding a line end or escaping anything, and flush: a person watches the pane."""
        self._file.write(text)
        self._file.flush()
