"""Text as it is drawn: made inert, measured in cells, coloured by meaning.

A span names an ink, never a colour: what an ink looks like is decided by the theme.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

from aegis_tui.domain.inert import inert as shown

Ink = Literal["text", "strong", "muted", "accent", "good", "warn", "bad", "info", "badge"]
INKS: tuple[Ink, ...] = ("text", "strong", "muted", "accent", "good", "warn", "bad", "info", "badge")
"""Every meaning a piece of text can be coloured by."""

CATCHING_UP = "catching up with the hub"
"""What stands where the state is not here yet."""

_ONE_LINE = str.maketrans({"\r": "⏎", "\n": "⏎", "\t": " "})


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    ink: Ink = "text"
    action: str = ""
    """What a click on it does, as a Textual action; empty for nothing."""


Line = tuple[Span, ...]


class Row(NamedTuple):
    """One line of a panel, and what it stands for."""

    key: str
    """Stable over changes: the cursor stays on it."""
    line: Line


def inert(text: str) -> str:
    """One line of text from an agent, a model or a repository that can only be read (SEC-2).

    Hidden characters show as `�`, as everywhere (`domain.inert`); a line break shows as `⏎`, a tab as a blank.
    """
    if text.isascii() and text.isprintable():
        return text
    return shown(text.translate(_ONE_LINE))


def width_of(text: str) -> int:
    """How many cells the text takes."""
    return cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells: cut with `…` or filled with blanks.

    Args:
        text: Inert already.
        width: Cells, 0 or more.
        right: Fill on the left instead, as for numbers.
    """
    length = cell_len(text)
    if length > width:
        return f"{set_cell_size(text, width - 1)}…" if width > 0 else ""
    blanks = " " * (width - length)
    return f"{blanks}{text}" if right else f"{text}{blanks}"


def fit_tail(text: str, width: int) -> str:
    """As `fit`, keeping the end of the text: for paths."""
    if cell_len(text) <= width:
        return fit(text, width)
    if width <= 0:
        return ""
    kept = text[-width:]
    while cell_len(kept) > width - 1:
        kept = kept[1:]
    return fit(f"…{kept}", width)


def ident_width(ident: str) -> int:
    """Cells for the short id of an agent: four for ours, more for a longer one of an agent from outside."""
    return max(4, min(width_of(ident), 12))


def line_width(line: Line) -> int:
    """Cells of a whole line."""
    return sum(cell_len(span.text) for span in line)


def bar(share: float, width: int, ink: Ink = "accent") -> tuple[Span, Span]:
    """A bar of text, `━━━───`: it can be told without colours.

    Args:
        share: From 0 to 1; other values are cut to that.
        width: Cells.
        ink: Of the full part.
    """
    full = round(min(1.0, max(0.0, share)) * width)
    return Span("━" * full, ink), Span("─" * (width - full), "muted")


def clock_text(seconds: float) -> str:
    """A duration as `3:12`, or `1:02:05` from an hour on."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def count_text(number: int) -> str:
    """A count in four cells at most: `947`, `18k`, `3.4M`."""
    if number < 1000:
        return str(number)
    if number < 999_500:
        return f"{number / 1000:.1f}k" if number < 9_950 else f"{round(number / 1000)}k"
    return f"{number / 1_000_000:.1f}M"


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, broken at blanks where there are any; line breaks are kept."""
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
    """The line in pieces of at most `width` cells, cut anywhere: code and paths have no better place.

    Args:
        line: Spans.
        width: Cells, over `indent`.
        indent: Blanks before each piece but the first.
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
    """As much of the start of a text as fits in so many cells; a wide sign is not cut in two."""
    end = min(len(text), width)
    while cell_len(text[:end]) > width:
        end -= 1
    return text[:end]
