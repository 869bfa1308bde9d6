"""Text for the screen: hidden characters made visible, measured in terminal cells, coloured by meaning.

A span names an ink, which is a meaning such as `warn`, and never a colour; the theme decides the colour of each ink.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

from aegis_tui.domain.inert import one_line

Ink = Literal["text", "strong", "muted", "accent", "good", "warn", "bad", "info", "badge"]
INKS: tuple[Ink, ...] = ("text", "strong", "muted", "accent", "good", "warn", "bad", "info", "badge")
"""Every ink, that is every meaning by which text can be coloured."""

CATCHING_UP = "catching up with the hub"
"""Shown in place of the state until it has been read."""


class Span(NamedTuple):
    """A part of a line in one ink, that is with one meaning, such as `warn`; the theme has a colour for each ink."""

    text: str
    ink: Ink = "text"
    action: str = ""
    """The Textual action of a click on it; empty for none."""


Line = tuple[Span, ...]


class Row(NamedTuple):
    """One line of a panel, and the key that identifies what it shows."""

    key: str
    """Identifies what the row shows, for example an agent id, so that the cursor stays on it when rows change."""
    line: Line


inert = one_line
"""Every text from outside passes through this before it is drawn."""


def width_of(text: str) -> int:
    """Return how many cells of a terminal the text takes; a wide character takes two."""
    return cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return the text in exactly `width` cells: filled with blanks on the right, or its end cut off, with `…`.

    Args:
        text: Text without control characters; see `inert`.
        width: Cells; the result is empty for 0 or less.
        right: Put the text at the right, with the blanks on the left, as for numbers.
    """
    length = cell_len(text)
    if length > width:
        return f"{set_cell_size(text, width - 1)}…" if width > 0 else ""
    blanks = " " * (width - length)
    return f"{blanks}{text}" if right else f"{text}{blanks}"


def fit_tail(text: str, width: int) -> str:
    """Return the text in exactly `width` cells: filled with blanks on the right, or its start cut off, with `…`.

    Empty for a width of 0 or less. For paths, whose end says most.
    """
    if cell_len(text) <= width:
        return fit(text, width)
    if width <= 0:
        return ""
    kept = text[-width:]
    while cell_len(kept) > width - 1:
        kept = kept[1:]
    return fit(f"…{kept}", width)


def ident_width(ident: str) -> int:
    """Return the width of a column for short ids of agents: the id's own width, but at least 4 and at most 12 cells.

    The ids of built-in agents fit in 4; those of agents that a person connected may be longer.
    """
    return max(4, min(width_of(ident), 12))


def line_width(line: Line) -> int:
    """Return how many cells a line takes."""
    return sum(cell_len(span.text) for span in line)


def bar(share: float, width: int, ink: Ink = "accent") -> tuple[Span, Span]:
    """Return a progress bar, `━━━───`, that can be read without colours, as two spans: its full part and its rest.

    Args:
        share: From 0 to 1; other values are limited to that.
        width: Cells of both together.
        ink: The ink of the full part.
    """
    full = round(min(1.0, max(0.0, share)) * width)
    return Span("━" * full, ink), Span("─" * (width - full), "muted")


def clock_text(seconds: float) -> str:
    """Return a duration as minutes and seconds, `3:12`; from one hour on, `1:02:05`. A negative one becomes `0:00`."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def count_text(number: int) -> str:
    """Return a count in a short form: `947`, `1.2k`, `18k`, `3.4M`. Below 9.95 million it has at most four cells."""
    if number < 1000:
        return str(number)
    if number < 999_500:
        return f"{number / 1000:.1f}k" if number < 9_950 else f"{round(number / 1000)}k"
    return f"{number / 1_000_000:.1f}M"


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` cells; at least one line, which is empty for an empty text.

    Lines are broken at blanks where possible; the text's own line breaks are kept. Tabs become blanks, and hidden
    characters `�`.
    """
    lines: list[str] = []
    for part in text.splitlines() or [""]:
        lines += _wrap_line(inert(part.expandtabs(4)), max(1, width))
    return lines


def _wrap_line(text: str, width: int) -> list[str]:
    lines: list[str] = []
    indent = " " * min(len(text) - len(text.lstrip()), width // 2)
    current = ""
    for word in text.split(" "):
        joined = f"{current} {word}" if current else word
        if cell_len(joined) <= width:
            current = joined
            continue
        if current.strip():
            lines.append(current)
            current = f"{indent}{word}"
        else:
            current = joined
        while cell_len(current) > width:
            head = set_cell_size(current, width)
            cut = len(head.rstrip()) or 1
            while cell_len(current[:cut]) > width:
                cut -= 1
            lines.append(current[:cut])
            current = current[cut:]
    return [*lines, current]


def fold(line: Line, width: int, *, indent: int = 0) -> list[Line]:
    """Return the line in one or more parts of at most `width` cells.

    It is cut at a blank if there is one in the second half of what fits, else anywhere, because code and paths may have
    none. Nothing is lost; inks and actions are kept.

    Args:
        line: The line.
        width: Cells of a part, with its indent; at least `indent` + 2.
        indent: Blanks before each part but the first.
    """
    pieces: list[list[Span]] = [[]]
    left = width
    for span in line:
        text = span.text
        while cell_len(text) > left:
            head = _head(text, left)
            pieces[-1].append(span._replace(text=head))
            pieces.append([Span(" " * indent)] if indent else [])
            text, left = text[len(head) :], max(2, width - indent)
        pieces[-1].append(span._replace(text=text))
        left -= cell_len(text)
    return [tuple(piece) for piece in pieces]


def _head(text: str, width: int) -> str:
    """Return the start of a text that fits in `width` cells, if possible up to a blank in its second half.

    A wide character is never cut in two.
    """
    end = min(len(text), width)
    while cell_len(text[:end]) > width:
        end -= 1
    after_blank = text.rfind(" ", 0, end) + 1
    return text[: after_blank if after_blank > end // 2 else end]
