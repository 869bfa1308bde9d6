"""The first frame of the session, the curtain: drawn before the domain and the hub client are imported (PERF-5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.events import Resize
from textual.geometry import Region, Size

from aegis_tui.errors import AegisError
from aegis_tui.tui.board import TABS, load_layout, place
from aegis_tui.tui.choices import Choices
from aegis_tui.tui.text import CATCHING_UP, Line, Span, fit
from aegis_tui.tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from aegis_tui.tui.parts import Parts

TOP_LINES, BOTTOM_LINES = 3, 2


@dataclass(frozen=True, slots=True)
class Opening:
    """What the app gets in place of its `Parts` in order to draw a first frame before it loads them."""

    load: Callable[[], Parts]
    """Imports and creates the parts. It blocks, and is therefore called in a thread."""
    environ: Mapping[str, str]
    choices: Choices
    theme: str | None
    """The theme that a settings file names, which was not checked; None if none does."""
    layout: str | None
    """The layout, likewise."""


class Curtain(LineView):
    """The widget with the first frame: empty frames of the panels, and a line that the state is being read.

    Args:
        layout: The layout file; if it is wrong, no frames are drawn.
    """

    DEFAULT_CSS = """
    Curtain { scrollbar-gutter: auto; overflow: hidden; }
    """

    def __init__(self, layout: Path) -> None:
        super().__init__(name_id="curtain")
        self._layout_file = layout

    def on_resize(self, event: Resize) -> None:
        """Draw the first frame again, for the new size."""
        self.show_lines(curtain_lines(self._layout_file, event.size))


def curtain_lines(file: Path, size: Size) -> list[Line]:
    """Return the lines of the first frame: two empty ones, one of text, then a frame for each panel of the layout.

    If the layout file cannot be read or is wrong, there are no frames; nothing is raised.

    Args:
        file: The layout file.
        size: The screen in cells. Room for the two lines of the bottom bar is left out.
    """
    board = Size(size.width, max(0, size.height - TOP_LINES - BOTTOM_LINES))
    try:
        regions = place(load_layout(file).view_for(size.width), board)
    except AegisError:  # reported when the dashboard itself is opened
        regions = {}
    rows = [[" "] * size.width for _ in range(board.height)]
    for name, region in regions.items():
        _frame(rows, region, "" if name == TABS else name.capitalize())
    words: Line = (Span(fit(f" {CATCHING_UP}", size.width), "muted"),)
    return [(), (), words, *((Span("".join(row), "muted"),) for row in rows)]


def _frame(rows: list[list[str]], region: Region, title: str) -> None:
    inner = region.width - 2
    if inner < 1 or region.height < 2:
        return
    head = f"─ {title} "[:inner] if title else ""
    _put(rows, region.y, region.x, f"╭{head}{'─' * (inner - len(head))}╮")
    for y in range(region.y + 1, region.bottom - 1):
        _put(rows, y, region.x, f"│{' ' * inner}│")
    _put(rows, region.bottom - 1, region.x, f"╰{'─' * inner}╯")


def _put(rows: list[list[str]], y: int, x: int, text: str) -> None:
    if y < len(rows):
        rows[y][x : x + len(text)] = text
