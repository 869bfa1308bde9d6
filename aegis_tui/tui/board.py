"""Layouts as files: which panels a dashboard shows at which width, and where (TUI-1).

A layout is a list of views; the widest one that fits is used. A view has columns, a column has rows, a row has panels
side by side. Panels that a view does not place are shown one at a time in the slot `tabs`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from textual.geometry import Region, Size

from aegis_tui.errors import UsageError
from aegis_tui.tui.table import Misfit, read_table

TABS = "tabs"
PANELS = ("instances", "preview", "partitions", "locks", "conflicts", "events", "pieces")
"""Every panel of the dashboard, in the order in which the tab key visits them."""

DEFAULT_LAYOUT = "dashboard"
LEAST = {"height": 1, "least": 3, "width": 1, "from_width": 0}
"""Name of a number field of a layout file -> its smallest value."""


class LayoutRow(NamedTuple):
    """A row of a column: panels side by side."""

    panels: tuple[str, ...]
    """Names of panels, or `tabs`."""
    height: int = 1
    """Its share of the column's height, relative to the other rows."""
    least: int = 3
    """Its smallest height in lines, with borders."""


class LayoutColumn(NamedTuple):
    """A column of a view: rows from top to bottom."""

    rows: tuple[LayoutRow, ...]
    width: int = 1
    """Its share of the screen's width, relative to the other columns."""


class LayoutView(NamedTuple):
    """The arrangement of panels for screens of at least some width."""

    columns: tuple[LayoutColumn, ...]
    from_width: int = 0
    """The smallest width of the screen, in cells, for which this view is used."""

    def placed(self) -> list[str]:
        """Return the names in all rows, column by column: of panels, and `tabs` if the view has that place."""
        return [name for column in self.columns for row in column.rows for name in row.panels]


class LayoutFile(NamedTuple):
    """The content of a layout file: a title, and views for different widths of the screen, at least one."""

    title: str
    views: tuple[LayoutView, ...]

    def view_for(self, width: int) -> LayoutView:
        """Return the view with the greatest `from_width` that is at most `width`, the screen's width in cells.

        If there is none, return the view with the smallest `from_width`.
        """
        fitting = [view for view in self.views if view.from_width <= width]
        if fitting:
            return max(fitting, key=lambda view: view.from_width)
        return min(self.views, key=lambda view: view.from_width)


def load_layout(path: Path) -> LayoutFile:
    """Read a layout file, check it, and return its content.

    Raises:
        UsageError: It cannot be read, is not a layout, or a view names an unknown panel or one panel twice.
    """
    try:
        layout = read_table(LayoutFile, tomllib.loads(path.read_text("utf-8")), least=LEAST)
    except Misfit as error:
        raise UsageError(f"layout {path}: {error}", "compare it with layouts/dashboard.toml") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"layout {path}: {error}", "correct the file, or move it away") from error
    for view in layout.views:
        names = view.placed()
        for name in names:
            if name not in (*PANELS, TABS) or names.count(name) > 1:
                raise UsageError(
                    f"layout {path}: panel {name!r} is unknown, or occurs twice",
                    f"each at most once: {', '.join(PANELS)}, {TABS}",
                )
    return layout


def place(view: LayoutView, size: Size) -> dict[str, Region]:
    """Return the region of each panel of a view, and of `tabs`, by name; together they fill the area exactly.

    Args:
        view: The view; what it does not name has no region.
        size: The area in cells; its upper left corner is (0, 0). If it is small, regions may be empty.
    """
    regions: dict[str, Region] = {}
    x = 0
    widths = divide(size.width, [column.width for column in view.columns])
    for column, width in zip(view.columns, widths, strict=True):
        y = 0
        rows = column.rows
        heights = divide(size.height, [row.height for row in rows], [row.least for row in rows])
        for row, height in zip(rows, heights, strict=True):
            regions |= _side_by_side(row, Region(x, y, width, height))
            y += height
        x += width
    return regions


def _side_by_side(row: LayoutRow, whole: Region) -> dict[str, Region]:
    widths = divide(whole.width, [1] * len(row.panels))
    starts = [whole.x + sum(widths[:at]) for at in range(len(widths))]
    return {
        name: Region(x, whole.y, width, whole.height) for name, x, width in zip(row.panels, starts, widths, strict=True)
    }


def divide(total: int, shares: Sequence[int], least: Sequence[int] = ()) -> list[int]:
    """Divide `total` in proportion to `shares`; return one whole number per share, which add up to `total`.

    Args:
        total: 0 or more.
        shares: Numbers over 0.
        least: The smallest part for each share, kept while `total` is large enough; empty for none: then parts may
            be 0.
    """
    floor = list(least) or [0] * len(shares)
    parts: list[int] = []
    left, weight = total, sum(shares)
    for at, share in enumerate(shares):
        later = sum(floor[at + 1 :])
        if at == len(shares) - 1:
            part = left
        else:
            part = min(max(floor[at], round(left * share / weight)), max(0, left - later))
        parts.append(part)
        left -= part
        weight -= share
    return parts
