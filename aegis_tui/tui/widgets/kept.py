"""Caches the drawn lines of widgets until something in them changes.

For each partial update, Textual asks every widget between the changed ones for all of its lines, and each widget
computes its colours, borders and titles again. On a dashboard where a few rows change many times a second that is most
of the work, and a key has to wait for it (PERF-4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual._styles_cache import StylesCache  # the one place where Textual keeps a widget's lines
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class KeptLines(StylesCache):
    """Textual's cache of the lines of one widget, which also keeps the last result of `render_widget`.

    It is returned again for the same arguments, until a line of the widget has to be drawn again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked: tuple[Any, ...] = ()
        self._answer: list[Strip] = []

    def set_dirty(self, *regions: Region) -> None:
        """Mark regions of the widget, or all of it if none is given, as to be drawn again; called by Textual."""
        self._asked = ()
        super().set_dirty(*regions)

    def clear(self) -> None:
        """Discard all lines, so that they are drawn again; called by Textual."""
        self._asked = ()
        super().clear()

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        """Return the lines of the part `crop` of the widget; called by Textual, which does not change the list.

        If nothing has changed since the last call for the same part, this is the same list.
        """
        asked = (crop, widget.size, widget.get_line_filters(), widget.hover_style)
        if asked != self._asked:
            self._answer = super().render_widget(widget, crop)
            self._asked = asked
        return self._answer


def keep_lines(widgets: Iterable[object]) -> None:
    """Give each widget a `KeptLines` in place of Textual's own cache.

    Widgets with a cache of another class, also a `KeptLines`, and objects that are no widgets are left as they are.
    """
    for widget in widgets:
        if isinstance(widget, Widget) and type(widget._styles_cache) is StylesCache:
            widget._styles_cache = KeptLines()
