"""Shows the live content of an instance's pane, in its own colours."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.strip import Strip

from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.text import Line, Span
from aegis_tui.tui.widgets.ansi import strips_of
from aegis_tui.tui.widgets.line_view import TITLE_ROOM, LinePanel
from aegis_tui.tui.widgets.tabs import tab_strip


class PanePreview(LinePanel):
    """A panel that shows the last lines of a pane, or a sentence; it captures nothing itself.

    Keys are not sent to the pane; a person attaches to it for that.
    """

    NAME = "preview"
    TITLE = "Preview"
    EMPTY = ("no pane to show", "the pane of the instance under the cursor is shown here")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.attach", "Attach", id="preview.attach", tooltip="Open this pane in the terminal."),
    ]

    def __init__(self, *, name_id: str | None = None) -> None:
        self._strips: list[Strip] = []
        self._lines: tuple[str, ...] = ()
        super().__init__(name_id=name_id)

    def titled(self, count: int | str = "") -> None:
        """Set the title: the text `count`, which names the instance, or `TITLE` if it is empty."""
        title = str(count) or self.TITLE
        self.set_title(tab_strip(title, self.NAME, self.neighbours, width=self.size.width - TITLE_ROOM))

    def show_pane(self, label: str, shot: Screenshot) -> None:
        """Show the content of a pane, in its own colours; if it is what is shown already, only the title changes.

        Args:
            label: What to show as the title, for example `w02 kanban`.
            shot: The content.
        """
        self.titled(f"{label} ─ live")
        if shot.lines == self._lines:
            return
        self._lines = shot.lines
        self._strips = _trimmed(strips_of(shot.lines, base=self._named("")))
        self.spread(0)
        self.refresh()

    def show_words(self, label: str, words: str) -> None:
        """Show a sentence in place of a pane; `label` is the title."""
        self.titled(label)
        self._strips, self._lines = [], ()
        line: Line = (Span(words, "muted"),)
        self.show_lines([line])

    def _base_style(self, at: int) -> Style:
        return self._named("")

    def render_line(self, y: int) -> Strip:
        """Return line `y` of the widget, from 0, as a strip; called by Textual.

        If the pane has more lines than the widget, the last ones are shown; of a line that is too wide, the beginning,
        with `›` at the end.
        """
        if not self._strips:
            return super().render_line(y)
        base: Style = self._named("")
        at = y + max(0, len(self._strips) - self.size.height)
        strip = self._strips[at] if at < len(self._strips) else Strip.blank(self.size.width, base)
        if strip.cell_length > self.size.width > 1:
            cut = strip.crop(0, self.size.width - 1)
            return Strip([*cut, Segment("›", base + self.ink("muted"))]).adjust_cell_length(self.size.width, base)
        return strip.adjust_cell_length(self.size.width, base)

    def notify_style_update(self) -> None:
        """Convert the pane's lines again for the new colours; called by Textual when the theme has changed."""
        super().notify_style_update()
        if self._lines:
            self._strips = _trimmed(strips_of(self._lines, base=self._named("")))


def _trimmed(strips: list[Strip]) -> list[Strip]:
    """Return the strips without those at the end that have only blanks."""
    end = len(strips)
    while end and not strips[end - 1].text.strip():
        end -= 1
    return strips[:end]
