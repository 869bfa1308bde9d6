"""A changed file as the merge rules see it: which lines the piece adds, whether it is text, how large it is."""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from aegis_tui.domain.rule.model import HEADER_LINES

_PROBE_BYTES = 8000
"""How many bytes at the beginning decide whether a file is text; git looks at as many."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class PathChange:
    """One path that a piece changes, with the content that rules look at."""

    path: str
    status: Literal["A", "M", "D", "R", "T"]
    """Added, modified, deleted, renamed, type changed."""
    blob: str
    """The id of the new content, or of the old content of a deleted file."""
    size: int = 0
    """Of the new content, in bytes; 0 for a deleted file."""
    is_binary: bool = False
    is_read: bool = True
    """False when the content is too large to be looked at."""
    text: str = ""
    """The new content; empty when binary, deleted or not read."""
    added: tuple[tuple[int, str], ...] = ()
    """The lines of `text` that the old content does not have, with their numbers, from 1."""
    old_head: str = ""
    """The first lines of the old content; empty for a new file."""
    old_size: int = 0
    """Of the old content, in bytes; 0 for a new file."""
    is_moved: bool = False
    """Whether only its path changes, not its content."""

    @property
    def added_characters(self) -> int:
        """How many characters the added lines have: the text that the rules search."""
        return sum(len(line) for _, line in self.added)

    @property
    def head(self) -> str:
        """The first `HEADER_LINES` lines of the new content; empty if it has no text."""
        return first_lines(self.text)


def read_change(
    path: str,
    status: Literal["A", "M", "D", "R", "T"],
    blob: str,
    *,
    new: bytes | None,
    old: bytes | None,
    size: int | None = None,
    old_size: int = 0,
    is_moved: bool = False,
) -> PathChange:
    """Return a change with its content interpreted.

    A line counts as added if the new content has it more often than the old one: what was only moved is not new. git's
    attributes have no say, because the piece could set them.

    Args:
        path: The path, in its written form.
        status: What happened to it.
        blob: The id of the new content, or of the old content of a deleted file.
        new: The new content; None for a deleted file, a submodule, or content that is too large.
        old: The former content; None if there is none, or it is no text that can be compared.
        size: The size of the new content, if `new` is too large to be given.
        old_size: The size of the former content; 0 if there is none.
        is_moved: Whether only the path changes.
    """
    change = PathChange(path, status, blob, len(new or b""), old_size=old_size, is_moved=is_moved)
    if new is None:
        return replace(change, size=size or 0, is_read=size is None)
    text, former = _decoded(new), _decoded(old or b"") or ""
    if text is None:
        return replace(change, is_binary=True)
    return replace(change, text=text, added=_added(text, former), old_head=first_lines(former))


def _decoded(raw: bytes) -> str | None:
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw.decode(name, "replace")
    return None if b"\0" in raw[:_PROBE_BYTES] else raw.decode("utf-8", "replace")


def _added(text: str, former: str) -> tuple[tuple[int, str], ...]:
    left = Counter(former.split("\n"))
    added = []
    for number, line in enumerate(text.split("\n"), 1):
        if left[line] > 0:
            left[line] -= 1
        elif line:
            added.append((number, line.removesuffix("\r")))
    return tuple(added)


def first_lines(text: str) -> str:
    """Return the first `HEADER_LINES` lines of a text, where its header is looked for."""
    return "\n".join(text.split("\n", HEADER_LINES)[:HEADER_LINES])
