"""What is between brackets: its elements, where they are in the source, and how some are put in or taken out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

Located = ast.stmt | ast.expr | ast.alias | ast.keyword
"""The nodes of a syntax tree that know where they are in the text."""

_AFTER = re.compile(rb"[ \t]*(?P<comma>,)?[ \t]*(?P<comment>#[^\n]*)?(?P<end>\r?\n)?")


class Splice(NamedTuple):
    """A replacement of `source[start:end]`."""

    start: int
    end: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Element:
    """An element between brackets, `source[start:end]`; with its key in a dictionary or its keyword in a call."""

    name: str
    """Equal for elements that are the same, or that are two versions of the same entry."""
    start: int
    end: int
    value: ast.expr | ast.alias
    """What may be changed within it."""


class StatementSource:
    """A statement's text as bytes, because the positions of `ast` count these.

    Args:
        text: The text of one statement that stands at the left margin.

    Raises:
        SyntaxError: It is not one statement.
    """

    def __init__(self, text: str) -> None:
        self.raw = text.encode()
        self._starts = [0, *accumulate(len(line) for line in self.raw.splitlines(keepends=True))]
        body = ast.parse(text).body
        if len(body) != 1:
            raise SyntaxError("not one statement")
        self.node = body[0]

    def span(self, node: Located) -> tuple[int, int]:
        """Return where a node of this text starts and ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def elements(self, node: ast.AST) -> list[Element]:
        """Return the elements of a node in their order; positional arguments are named by their place."""
        match node:
            case ast.ImportFrom(names=names):
                return [Element(ast.dump(alias), *self.span(alias), alias) for alias in names]
            case ast.Dict(keys=keys, values=values):
                return [self._entry(key, value) for key, value in zip(keys, values, strict=True)]
            case ast.Call(args=args, keywords=keywords):
                placed = [Element(f"#{at}", *self.span(arg), arg) for at, arg in enumerate(args)]
                named = [Element(f"{word.arg}=", *self.span(word), word.value) for word in keywords]
                return sorted(placed + named, key=lambda element: element.start)
            case ast.List(elts=items) | ast.Set(elts=items) | ast.Tuple(elts=items):
                return [Element(ast.dump(item), *self.span(item), item) for item in items]
        return []

    def _entry(self, key: ast.expr | None, value: ast.expr) -> Element:
        start, end = self.span(value)
        if key is None:
            return Element(f"**{ast.dump(value)}", self.raw.rindex(b"**", 0, start), end, value)
        return Element(ast.dump(key), self.span(key)[0], end, value)

    def indent_before(self, at: int) -> bytes | None:
        """Return the white space before a place, if nothing else stands before it on its line; else None."""
        before = self.raw[self.raw.rfind(b"\n", 0, at) + 1 : at]
        return before if not before.strip() else None

    def line_end(self, at: int) -> tuple[bool, bytes, int | None]:
        """Return what follows an element: whether a comma, its comment, and the end of the line if nothing else."""
        match = _AFTER.match(self.raw, at)
        assert match is not None
        ends = match["end"] is not None or match.end() == len(self.raw)
        return match["comma"] is not None, (match["comment"] or b"").rstrip(), match.start("end") if ends else None

    def notes_above(self, at: int) -> bytes:
        """Return the whole lines of comments directly above the line of a place."""
        lines: list[bytes] = []
        start = self.raw.rfind(b"\n", 0, at) + 1
        while start > 0:
            above = self.raw.rfind(b"\n", 0, start - 1) + 1
            line = self.raw[above:start]
            if not line.lstrip().startswith(b"#"):
                break
            lines.insert(0, line)
            start = above
        return b"".join(lines)


def insertion(
    source: StatementSource, inside: Sequence[Element], below: int, new: Iterable[tuple[bytes, bytes, bytes]]
) -> Splice:
    """Return how to put new elements below another one, each on a line of its own if that one is.

    Args:
        source: The text.
        inside: The elements that are there, at least one.
        below: The index of the element after which to put them; -1 to put them before the first.
        new: Per element its text, the comment behind it, and the lines of comments above it.
    """
    before = inside[max(below, 0)]
    indent = source.indent_before(before.start)
    if indent is None:
        texts = [text for text, _, _ in new]
        if below < 0:
            return Splice(before.start, before.start, b"".join(text + b", " for text in texts))
        return Splice(before.end, before.end, b"".join(b", " + text for text in texts))
    lines = [notes + indent + text + b"," + (b"  " + comment if comment else b"") for text, comment, notes in new]
    if below < 0:
        start = before.start - len(indent)
        return Splice(start, start, b"".join(line + b"\n" for line in lines))
    has_comma, comment, end = source.line_end(before.end)
    if end is None:
        return Splice(before.end, before.end, b"".join(b", " + text for text, _, _ in new))
    if not has_comma:
        tail = b"  " + comment if comment else b""
        return Splice(before.end, end, b"," + tail + b"".join(b"\n" + line for line in lines))
    return Splice(end, end, b"".join(b"\n" + line for line in lines))


def removal(source: StatementSource, inside: Sequence[Element], at: int) -> Splice:
    """Return how to take out an element, with its comma, and with its line if it is alone on that."""
    element = inside[at]
    indent = source.indent_before(element.start)
    _, _, end = source.line_end(element.end)
    if indent is not None and end is not None:
        start = element.start - len(indent) - len(source.notes_above(element.start))
        return Splice(start, min(end + 1, len(source.raw)), b"")
    if at + 1 < len(inside):
        return Splice(element.start, inside[at + 1].start, b"")
    if at:
        return Splice(inside[at - 1].end, element.end, b"")
    return Splice(element.start, element.end, b"")


def spliced(source: bytes, splices: Iterable[Splice]) -> bytes:
    """Return a text with all replacements made.

    Raises:
        ValueError: Two of them overlap.
    """
    made = sorted(splices)
    if any(later.start < splice.end for splice, later in pairwise(made)):
        raise ValueError("replacements overlap")
    for splice in reversed(made):
        source = source[: splice.start] + splice.text + source[splice.end :]
    return source


def by_name(elements: Sequence[Element]) -> Mapping[str, Element] | None:
    """Return elements by their names; None if two have the same."""
    named = {element.name: element for element in elements}
    return named if len(named) == len(elements) else None
