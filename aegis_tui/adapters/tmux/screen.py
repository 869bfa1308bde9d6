"""Turns what tmux prints for a captured screen into a `Screenshot`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aegis_tui.ports.terminal import Screenshot

SCREEN_FORMAT = "#{pane_width}|#{pane_height}|#{cursor_x}|#{cursor_y}|#{alternate_on}"
"""The format of the line that is printed before a capture."""

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_OSC = re.compile(r"\x1b\].*?(?:\x1b\\|\x07)")
_OTHER_ESCAPE = re.compile(r"\x1b(?!\[[0-9;:]*m)")
_SHIFTS = re.compile("[\x0e\x0f]")
_LINE_DRAWING = str.maketrans("`afgjklmnopqrstuvwxyz{|}~", "◆▒°±┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")


def parse_screen(header: str, lines: Sequence[str]) -> Screenshot | None:
    """Return a screenshot from a header in `SCREEN_FORMAT` and the captured lines; None if the header is not valid.

    Missing lines up to the height are added empty. Colours (SGR sequences) stay in the lines, other escapes do not.
    """
    fields = header.split("|")
    if len(fields) != 5 or not all(field.isdigit() for field in fields):
        return None
    width, height, cursor_x, cursor_y, alternate = map(int, fields)
    padded = [*_plain_shifts(lines), *[""] * (height - len(lines))]
    return Screenshot(tuple(padded), width, height, cursor_x, cursor_y, bool(alternate))


def _plain_shifts(lines: Sequence[str]) -> list[str]:
    """Return the lines with box characters where tmux writes shifted ASCII, and with no escape sequences but SGR."""
    shifted = False
    plain: list[str] = []
    for line in lines:
        if shifted or "\x0e" in line:
            pieces: list[str] = []
            for number, part in enumerate(_SHIFTS.split(line)):
                shifted = shifted != (number > 0)
                pieces.append(_draw(part) if shifted else part)
            line = "".join(pieces)
        plain.append(_OTHER_ESCAPE.sub("", _OSC.sub("", line)) if "\x1b" in line else line)
    return plain


def _draw(part: str) -> str:
    """Return a text with the ASCII characters that stand for box characters replaced by these; SGR sequences stay."""
    texts, codes = _SGR.split(part), _SGR.findall(part)
    drawn = [text.translate(_LINE_DRAWING) for text in texts]
    return "".join(text + code for text, code in zip(drawn, [*codes, ""], strict=True))
