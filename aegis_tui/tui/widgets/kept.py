"""Lines that are drawn are kept until something in them changes.

For each partial update Textual asks every widget that lies between the changed ones for all of its lines, and each
widget finds its colours, borders and titles anew for that. On a dashboard where a few rows change many times a second
that is most of its work, and a key waits for it (PERF-4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual._styles_cache import StylesCache  # the one place where Textual keeps a widget's lines
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class KeptLines(StylesCache):
    """The lines of one widget, with the answer to the last question as long as no line is dirty."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: tuple[Any, ...] = ()
        self._answer: list[Strip] = []

    def set_dirty(self, *regions: Region) -> None:
        """Some lines, or all of them, have to be drawn again; called by Textual."""
        self._asked = ()
        super().set_dirty(*regions)

    def clear(self) -> None:
        """Forget every line; called by Textual."""
        self._asked = ()
        super().clear()

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        """The lines of a part of the widget; called by Textual, which does not change them."""
        asked = (crop, widget.size, widget.get_line_filters(), widget.hover_style)
        if asked != self._asked:
            self._answer = super().render_widget(widget, crop)
            self._asked = asked
        return self._answer


def keep_lines(widgets: Iterable[object]) -> None:
    """Let each of these widgets keep its lines; nothing is passed over but what keeps them in a way of its own."""
    for widget in widgets:
        if isinstance(widget, Widget) and type(widget._styles_cache) is StylesCache:
            widget._styles_cache = KeptLines()
