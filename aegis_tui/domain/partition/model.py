"""What a suggestion is made from, and what it is (PART-4)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Where = Literal["joint", "foundation", "shared", "closed"]
WHERE: Final[tuple[Where, ...]] = ("joint", "foundation", "shared", "closed")
"""Where a file goes that no part owns: `closed` files cannot be part of a design."""


class ProjectFile(NamedTuple):
    """A file of the repository, and which others it imports."""

    path: str
    """In its written form."""
    lines: int
    is_source: bool
    """Whether it is code: only code is shared out by its imports; other files follow it."""
    imports: tuple[str, ...] = ()
    """Paths of the files that it imports, each once, without itself."""


class ChangeHistory(NamedTuple):
    """The newest changes of a repository; empty if it has none."""

    commits: tuple[tuple[str, ...], ...] = ()
    """The paths that each commit changed, as they were named then, the newest commit first."""
    is_whole: bool = True
    """False if git could not list them in the time that it was given."""


class SuggestedPart(NamedTuple):
    """Files that one worker could own."""

    name: str
    """A short name after its main folder or file; unique, and valid as the id of a feature."""
    globs: tuple[str, ...]
    """No file of another part, and no file outside of all parts, matches one of them."""
    files: int
    lines: int
    """Of its code."""
    reason: str


class Outside(NamedTuple):
    """Files that no part should own, and where a design puts them instead."""

    glob: str
    where: Where
    files: int
    reason: str


class Suggestion(NamedTuple):
    """Every file of a repository in exactly one part, or outside of all."""

    parts: tuple[SuggestedPart, ...]
    outside: tuple[Outside, ...]
    imports: int
    """How many imports of one file by another there are, those of and by files outside left out."""
    cut: int
    """How many of `imports` go from one part to another."""
    notes: tuple[str, ...] = ()
    """What a reader should know about the whole."""
