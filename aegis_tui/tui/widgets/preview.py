"""Shows the live content of an instance's pane, in its own colours (PANE-3)."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip

from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.text import Line, Span, width_of
from aegis_tui.tui.widgets.ansi import strips_of
from aegis_tui.tui.widgets.line_view import TITLE_ROOM, LinePanel
from aegis_tui.tui.widgets.tabs import tab_strip


class PanePreview(LinePanel):
    """A panel that shows a part of a pane, or a sentence; it captures nothing itself.

    At first it shows the last lines, from their beginning. What lies beside them is marked: `‹` and `›` in the line,
    and the number of lines above and below in the border. The keys of lists scroll, and `z` wraps long lines. No key is
    sent to the pane; a person attaches to it for that.
    """

    NAME = "preview"
    TITLE = "Preview"
    EMPTY = ("no pane to show", "the pane of the instance under the cursor is shown here")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.attach", "Attach", id="preview.attach", tooltip="Open this pane in the terminal."),
        Binding("z", "wrap", "Wrap", id="preview.wrap", tooltip="Wrap the long lines of the pane, or do not."),
        Binding(
            "shift+right,greater_than_sign",
            "right",
            "Right",
            id="preview.right",
            show=False,
            tooltip="Show what is to the right.",
        ),
        Binding(
            "shift+left,less_than_sign",
            "left",
            "Left",
            id="preview.left",
            show=False,
            tooltip="Show what is to the left.",
        ),
    ]

    def __init__(self, *, name_id: str | None = None) -> None:
        self._of = ""
        self._whole: list[Strip] = []
        self._strips: list[Strip] = []
        self._lines: tuple[str, ...] = ()
        self._wraps = False
        self._below = 0
        """How many lines below the visible ones the person has scrolled up; 0 follows the end."""
        self._left = 0
        """How many cells to the left of the visible ones the person has scrolled to the right."""
        self._longest = 0
        """The width of the longest line, in cells."""
        super().__init__(name_id=name_id)

    def titled(self, count: int | str = "") -> None:
        """Set the title: the text `count`, which names the instance, or `TITLE` if it is empty."""
        title = str(count) or self.TITLE
        self.set_title(tab_strip(title, self.NAME, self.neighbours, width=self.size.width - TITLE_ROOM))

    def show_pane(self, label: str, shot: Screenshot, *, of: str = "") -> None:
        """Show the content of a pane, in its own colours; if it is what is shown already, only the title changes.

        What the person scrolled to stays in view while lines are added at the end. Another pane is shown from its end.

        Args:
            label: What to show as the title, for example `w02 kanban`.
            shot: The content.
            of: Names the pane; may be left out by a caller that shows only one.
        """
        self.titled(f"{label} ─ live")
        if of != self._of:
            self._of, self._lines = of, ()
            self._below = self._left = 0
        if shot.lines == self._lines:
            return
        before = len(self._strips)
        self._lines = shot.lines
        self._whole = _trimmed(strips_of(shot.lines, base=self._named("")))
        self.spread(0)
        self._lay_out()
        if self._below:
            self._go_to(self._below + max(0, len(self._strips) - before), self._left)

    def show_words(self, label: str, words: str) -> None:
        """Show a sentence in place of a pane; `label` is the title."""
        self.titled(label)
        self._whole, self._lines = [], ()
        self._below = self._left = 0
        self._lay_out()
        line: Line = (Span(words, "muted"),)
        self.show_lines([line])

    def on_resize(self) -> None:
        """Lay the lines out for the new size; called by Textual."""
        self._lay_out()

    def _lay_out(self) -> None:
        """Wrap the lines if that is wanted, keep the place within the content, and draw the visible part."""
        width = self.size.width
        wraps = self._wraps and width > 1
        self._strips = [part for line in self._whole for part in folded(line, width)] if wraps else self._whole
        self._go_to(self._below, self._left)

    def _go_to(self, below: int, left: int) -> None:
        longest = max((strip.cell_length for strip in self._strips), default=0)
        self._below = min(max(0, below), self._hidden)
        self._left = 0 if self._wraps else min(max(0, left), max(0, longest - self.size.width))
        self._longest = longest
        self._tell_hidden()
        self.refresh()

    @property
    def _hidden(self) -> int:
        return max(0, len(self._strips) - self.size.height)

    def _tell_hidden(self) -> None:
        """Say in the border how many lines are above and below; with the focus, also how to see what is cut."""
        places = ((self._hidden - self._below, "above"), (self._below, "below"))
        parts = [f"{count} {place}" for count, place in places if count]
        if self.has_focus and (self._wraps or self._longest > self.size.width > 1):
            parts.append("z cuts lines" if self._wraps else "z wraps lines")
        if (words := " · ".join(parts)) != self._subtitle:
            self._subtitle, self.border_subtitle = words, Text(words)

    def on_focus(self) -> None:
        """Name the key that wraps lines; called by Textual."""
        self._tell_hidden()

    def on_blur(self) -> None:
        """Name it no more; called by Textual."""
        self._tell_hidden()

    def action_wrap(self) -> None:
        """Wrap lines that are wider than the panel, or show only a part of them again."""
        self._wraps = not self._wraps
        self._lay_out()

    def action_right(self) -> None:
        """Scroll half a width to the right, at most to the end of the longest line."""
        self._go_to(self._below, self._left + max(1, self.size.width // 2))

    def action_left(self) -> None:
        """Scroll half a width to the left, at most to the beginning of the lines."""
        self._go_to(self._below, self._left - max(1, self.size.width // 2))

    def action_cursor_down(self) -> None:
        """Scroll one line down; at the end, new lines are followed again."""
        self._go_to(self._below - 1, self._left)

    def action_cursor_up(self) -> None:
        """Scroll one line up."""
        self._go_to(self._below + 1, self._left)

    def action_page_down(self) -> None:
        """Scroll one page down."""
        self._go_to(self._below - max(1, self.size.height - 1), self._left)

    def action_page_up(self) -> None:
        """Scroll one page up."""
        self._go_to(self._below + max(1, self.size.height - 1), self._left)

    def action_cursor_first(self) -> None:
        """Scroll to the first line."""
        self._go_to(self._hidden, self._left)

    def action_cursor_last(self) -> None:
        """Scroll to the last line, and follow new ones."""
        self._go_to(0, self._left)

    def _base_style(self, at: int) -> Style:
        return self._named("")

    def render_line(self, y: int) -> Strip:
        """Return line `y` of the widget, from 0, as a strip; called by Textual. What is cut at a side is marked."""
        if not self._strips:
            return super().render_line(y)
        base: Style = self._named("")
        width = self.size.width
        at = y + self._hidden - self._below
        strip = self._strips[at] if at < len(self._strips) else Strip.blank(width, base)
        mark = base + self.ink("muted")
        is_cut = strip.cell_length - self._left > width > 1
        has_start = self._left > 0 and strip.cell_length > 0 and width > 2
        if not is_cut and not has_start:
            return strip.crop(self._left).adjust_cell_length(width, base)
        start, end = self._left + has_start, self._left + width - is_cut
        shown = strip.crop(start, end).adjust_cell_length(end - start, base)
        before, after = [Segment("‹", mark)] * has_start, [Segment("›", mark)] * is_cut
        return Strip([*before, *shown, *after], width)

    def notify_style_update(self) -> None:
        """Convert the pane's lines again for the new colours; called by Textual when the theme has changed."""
        super().notify_style_update()
        if self._lines:
            self._whole = _trimmed(strips_of(self._lines, base=self._named("")))
            self._lay_out()


def folded(strip: Strip, width: int) -> list[Strip]:
    """Return a line in parts of at most `width` cells; a wide character that does not fit begins the next part.

    At least one part. `width` is over 1.
    """
    if strip.cell_length <= width:
        return [strip]
    cuts, at, start = [], 0, 0
    for letter in strip.text:
        cells = width_of(letter)
        if at + cells - start > width:
            cuts.append(at)
            start = at
        at += cells
    return [part for part in strip.divide([*cuts, at]) if part.cell_length]


def _trimmed(strips: list[Strip]) -> list[Strip]:
    """Return the strips without those at the end that have only blanks."""
    end = len(strips)
    while end and not strips[end - 1].text.strip():
        end -= 1
    return strips[:end]
