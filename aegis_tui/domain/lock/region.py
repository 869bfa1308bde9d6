"""Line arithmetic for regions: where a part of a file is, and where it moves when the file changes (LOCK-1).

A line ends with a newline, as in git. A span counts the lines of one content of the file; a `View` names that content
by its blob id. Spans of different contents are never compared: see `common`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

from aegis_tui.domain.model import FrozenModel

Span = tuple[int, int]
"""First and last line, 1-based and inclusive."""

MAX_VIEWS: Final = 8
"""In how many contents the place of a region is kept: that of the grant, that of its holder, and the newest."""

_MAX_MATCHED_LINES = 2000


class View(FrozenModel):
    """Where a region lies in one content of its file."""

    base_oid: str
    """The blob id of the content."""
    spans: tuple[Span, ...]
    """Sorted, at least one."""


class Hunk(NamedTuple):
    """One change: `removed` lines from line `start` on are replaced by `added` others.

    An insertion removes nothing and is placed before line `start`. `slack` is the number of lines by which the same
    change could also start earlier, because the lines around it repeat.
    """

    start: int
    removed: int
    added: int
    slack: int = 0


class Rewrite(FrozenModel):
    """What one write did to one file, line by line."""

    base_oid: str
    new_oid: str
    hunks: tuple[Hunk, ...]


def blob_id(content: bytes, algorithm: Literal["sha1", "sha256"] = "sha1") -> str:
    """Return the blob id that git gives this content, without filters, in a repository with this hash algorithm.

    It is in hexadecimal digits: 40, or 64 for SHA-256.
    """
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def names_of(content: bytes) -> frozenset[str]:
    """Return every blob id that git may give a content.

    These are the ids with either hash algorithm, of the content as it is, with LF and with CR LF line ends.
    """
    plain = content.replace(b"\r\n", b"\n")
    forms = {content, plain, plain.replace(b"\n", b"\r\n")}
    return frozenset(blob_id(form, algorithm) for form in forms for algorithm in ("sha1", "sha256"))


def split_lines(text: str) -> list[str]:
    r"""Return the lines of a text with their newlines, split at `\n` only; the last one may have none.

    Empty for no text.
    """
    lines = text.split("\n")
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def line_hunks(before: str, after: str) -> tuple[Hunk, ...]:
    """Return the changes of lines that turn `before` into `after`, in order of lines; empty if they are equal.

    Each is placed as late as it can be where the lines around it repeat; `slack` says by how many lines it could be
    earlier. A change of over 2,000 lines, old and new together without equal ones at both ends, is one hunk.
    """
    old, new = split_lines(before), split_lines(after)
    head = _common_length(old, new)
    tail = _common_length(old[head:][::-1], new[head:][::-1])
    old_middle, new_middle = old[head : len(old) - tail], new[head : len(new) - tail]
    if not old_middle and not new_middle:
        return ()
    blocks = [(0, len(old_middle), 0, len(new_middle))]
    if old_middle and new_middle and len(old_middle) + len(new_middle) <= _MAX_MATCHED_LINES:
        matched = SequenceMatcher(None, old_middle, new_middle, autojunk=False).get_opcodes()
        blocks = [(i, j, k, m) for kind, i, j, k, m in matched if kind != "equal"]
    hunks = []
    for index, (i, j, k, m) in enumerate(blocks):
        floor = blocks[index - 1][1] + head if index else 0
        ceiling = blocks[index + 1][0] + head if index + 1 < len(blocks) else len(old)
        hunks.append(_slid(old, new, (i + head, j + head, k + head, m + head), floor, ceiling))
    return tuple(hunks)


def rewrite_of(before: str, after: str) -> Rewrite:
    """Return the blob ids (SHA-1) and the changed lines of a write that replaces the content `before` by `after`."""
    old, new = (blob_id(text.encode("utf-8", "replace")) for text in (before, after))
    return Rewrite(base_oid=old, new_oid=new, hunks=line_hunks(before, after))


def _common_length(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return length


def _slid(old: list[str], new: list[str], block: tuple[int, int, int, int], floor: int, ceiling: int) -> Hunk:
    """Return the hunk of a changed block at its lowest possible place, with its slack.

    Only a pure insertion or removal can have other places.

    Args:
        old: The lines before.
        new: The lines after.
        block: The lines `old[i:j]` became `new[k:m]`, as (i, j, k, m).
        floor: Where in `old` the change before this one ends: its slack goes no further.
        ceiling: Where in `old` the next change begins: it is moved no further.
    """
    i, j, k, m = block
    if i != j and k != m:
        return Hunk(i + 1, j - i, m - k)
    lines, first, size = (new, k, m - k) if i == j else (old, i, j - i)
    down = 0
    while j + down < ceiling and lines[first + down] == lines[first + down + size]:
        down += 1
    first += down
    slack = 0
    while i + down - slack > floor and lines[first - slack - 1] == lines[first - slack - 1 + size]:
        slack += 1
    return Hunk(i + down + 1, j - i, m - k, slack)


def move(span: Span, hunks: Iterable[Hunk]) -> Span | None:
    """Return where the span is after another instance's change.

    None when a hunk changes its lines, which makes it stale.

    Lines that are inserted directly before its first or after its last line do not become part of it.

    Args:
        span: The span before.
        hunks: All hunks of the change, in order of lines.
    """
    first, last = span
    shift = 0
    for hunk in hunks:
        if hunk.start > last:
            continue
        if hunk.start - hunk.slack + hunk.removed > first:
            return None
        shift += hunk.added - hunk.removed
    return first + shift, last + shift


def grow(span: Span, hunks: Iterable[Hunk]) -> Span | None:
    """Return where the span is after its holder's change; lines inserted inside it or at an end become part of it.

    Args:
        span: The span before.
        hunks: All hunks of the change, in order of lines.

    Returns:
        None when a hunk crosses an end of the span, or when no line of it is left.
    """
    first, last = span
    shift = growth = 0
    for hunk in hunks:
        delta = hunk.added - hunk.removed
        if is_inside(hunk, (span,)):
            growth += delta
        elif hunk.start > last:
            continue
        elif hunk.start - hunk.slack + hunk.removed <= first:
            shift += delta
        else:
            return None
    grown = first + shift, last + shift + growth
    return grown if grown[0] <= grown[1] else None


def move_all(spans: Iterable[Span], hunks: Sequence[Hunk]) -> tuple[Span, ...] | None:
    """Return where the spans are after another instance's change, in their order; None when it changes lines of one.

    That span is stale then. Lines that are inserted directly before or after a span do not become part of it.

    Args:
        spans: The spans before.
        hunks: All hunks of the change, in order of lines.
    """
    return _each([move(span, hunks) for span in spans])


def grow_all(spans: Iterable[Span], hunks: Sequence[Hunk]) -> tuple[Span, ...] | None:
    """Return where the spans are after their holder's change, in their order.

    Lines inserted inside one or at its ends become part of it.

    Args:
        spans: The spans before.
        hunks: All hunks of the change, in order of lines.

    Returns:
        None when a hunk crosses an end of a span, or when no line of one is left.
    """
    return _each([grow(span, hunks) for span in spans])


def _each(moved: list[Span | None]) -> tuple[Span, ...] | None:
    kept = tuple(span for span in moved if span is not None)
    return kept if len(kept) == len(moved) else None


def is_inside(hunk: Hunk, spans: Iterable[Span]) -> bool:
    """Return whether the change touches only lines of one span, or inserts lines inside it or at one of its ends."""
    lowest, highest = hunk.start - hunk.slack, hunk.start
    return any(max(first, lowest) <= min(highest, last + 1 - hunk.removed) for first, last in spans)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same lines in as few spans as possible, sorted; spans that touch become one."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def cross(one: Iterable[Span], other: Sequence[Span]) -> bool:
    """Return whether any span of the one has a line in common with any of the other."""
    return any(a <= d and c <= b for a, b in one for c, d in other)


def contain(outer: Iterable[Span], inner: Iterable[Span]) -> bool:
    """Return whether every line of `inner` is in `outer`; True for no lines."""
    wide = joined(outer)
    return all(any(a <= c and d <= b for a, b in wide) for c, d in inner)


def common(one: Iterable[View], other: Iterable[View]) -> list[tuple[tuple[Span, ...], tuple[Span, ...]]]:
    """Return, for each content that both lists of views have, the spans of either there; empty when they share none."""
    known = {view.base_oid: view.spans for view in other}
    return [(view.spans, known[view.base_oid]) for view in one if view.base_oid in known]


def with_view(views: Sequence[View], view: View, *, keep: str | None = None) -> tuple[View, ...]:
    """Return the views with `view` added, at most `MAX_VIEWS`; an older view of the same content is left out.

    If that one is the first, `view` takes its place, else it is added at the end. If there would be more than
    `MAX_VIEWS`, the oldest goes, but not the first, nor that of the blob `keep`.
    """
    kept = [item for item in views if item.base_oid != view.base_oid]
    if views and views[0].base_oid == view.base_oid:
        return (view, *kept)
    if len(kept) >= MAX_VIEWS:
        del kept[next(index for index in range(1, len(kept)) if kept[index].base_oid != keep)]
    return (*kept, view)
