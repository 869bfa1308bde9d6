"""The diff of a piece as rows, with the person's comments that wait below the lines that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aegis_tui.domain.review.comment import LineComment
from aegis_tui.domain.review.diff import DiffLine
from aegis_tui.tui.text import Ink, Line, Row, Span, fit, inert, wrap

_INKS: Final[Mapping[str, Ink]] = {
    "file": "strong",
    "hunk": "info",
    "added": "good",
    "removed": "bad",
    "same": "text",
    "note": "muted",
}
_SIGNS: Final[Mapping[str, str]] = {"added": "+", "removed": "-", "same": " "}
_SAID_BY_THE_HEADING = ("index ", "--- ", "+++ ")
COMMENT: Final = "comment "
"""The first word of the key of a row with a comment; its number follows."""


def diff_rows(lines: Sequence[DiffLine], comments: Sequence[LineComment], *, width: int) -> list[Row]:
    """Return the rows of a diff; the key of a line is its number in `lines`, that of a comment begins with `COMMENT`.

    A comment stands below its line; those on lines that the diff does not show stand at the end, with their place.

    Args:
        lines: The diff.
        comments: Comments on the piece that wait.
        width: Cells.
    """
    rows: list[Row] = []
    waiting = list(comments)
    for at, item in enumerate(lines):
        if item.kind == "note" and item.text.startswith(_SAID_BY_THE_HEADING):
            continue
        rows.append(Row(str(at), _line(item, width)))
        if item.kind not in ("added", "same"):
            continue
        here = [one for one in waiting if (one.file, one.line) == (item.file, item.line)]
        rows += [_comment(one, width) for one in here]
        waiting = [one for one in waiting if one not in here]
    return rows + [_comment(one, width, place=f"{one.file}:{one.line} ") for one in waiting]


def _line(item: DiffLine, width: int) -> Line:
    text = inert((item.text.rpartition(" b/")[2] if item.kind == "file" else item.text).expandtabs(4))
    if item.kind not in _SIGNS:
        return (Span(fit(text, width), _INKS[item.kind]),)
    number = str(item.line) if item.kind != "removed" else ""
    ink = _INKS[item.kind]
    return (Span(f"{number:>5} ", "muted"), Span(fit(f"{_SIGNS[item.kind]}{text}", max(0, width - 6)), ink))


def _comment(item: LineComment, width: int, *, place: str = "") -> Row:
    words = wrap(f"{place}{inert(item.text)}", max(8, width - 10))
    more = " …" if len(words) > 1 else ""
    return Row(f"{COMMENT}{item.number}", (Span("      » ", "accent"), Span(f"{words[0]}{more}", "accent")))
