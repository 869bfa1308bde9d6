"""Lists of coloured lines, built on Textual's line API: only visible rows that changed are drawn again.

Measured: 2 % of a core, where a DataTable takes 50 to 70 %, because it repaints all that is visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from aegis_tui.tui.mishap import Guarded, Survivor, words_of
from aegis_tui.tui.text import INKS, Ink, Line, Row, Span, inert, wrap
from aegis_tui.tui.widgets.tabs import Titled, tab_strip

TITLE_ROOM = 4
"""How many cells a title must be shorter than the content is wide, so that it fits into the border."""

_NO_ROW = Row("", ())


class LineView(Guarded, ScrollView, can_focus=False):
    """A widget with rows of coloured text that scroll, one line each. Rows that did not change are not drawn again."""

    COMPONENT_CLASSES = {f"ink--{ink}" for ink in INKS} | {"row--cursor", "row--cursor-blurred", "row--marked"}

    DEFAULT_CSS = """
    LineView {
        height: 1fr;
        background: $background;
        color: $ink-text;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        & > .ink--text { color: $ink-text; }
        & > .ink--strong { color: $ink-strong; text-style: bold; }
        & > .ink--muted { color: $ink-muted; }
        & > .ink--accent { color: $ink-accent; }
        & > .ink--good { color: $ink-good; }
        & > .ink--warn { color: $ink-warn; }
        & > .ink--bad { color: $ink-bad; }
        & > .ink--info { color: $ink-info; }
        & > .ink--badge { color: $ink-badge; background: $ink-warn; text-style: bold; }
        & > .row--cursor { background: $row-cursor; }
        & > .row--cursor-blurred { background: $row-cursor-blurred; }
        & > .row--marked { background: $row-marked; }
    }
    """

    def __init__(self, *, name_id: str | None = None) -> None:
        super().__init__(id=name_id)
        self.rows: list[Row] = []
        self.head: Line = ()
        self.failure: tuple[str, ...] = ()
        """The lines that are shown in place of the rows after a failure; empty for none."""
        self._styles: dict[str, Style] = {}

    @property
    def line_width(self) -> int:
        """The width of a line in cells, without the room for the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def _head_height(self) -> int:
        return 1 if self.head else 0

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows, and draw those that changed and are visible."""
        old, self.rows = self.rows, list(rows)
        self.spread(len(self.rows) + self._head_height)
        top = round(self.scroll_y)
        for y in range(self.size.height):
            at = top + y
            before = old[at] if at < len(old) else _NO_ROW
            after = self.rows[at] if at < len(self.rows) else _NO_ROW
            if before is not after and before != after:
                self.refresh_row(at)

    def spread(self, height: int) -> None:
        """Set the height of the content, of which a part is visible, to so many lines.

        Textual would lay out the whole screen for this, which takes 30 ms. If the widget keeps its size, only the
        scroll bar is updated; if it appears or disappears, Textual lays out the screen after all.
        """
        size = Size(0, height)
        if size == self.virtual_size:
            return
        if self.styles.auto_dimensions or not self.container_size:
            self.virtual_size = size
            return
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Replace the rows by these lines; the keys of the new rows are their numbers, from 0."""
        self.show([Row(str(at), line) for at, line in enumerate(lines)])

    def attempt(self, draw: Callable[[], None]) -> None:
        """Call `draw`, which changes the rows. If it fails, show the error here until a later call succeeds.

        In an app that is no `Survivor`, the exception is raised.
        """
        try:
            draw()
        except Exception as error:
            app: object = self.app
            if not isinstance(app, Survivor):
                raise
            app.survive(error, self)
        else:
            if self.failure:
                self.failure = ()
                self.refresh()

    def fail(self, error: Exception) -> None:
        """Show an error in place of the rows, until an `attempt` succeeds."""
        name = str(getattr(self, "TITLE", "") or self.id or "this part")
        self.failure = (
            f"✗ {name} cannot be shown: {inert(words_of(error))}",
            "the dashboard continues; aegis-tui doctor --bundle FILE collects the details",
        )
        self.refresh()

    def show_head(self, head: Line) -> None:
        """Set the line above the rows, which does not scroll; with an empty line, there is none."""
        if head != self.head:
            self.head = head
            self.refresh()

    def refresh_row(self, at: int) -> None:
        """Have the row with this index, from 0, drawn again if it is visible."""
        y = at - round(self.scroll_y) + self._head_height
        if self._head_height <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Return line `y` of the widget as a strip; of an error, if one is shown or this fails. Called by Textual."""
        if self.failure:
            return self._failure_line(y)
        try:
            return self._row_line(y)
        except Exception as error:
            app: object = self.app
            if not isinstance(app, Survivor):
                raise
            app.survive(error, self)
            return self._failure_line(y)

    def _failure_line(self, y: int) -> Strip:
        lines = [line for text in self.failure for line in wrap(text, max(8, self.size.width))]
        text = lines[y] if y < len(lines) else ""
        base = self._named("")
        return Strip([Segment(text, base + self.ink("bad"))]).adjust_cell_length(self.size.width, base)

    def _row_line(self, y: int) -> Strip:
        if y < self._head_height:
            at, row = len(self.rows), Row("", self.head)
        else:
            at = y + round(self.scroll_y) - self._head_height
            row = self.rows[at] if at < len(self.rows) else _NO_ROW
        base = self._base_style(at)
        segments = [Segment(span.text, self._span_style(span, base)) for span in row.line]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _base_style(self, at: int) -> Style:
        return self._named("")

    def _span_style(self, span: Span, base: Style) -> Style:
        style = base + self.ink(span.ink)
        return style + Style.from_meta({"@click": span.action}) if span.action else style

    def ink(self, ink: Ink) -> Style:
        """Return the style of an ink in the current theme."""
        return self._named(f"ink--{ink}")

    def _named(self, name: str) -> Style:
        if (style := self._styles.get(name)) is None:
            style = self.get_component_rich_style(name, partial=True) if name else self.rich_style
            self._styles[name] = style
        return style

    def notify_style_update(self) -> None:
        """Discard the cached styles; called by Textual when the theme or a CSS class has changed."""
        super().notify_style_update()
        self._styles = {}


class LinePanel(LineView, Titled, can_focus=True):
    """A list of rows with a cursor, selected rows, a filter and a title; without rows it shows `EMPTY`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "Down", id="row.down", show=False, tooltip="Go one row down."),
        Binding("up,k", "cursor_up", "Up", id="row.up", show=False, tooltip="Go one row up."),
        Binding("pagedown", "page_down", "Page down", id="row.page-down", show=False, tooltip="Go one page down."),
        Binding("pageup", "page_up", "Page up", id="row.page-up", show=False, tooltip="Go one page up."),
        Binding("home,g", "cursor_first", "First", id="row.first", show=False, tooltip="Go to the first row."),
        Binding("end,G", "cursor_last", "Last", id="row.last", show=False, tooltip="Go to the last row."),
        Binding("enter", "choose", "Why", id="row.why", tooltip="Explain the row under the cursor."),
    ]

    DEFAULT_CSS = """
    LinePanel {
        border: round $line-border;
        border-title-color: $ink-muted;
        border-subtitle-color: $ink-muted;
        padding: 0 0 0 1;
        &:focus {
            border: round $line-border-focus;
            border-title-color: $ink-accent;
            border-title-style: bold;
        }
    }
    """

    NAME = ""
    TITLE = ""
    LEADS = False
    """Whether its cursor decides what other panels show, so that it is visible without the focus, too."""
    EMPTY: tuple[str, ...] = ("nothing yet",)

    @dataclass
    class Chosen(Message):
        """Posted when the person presses Enter on a row, or clicks it twice."""

        panel: LinePanel
        key: str

        @property
        def control(self) -> LinePanel:
            """The panel, as Textual's `@on` needs it."""
            return self.panel

    def __init__(self, *, name_id: str | None = None) -> None:
        super().__init__(name_id=name_id)
        self.cursor = 0
        self.marked: set[str] = set()
        self.needle = ""
        self.neighbours: tuple[str, ...] = ()
        self._subtitle = ""
        self.moved: Callable[[], None] | None = None
        """Called when the cursor moves to another row. A message would be handled one frame later (PERF-4)."""
        self._all: list[Row] = []
        self.titled()

    def titled(self, count: int | str = "") -> None:
        """Set the title, with `count` and the names of panels in the same place; and the filter in the border below."""
        title = f"{self.TITLE} {count}".strip()
        self.set_title(tab_strip(title, self.NAME, self.neighbours, width=self.size.width - TITLE_ROOM))
        if (subtitle := f"/{self.needle}" if self.needle else "") != self._subtitle:
            self._subtitle, self.border_subtitle = subtitle, Text(subtitle)

    @property
    def cursor_key(self) -> str:
        """The key of the row under the cursor; empty if there is none."""
        return self._rows_of_data[self.cursor].key if self.cursor < len(self._rows_of_data) else ""

    @property
    def _rows_of_data(self) -> list[Row]:
        return self.rows if self._all else []

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows. The filter is applied; the cursor stays on the row with the same key, if any.

        If no row is left, show `empty_words`, or that nothing matches the filter.
        """
        before = self.cursor_key
        self._all = list(rows)
        matching = [row for row in self._all if self._matches(row)]
        if matching:
            super().show(matching)
        else:
            words = (f"nothing matches “{self.needle}”; esc clears the filter",) if self._all else self.empty_words()
            self._all = []
            lines = [line for text in words for line in wrap(text, max(8, self.line_width))]
            super().show([Row("", (Span(line, "muted"),)) for line in lines])
        keys = [row.key for row in self._rows_of_data]
        at = keys.index(before) if before in keys else min(self.cursor, max(0, len(keys) - 1))
        self._move(at, scroll=False)
        if self.cursor_key != before and self.moved is not None:
            self.moved()

    def empty_words(self) -> tuple[str, ...]:
        """Return the lines to show if there are no rows; a subclass may return others than `EMPTY`."""
        return self.EMPTY

    def filter(self, needle: str) -> None:
        """Show only rows whose key or text contains `needle`, ignoring case, from now on; with an empty one, all."""
        self.needle = needle.casefold()
        self.refilter()

    def refilter(self) -> None:
        """Show those of the rows given last that match the filter; subclasses may get the rows anew."""
        self.show(self._all)

    def _matches(self, row: Row) -> bool:
        if not self.needle:
            return True
        return self.needle in f"{row.key} {''.join(span.text for span in row.line)}".casefold()

    def _base_style(self, at: int) -> Style:
        base = self._named("")
        if at >= len(self._rows_of_data):
            return base
        if self.rows[at].key in self.marked:
            base += self._named("row--marked")
        if at == self.cursor and (self.has_focus or self.LEADS):
            base += self._named("row--cursor" if self.has_focus else "row--cursor-blurred")
        return base

    def _move(self, at: int, *, scroll: bool = True) -> None:
        at = max(0, min(at, len(self._rows_of_data) - 1))
        if at != self.cursor:
            old, self.cursor = self.cursor, at
            self.refresh_row(old)
            self.refresh_row(at)
        if scroll and self._rows_of_data:
            region = Region(0, self.cursor, 1, 1 + self._head_height)
            self.scroll_to_region(region, animate=False, force=True)

    def move_to(self, key: str) -> None:
        """Put the cursor on the row with this key; if no such row is shown, leave the cursor where it is."""
        for at, row in enumerate(self._rows_of_data):
            if row.key == key:
                self._steer(at)

    def _steered(self) -> None:
        """Called before the person or `move_to` moves the cursor; does nothing unless a subclass overrides it."""

    def _steer(self, at: int) -> None:
        self._steered()
        self._go(at)

    def _go(self, at: int) -> None:
        before = self.cursor_key
        self._move(at)
        if self.cursor_key != before and self.moved is not None:
            self.moved()

    def action_cursor_down(self) -> None:
        """Move the cursor one row down; on the last row it stays."""
        self._steer(self.cursor + 1)

    def action_cursor_up(self) -> None:
        """Move the cursor one row up; on the first row it stays."""
        self._steer(self.cursor - 1)

    def action_page_down(self) -> None:
        """Move the cursor one page down, at most to the last row."""
        self._steer(self.cursor + max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        """Move the cursor one page up, at most to the first row."""
        self._steer(self.cursor - max(1, self.size.height - 1))

    def action_cursor_first(self) -> None:
        """Move the cursor to the first row."""
        self._steer(0)

    def action_cursor_last(self) -> None:
        """Move the cursor to the last row."""
        self._steer(len(self._rows_of_data) - 1)

    def action_choose(self) -> None:
        """Post `Chosen` for the row under the cursor, if there is one."""
        if self.cursor_key:
            self.post_message(self.Chosen(self, self.cursor_key))

    def on_focus(self) -> None:
        """Draw the row under the cursor again, which looks different with the focus; called by Textual."""
        self.refresh_row(self.cursor)

    def on_blur(self) -> None:
        """Draw the row under the cursor again, which looks different without the focus; called by Textual."""
        self.refresh_row(self.cursor)

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked row, if there is one; post `Chosen` on the second click of a double click."""
        at = event.y - self.gutter.top - self._head_height + round(self.scroll_y)
        if not 0 <= at < len(self._rows_of_data):
            return
        if at == self.cursor and event.chain > 1:
            self.action_choose()
        self._steer(at)
