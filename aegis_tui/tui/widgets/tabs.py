"""The title of a panel that shares its place with others."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


def tab_strip(title: str, name: str, neighbours: Sequence[str], *, width: int) -> Text:
    """A panel's title; among the names of the panels that share its place, if there are any and they fit."""
    if not neighbours:
        return Text(title)
    for gap in (" · ", " "):
        parts = [(f"[{title}]", "bold") if other == name else (other, "") for other in neighbours]
        strip = Text(gap).join(Text(*part) for part in parts)
        if strip.cell_len <= width:
            return strip
    return Text.assemble((f"[{title}]", "bold"), f" {neighbours.index(name) + 1}/{len(neighbours)} · tab")


class Titled(Widget):
    """A widget with a title in its upper border; of a new one only that line is drawn again.

    It comes last among the bases of a class: Textual takes style sheets from the first.
    """

    _title: Text | None = None

    def set_title(self, title: Text) -> None:
        """Set what stands in the upper border.

        Textual draws the whole widget again for each assignment, also when the title is what it was (PERF-4).
        """
        if title == self._title:
            return
        if self._title is None or not self.is_mounted:
            self.border_title = title
        else:
            self._border_title = self.render_str(Content.from_rich_text(title)).expand_tabs(4).split()[0]
            self.refresh(Region(-self.gutter.left, -self.gutter.top, self.outer_size.width, 1))
        self._title = title
