"""Which lines of a file show a call, so that a reader can change it without the rest of the file (MAP-3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

CONTEXT: Final = 2
"""How many lines before and after a call are shown with it."""

MOST_LINE_CHARS: Final = 300
"""Longer lines are cut."""

_MOST_CALL_LINES: Final = 10
_QUOTED: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


class Excerpt(NamedTuple):
    """Lines of a file that follow each other; 1-based, both ends included."""

    first: int
    last: int


def excerpt_of(lines: Sequence[str], line: int, *, within: Excerpt) -> Excerpt:
    """Return the lines of the call that begins on a line, with `CONTEXT` lines before and after it.

    The call ends where the brackets that its first line opens are closed, after ten lines at the latest. Brackets in
    comments and in texts of several lines are counted like others, so an excerpt can be some lines too short or long.
    Of a docstring or comment of several lines before the call, nothing is shown.

    Args:
        lines: The file.
        line: Where the call begins; has to be in the file.
        within: The definition around the call; what lies outside of it is not shown.
    """
    until, depth = line, 0
    for until in range(line, min(line + _MOST_CALL_LINES, len(lines) + 1)):
        text = _QUOTED.sub("", lines[until - 1])
        depth += sum(text.count(sign) for sign in "([{") - sum(text.count(sign) for sign in ")]}")
        if depth <= 0:
            break
    first = max(line - CONTEXT, min(within.first, line))
    first = next((at + 1 for at in range(line - 1, first - 1, -1) if _ends_words(lines[at - 1])), first)
    last = min(until + CONTEXT, max(within.last, until), len(lines))
    while first < line and not lines[first - 1].strip():
        first += 1
    while last > until and not lines[last - 1].strip():
        last -= 1
    return Excerpt(first, last)


def _ends_words(text: str) -> bool:
    """Return whether a line ends a docstring or comment that begins on a line before it."""
    bare = text.strip()
    marks = (('"""', '"""'), ("'''", "'''"), ("/*", "*/"))
    return any(bare.endswith(end) and begin not in bare.removesuffix(end) for begin, end in marks)


def joined(excerpts: Iterable[Excerpt]) -> Excerpt:
    """Return the lines from the first to the last of several excerpts; there has to be one."""
    listed = list(excerpts)
    return Excerpt(min(item.first for item in listed), max(item.last for item in listed))


def render_excerpt(lines: Sequence[str], excerpt: Excerpt) -> str:
    """Return the lines of an excerpt as they are written, without numbers; long ones cut, which is said."""
    shown = lines[excerpt.first - 1 : excerpt.last]
    return "\n".join(line if len(line) <= MOST_LINE_CHARS else f"{line[:MOST_LINE_CHARS]} [line cut]" for line in shown)
