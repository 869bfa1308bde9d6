"""Conflicts as rows, and their hunks as columns: base, ours, theirs."""

from __future__ import annotations

from typing import NamedTuple

from aegis_tui.domain.run import Conflict, Run
from aegis_tui.tui.text import Ink, Line, Row, Span, fit, fit_tail, inert, width_of


class Hunk(NamedTuple):
    """One stretch of lines that both sides changed."""

    ours: list[str]
    base: list[str]
    theirs: list[str]


def conflict_rows(run: Run | None, *, width: int) -> list[Row]:
    """Open conflicts first, then the settled ones."""
    if run is None:
        return []
    items = sorted(run.conflicts.values(), key=lambda item: item.resolution is not None)
    return [Row(item.conflict_id, _row(item, width)) for item in items]


def _row(item: Conflict, width: int) -> Line:
    is_open = item.resolution is None
    glyph = "≠" if is_open else "✓"
    ink: Ink = "good" if not is_open else "bad" if item.kind == "hot" else "warn"
    pair = f"{inert(item.a)} × {inert(item.b)}"
    how = f" {item.resolution or item.kind}"
    count = f" {item.hunks} hunk{'s' if item.hunks != 1 else ''}"
    tail = f"{count}{how}" if width >= width_of(pair) + len(count) + len(how) + 4 else how
    room = max(4, width - 2 - len(tail))
    beside = room - width_of(pair) - 1
    lead = f"{pair} {fit_tail(inert(item.path), beside)}" if beside >= 10 else pair
    return (Span(f"{glyph} ", ink), Span(fit(lead, room), "text" if is_open else "muted"), Span(tail, ink))


def parse_hunks(text: str) -> list[Hunk]:
    """The hunks of a text with diff3 markers, as git writes it; lines outside markers are left out.

    Source: git-merge(1), "How conflicts are presented".
    """
    hunks: list[Hunk] = []
    part = ""
    for line in text.splitlines():
        mark = line[:7]
        if mark == "<<<<<<<":
            hunks.append(Hunk([], [], []))
            part = "ours"
        elif mark == "|||||||" and part == "ours":
            part = "base"
        elif mark == "=======" and part in ("ours", "base"):
            part = "theirs"
        elif mark == ">>>>>>>" and part:
            part = ""
        elif part:
            getattr(hunks[-1], part).append(line)
    return hunks


def hunk_lines(item: Conflict, *, width: int) -> list[Line]:
    """Every hunk: side by side from 118 cells on, one side after the other below that."""
    lines: list[Line] = []
    hunks = parse_hunks(item.text)
    for number, hunk in enumerate(hunks, 1):
        lines.append((Span(f"hunk {number} of {len(hunks)}", "strong"),))
        lines += _beside(item, hunk, width) if width >= 118 else _below(item, hunk, width)
        lines.append(())
    if not hunks:
        lines.append((Span("The two sides merge cleanly here; nothing crosses.", "muted"),))
    return lines


def _beside(item: Conflict, hunk: Hunk, width: int) -> list[Line]:
    room = (width - 6) // 3
    names = (f"{inert(item.a)} (composed)", "before both", f"{inert(item.b)} (handed in)")
    inks: tuple[Ink, Ink, Ink] = ("good", "muted", "warn")
    sides = (hunk.ours, hunk.base, hunk.theirs)
    lines = [_across([fit(name, room) for name in names], inks)]
    for at in range(max(map(len, sides), default=0)):
        lines.append(_across([fit(inert(side[at]) if at < len(side) else "", room) for side in sides], inks))
    return lines


def _across(cells: list[str], inks: tuple[Ink, Ink, Ink]) -> Line:
    spans: list[Span] = []
    for at, (cell, ink) in enumerate(zip(cells, inks, strict=True)):
        spans += [*([Span(" │ ", "muted")] if at else []), Span(cell, ink)]
    return tuple(spans)


def _below(item: Conflict, hunk: Hunk, width: int) -> list[Line]:
    lines: list[Line] = []
    sides: tuple[tuple[str, list[str], str, Ink], ...] = (
        ("before both", hunk.base, " ", "muted"),
        (f"{inert(item.a)} (composed)", hunk.ours, "<", "good"),
        (f"{inert(item.b)} (handed in)", hunk.theirs, ">", "warn"),
    )
    for name, side, sign, ink in sides:
        lines.append((Span(f"  {name}", ink),))
        lines += [(Span(fit(f"  {sign} {inert(line)}", width), ink),) for line in side]
    return lines
