"""Titles of panels, also of those that share a place with others."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


def tab_strip(title: str, name: str, neighbours: Sequence[str], *, width: int) -> Text:
    """Return the text for the title of a panel, among the names of the panels that share its place.

    For example `locks · [Conflicts 2] · events`. If that does not fit in `width` cells, `[Conflicts 2] 2/3 · tab`.

    Args:
        title: The title.
        name: The panel's name, which is in `neighbours` unless that is empty.
        neighbours: Names of all panels that share the place; empty if the panel has its own place: then the result is
            the title alone, which is not cut.
        width: Cells.
    """
    if not neighbours:
        return Text(title)
    for gap in (" · ", " "):
        parts = [(f"[{title}]", "bold") if other == name else (other, "") for other in neighbours]
        strip = Text(gap).join(Text(*part) for part in parts)
        if strip.cell_len <= width:
            return strip
    return Text.assemble((f"[{title}]", "bold"), f" {neighbours.index(name) + 1}/{len(neighbours)} · tab")


class Titled(Widget):
    """A mixin for a widget with a title in its upper border; when the title changes, only that line is drawn again.

    It comes last among the bases of a class, because Textual takes style sheets from the first base.
    """

    _title: Text | None = None

    def set_title(self, title: Text) -> None:
        """Set the title in the upper border; the same title as before has no effect.

        This does not assign `border_title` each time, because Textual then draws the whole widget again, even if the
        title is the same (PERF-4).
        """
        if title == self._title:
            return
        if self._title is None or not self.is_mounted:
            self.border_title = title
        else:
            self._border_title = self.render_str(Content.from_rich_text(title)).expand_tabs(4).split()[0]
            self.refresh(Region(-self.gutter.left, -self.gutter.top, self.outer_size.width, 1))
        self._title = title
