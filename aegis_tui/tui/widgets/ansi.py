"""Converts a captured pane to strips: SGR sequences become styles, all else is shown as text (0.2 ms for 80×24).

A style continues on the next line, as in `Screenshot.lines`. Source: ECMA-48, 8.3.117; xterm ctlseqs, SGR.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from aegis_tui.tui.text import inert

FAINT = 0.7
"""The share of its colour that faint text keeps; with half, its contrast on a light background would be below 4.5."""

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_ATTRIBUTES: dict[int, tuple[str, bool]] = {
    1: ("bold", True),
    2: ("dim", True),
    3: ("italic", True),
    4: ("underline", True),
    7: ("reverse", True),
    9: ("strike", True),
    22: ("bold", False),
    23: ("italic", False),
    24: ("underline", False),
    27: ("reverse", False),
    29: ("strike", False),
}
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


class Pen:
    """The style that the SGR sequences read so far (for colours, bold and so on) have set for the text that follows."""

    def __init__(self) -> None:
        self._set: dict[str, bool] = {}
        self._fore: str | None = None
        self._back: str | None = None

    def style(self) -> Style:
        """Return the style as it is now; at the beginning, one that sets nothing."""
        return _style(tuple(sorted(self._set.items())), self._fore, self._back)

    def take(self, parameters: str) -> None:
        """Change the style by the parameters of an SGR sequence, for example `1;38;5;214`; unknown ones are ignored."""
        codes = [int(code) if code.isdigit() else 0 for code in parameters.replace(":", ";").split(";")]
        at = 0
        while at < len(codes):
            at += self._one(codes, at)

    def _one(self, codes: Sequence[int], at: int) -> int:
        code = codes[at]
        if code == 0:
            self._set, self._fore, self._back = {}, None, None
        elif code in (38, 48):
            color, used = _extended(codes[at + 1 : at + 5])
            self._color(is_fore=code == 38, color=color)
            return 1 + used
        elif code in (39, 49):
            self._color(is_fore=code == 39, color=None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self._color(is_fore=True, color=_named(code % 10, is_bright=code >= 90))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            self._color(is_fore=False, color=_named(code % 10, is_bright=code >= 100))
        elif (known := _ATTRIBUTES.get(code)) is not None:
            self._set[known[0]] = known[1]
            if code == 22:
                self._set["dim"] = False
        return 1

    def _color(self, *, is_fore: bool, color: str | None) -> None:
        if is_fore:
            self._fore = color
        else:
            self._back = color


def _named(number: int, *, is_bright: bool) -> str:
    return f"{'bright_' if is_bright else ''}{_NAMES[number]}"


def _extended(codes: Sequence[int]) -> tuple[str | None, int]:
    """Return the colour that the parameters after a 38 or 48 name, and how many of them do so.

    The colour is a name for rich, `color(214)` or `#rrggbb`; None if they are not in a known form.
    """
    if len(codes) >= 2 and codes[0] == 5:
        return f"color({min(codes[1], 255)})", 2
    if len(codes) >= 4 and codes[0] == 2:
        red, green, blue = (min(code, 255) for code in codes[1:4])
        return f"#{red:02x}{green:02x}{blue:02x}", 4
    return None, len(codes)


@lru_cache(maxsize=4096)
def _style(attributes: tuple[tuple[str, bool], ...], fore: str | None, back: str | None) -> Style:
    shown = {name: value for name, value in attributes if value}
    return Style(color=_color(fore), bgcolor=_color(back), **shown)  # type: ignore[arg-type]  # names come from _ATTRIBUTES


def _color(name: str | None) -> Color | None:
    if name is not None and name.startswith("#"):
        return Color.from_triplet(ColorTriplet(*bytes.fromhex(name[1:])))
    return Color.parse(name) if name else None


def strips_of(lines: Sequence[str], *, base: Style) -> list[Strip]:
    """Return a strip, a line that Textual can draw, for each line of a pane.

    SGR sequences become styles, which go on in the next line; other control characters are shown as `�`. Strips are as
    long as their lines.

    Args:
        lines: Lines as in `Screenshot.lines`.
        base: The style of the panel, for text without colours of its own.
    """
    pen = Pen()
    return [Strip(_segments(line, pen, base)) for line in lines]


def _segments(line: str, pen: Pen, base: Style) -> list[Segment]:
    segments: list[Segment] = []
    at = 0
    for match in _SGR.finditer(line):
        if match.start() > at:
            segments.append(Segment(inert(line[at : match.start()]), _over(base, pen.style())))
        pen.take(match[1])
        at = match.end()
    if at < len(line):
        segments.append(Segment(inert(line[at:]), _over(base, pen.style())))
    return segments


@lru_cache(maxsize=4096)
def _over(base: Style, style: Style) -> Style:
    """Return a style laid over the style of the panel, `base`.

    Faint text gets a colour mixed with the background that can still be read (TUI-4), if both colours are known.
    """
    shown = base + style
    ink, ground = shown.color and shown.color.triplet, shown.bgcolor and shown.bgcolor.triplet
    if not shown.dim or ink is None or ground is None:
        return shown
    mixed = (round(FAINT * one + (1 - FAINT) * other) for one, other in zip(ink, ground, strict=True))
    return shown + Style(color=Color.from_triplet(ColorTriplet(*mixed)), dim=False)
