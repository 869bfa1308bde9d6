"""The lines of a diff, each with its place in the files, so that a person can comment on them (WISH-2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from aegis_tui.domain.path.file_name import canonical_name, write_name

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class DiffLine(NamedTuple):
    """One line of a diff."""

    kind: Literal["file", "hunk", "added", "removed", "same", "note"]
    text: str
    """For added, removed and same lines without the sign in front."""
    file: str = ""
    """The file, as it is called after the change, in written form; a deleted one as it was called before."""
    line: int | None = None
    """The number in the file after the change, 1-based; of a removed line that of the line that follows it now."""

    @property
    def can_be_commented(self) -> bool:
        """Whether it is a line of a file."""
        return self.line is not None


def parse_diff(text: str) -> list[DiffLine]:
    """Return the lines of a diff in git's unified format; empty for an empty diff.

    Lines that belong to no hunk, such as modes and the names of renamed files, are notes.
    """
    return list(_parsed(text))


def quoted_line(lines: list[DiffLine], file: str, line: int) -> str:
    """Return the text of a line of a file after the change, if the diff shows it; else an empty text."""
    shown = (item.text for item in lines if item.kind in ("added", "same") and (item.file, item.line) == (file, line))
    return next(shown, "")


def _parsed(text: str) -> Iterator[DiffLine]:
    file, at, old, new = "", 0, 0, 0
    for row in text.split("\n"):
        if old > 0 or new > 0:
            yield _in_hunk(row, file, at)
            sign = row[:1]
            old -= sign in ("-", " ", "")
            new -= sign in ("+", " ", "")
            at += sign in ("+", " ", "")
        elif hunk := _HUNK.match(row):
            at = int(hunk[2])
            old, new = int(hunk[1] or 1), int(hunk[3] or 1)
            at += hunk[3] == "0"
            yield DiffLine("hunk", _shown(row), file)
        elif row.startswith("diff --git "):
            file = ""
            yield DiffLine("file", _shown(row.removeprefix("diff --git ")))
        elif row.startswith(("--- ", "+++ ")):
            file = _name(row[4:]) or file
            yield DiffLine("note", _shown(row), file)
        elif row:
            yield DiffLine("note", _shown(row), file)


def _in_hunk(row: str, file: str, at: int) -> DiffLine:
    row = _shown(row)
    match row[:1]:
        case "+":
            return DiffLine("added", row[1:], file, at)
        case "-":
            return DiffLine("removed", row[1:], file, max(1, at))
        case "\\":
            return DiffLine("note", row, file)
        case _:
            return DiffLine("same", row[1:], file, at)


def _shown(text: str) -> str:
    """Return a text with `�` for bytes that are no UTF-8, which no message could carry."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _name(row: str) -> str:
    """Return the written form of the name in a row `--- a/NAME` or `+++ b/NAME`; empty for /dev/null."""
    row = row.removesuffix("\t")
    if row == "/dev/null":
        return ""
    if row.startswith('"'):
        return canonical_name(f'"{row[3:]}')
    return write_name(row[2:])
