"""Rows for conflicts, and pages that show their hunks: the first piece, the base, the second piece."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

from aegis_tui.domain.merge.generated import is_foreseen
from aegis_tui.domain.merge.label import label_words
from aegis_tui.domain.piece.model import PIECE_WORDS, PieceConflict
from aegis_tui.domain.run.model import Run
from aegis_tui.tui.text import Ink, Line, Row, Span, fit, fit_tail, fold, inert, line_width, width_of, wrap

_WORDS = re.compile(r"\n|\w+|[^\w\n]")
_BESIDE_WIDTH = 106
"""The smallest width of a page, in cells, for three columns; a screen of 120 columns has it."""


class ConflictHunk(NamedTuple):
    """A range of lines that two pieces changed: its lines in the first piece, in the base, and in the second."""

    ours: list[str]
    base: list[str]
    theirs: list[str]


def conflict_rows(run: Run | None, *, width: int) -> list[Row]:
    """Return a row per conflict of the run, its id as the key, open ones first; empty if there are none, or no run.

    `width` is in cells.
    """
    if run is None:
        return []
    items = sorted(run.conflicts.values(), key=lambda item: item.resolution is not None)
    return [Row(item.conflict_id, _row(item, width)) for item in items]


def _row(item: PieceConflict, width: int) -> Line:
    is_open = item.resolution is None
    glyph = "≠" if is_open else "✓"
    ink: Ink = "good" if not is_open else "bad" if item.kind == "hot" else "warn"
    pair = f"{inert(item.a)} × {inert(item.b)}"
    word = {"none": "gone", None: item.kind}.get(item.resolution, item.resolution)
    label = ""
    if item.resolution not in (None, "none") and item.label is not None:
        label = f" {item.label}"
    elif is_open and item.kind == "soft" and item.strategy in ("structure", "lines"):
        label = f" by {item.strategy}"
    count = f" {item.hunks} hunk{'s' if item.hunks != 1 else ''}"
    tails = (f"{count} {word}{label}", f" {word}{label}", f" {word}")
    left = width - 2 - width_of(pair)  # the names of the two pieces come first
    tail = next((tail for tail in tails if len(tail) <= left), tails[-1])
    room = max(4, width - 2 - len(tail))
    beside = room - width_of(pair) - 1
    lead = f"{pair} {fit_tail(inert(item.path), beside)}" if beside >= 10 else pair
    return (Span(f"{glyph} ", ink), Span(fit(lead, room), "text" if is_open else "muted"), Span(tail, ink))


def parse_hunks(text: str) -> list[ConflictHunk]:
    """Return the hunks of a text with git's diff3 conflict markers; lines outside the markers are left out.

    Empty without markers; inside a hunk, a marker in a wrong place is taken as a line.

    Source: git-merge(1), "How conflicts are presented".
    """
    hunks: list[ConflictHunk] = []
    part = ""
    for line in text.splitlines():
        mark = line[:7]
        if mark == "<<<<<<<":
            hunks.append(ConflictHunk([], [], []))
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


def conflict_lines(item: PieceConflict, run: Run, *, width: int) -> list[Line]:
    """Return the page for a conflict of a run: its status, then each hunk; or why there is none.

    If `width` is at least 106 cells, the two sides and the base of a hunk stand side by side, else below each other.
    """
    words, ink = _standing(item, run)
    lines: list[Line] = [*((Span(part, ink),) for part in wrap(words, width)), ()]
    hunks = parse_hunks(item.text)
    heads = tuple(f"{inert(name)} ({_state(run, name)})" for name in (item.a, item.b))
    for number, hunk in enumerate(hunks, 1):
        lines.append((Span(f"hunk {number} of {len(hunks)}", "strong"),))
        lines += _beside(heads, hunk, width) if width >= _BESIDE_WIDTH else _below(heads, hunk, width)
        lines.append(())
    if not hunks:
        is_hot = item.kind == "hot"
        why = "No lines to show: the file is deleted, renamed or not text on one side." if is_hot else ""
        lines.append((Span(why or "The two sides merge cleanly here.", "muted"),))
    return lines


def _state(run: Run, name: str) -> str:
    """Return how far a piece is, in a word or two; a name that is not a piece stands for merged work."""
    piece = run.pieces.get(name)
    return "merged" if piece is None or piece.applied_head is not None else PIECE_WORDS[piece.status]


def _standing(item: PieceConflict, run: Run) -> tuple[str, Ink]:
    if item.resolution == "none":
        return "✓ gone: the two do not change the same place any longer", "good"
    if item.resolution is not None:
        words = label_words(item.label, item.strategy, inert(item.reason))
        return f"✓ settled: {item.resolution}{f', {words}' if words else ''}", "good"
    if item.kind == "soft":
        if is_foreseen(item.reason):
            return f"Both change this file. It {inert(item.reason)}.", "warn"
        if item.strategy in ("structure", "lines"):
            how = label_words(item.label, item.strategy)
            return f"Both change this file in the same place; it will be merged ({how}).", "warn"
        return "Both change this file, on different lines; they merge without a conflict.", "warn"
    why = f". {inert(item.reason)}" if item.reason else ""
    if _state(run, item.a) != "merged":
        return f"≠ open: both change the same lines; the piece that is merged second has to resolve this{why}", "bad"
    return f"≠ open: {item.b} goes back to its worker, which rebases it on the merged work{why}", "bad"


def _beside(heads: tuple[str, ...], hunk: ConflictHunk, width: int) -> list[Line]:
    room = (width - 6) // 3
    base: list[Line] = [(Span(inert(line), "muted"),) for line in hunk.base]
    columns: list[list[Line]] = [
        [(Span(heads[0], "good"),), *against(hunk.base, hunk.ours, "good")],
        [(Span("base", "muted"),), *base],
        [(Span(heads[1], "warn"),), *against(hunk.base, hunk.theirs, "warn")],
    ]
    folded = [[part for line in column for part in fold(line, room)] for column in columns]
    gap: Line = (Span(" │ ", "muted"),)
    height = max(map(len, folded))
    filled = [[padded(line, room) for line in (*column, *[()] * (height - len(column)))] for column in folded]
    return [(*ours, *gap, *before, *gap, *theirs) for ours, before, theirs in zip(*filled, strict=True)]


def _below(heads: tuple[str, ...], hunk: ConflictHunk, width: int) -> list[Line]:
    base: list[Line] = [(Span(inert(line), "muted"),) for line in hunk.base]
    sides: tuple[tuple[Line, list[Line], Span], ...] = (
        ((Span("  base", "muted"),), base, Span("    ", "muted")),
        ((Span(f"  {heads[0]}", "good"),), against(hunk.base, hunk.ours, "good"), Span("  < ", "good")),
        (
            (Span(f"  {heads[1]}", "warn"),),
            against(hunk.base, hunk.theirs, "warn"),
            Span("  > ", "warn"),
        ),
    )
    lines: list[Line] = []
    for head, side, sign in sides:
        lines.append(head)
        lines += [(sign, *part) for line in side for part in fold(line, width - 4)]
    return lines


def against(base: list[str], side: list[str], ink: Ink) -> list[Line]:
    """Return the lines of one side of a hunk, in which words that differ from the base have the given ink.

    The other words have the ink of plain text. Empty if `side` is. `base` and `side` are lines of text.
    """
    words = _WORDS.findall("\n".join(side))
    matcher = SequenceMatcher(None, _WORDS.findall("\n".join(base)), words, autojunk=False)
    lines: list[list[Span]] = [[]]
    for kind, _, _, start, end in matcher.get_opcodes():
        for word in words[start:end]:
            if word == "\n":
                lines.append([])
            else:
                lines[-1].append(Span(inert(word), "text" if kind == "equal" else ink))
    return [tuple(line) for line in lines] if side else []


def padded(line: Line, width: int) -> Line:
    """Return the line filled with blanks on the right to `width` cells; a longer one is not cut."""
    return (*line, Span(" " * max(0, width - line_width(line))))
