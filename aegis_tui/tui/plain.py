"""Removes all colours from the screen, for NO_COLOR (no-color.org) and for terminals without colours (TUI-4).

Textual's own filter turns colours into greys, which are colours too. The cursor and selected rows, which only differ
in their background, are shown in reverse video.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

COLOURLESS = frozenset({"dumb", "vt100", "vt102", "vt220", "unknown"})
"""Values of TERM of terminals without colours."""

STANDS_OUT = 0.04
"""A background whose brightness (0 to 1) differs by more than this from the screen's is a mark, such as the cursor."""


def is_plain(environ: Mapping[str, str]) -> bool:
    """Return whether to use no colours: NO_COLOR is not empty, or TERM names a terminal without colours."""
    return bool(environ.get("NO_COLOR")) or environ.get("TERM") in COLOURLESS


class PlainFilter(LineFilter):
    """A filter of Textual that removes every colour; text on a marked background is shown in reverse video instead."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments without colours; bold, underlined and the like are kept. Called by Textual.

        Args:
            segments: A line.
            background: The background of the screen; text on a clearly different one is shown in reverse video.
        """
        ground = background.brightness
        return [Segment(text, style and _plain(style, ground), control) for text, style, control in segments]


@lru_cache(maxsize=2048)
def _plain(style: Style, ground: float) -> Style:
    back = style.bgcolor
    is_marked = back is not None and not back.is_default and abs(_brightness(style) - ground) > STANDS_OUT
    return Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=bool(style.reverse) != is_marked,
        link=style.link,
    ) + Style.from_meta(style.meta)


def _brightness(style: Style) -> float:
    return Color.from_rich_color(style.bgcolor).brightness
