"""What merging needs to know of a source file in any language: its items, by lines (GIT-3). Values only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

SourceKind = Literal["import", "class", "function", "binding", "statement"]


class SourceNode(NamedTuple):
    """An item of a file or of a class body, such as an import, a definition or a statement."""

    kind: SourceKind
    name: str
    """What it is known by when its content is edited; the whole text of a statement without a name."""
    first: int
    """Its first line, from 0, with decorators and attributes."""
    last: int
    """The line below its last one, from 0: `lines[first:last]` is the item."""
    is_single: bool = False
    """Whether a second one of the same name in the same place is an error of the language."""
    names: tuple[str, ...] = ()
    """Of an import, the words and texts in it."""
    body: tuple[int, int] | None = None
    """Of a class, the lines between its brackets, if these are at the ends of lines."""
    items: tuple[SourceNode, ...] = ()
    """The members of the class, in their order; empty without `body`."""


class SourceTree(NamedTuple):
    """A file that was parsed without an error."""

    items: tuple[SourceNode, ...]
    comments: tuple[int, ...]
    """The lines, from 0, that are part of a comment and of no item."""


ReadSource = Callable[[str, str], SourceTree | None]
"""Returns the items of a file, given by path and text; None for a language that is not known.

Raises:
    SyntaxError: The text has an error.
"""
