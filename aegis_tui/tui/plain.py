"""The screen without any colour: for NO_COLOR (no-color.org) and for terminals that have none (TUI-4).

Textual's own filter turns colours into greys, which are colours too. What a background alone would say, the cursor and
what is selected, is said by reverse video.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

COLOURLESS = frozenset({"dumb", "vt100", "vt102", "vt220", "unknown"})
"""Terminals that have no colour, by the name they give themselves."""

STANDS_OUT = 0.04
"""A background whose brightness is this far from the one around it was chosen to be seen."""


def is_plain(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for a screen without colour."""
    return bool(environ.get("NO_COLOR")) or environ.get("TERM") in COLOURLESS


class PlainFilter(LineFilter):
    """Takes every colour away, and reverses what a background marks."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """As `LineFilter.apply`."""
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
