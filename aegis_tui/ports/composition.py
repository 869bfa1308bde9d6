"""Composition of many pieces at once: their changes are applied to the trees of the object store (GIT-5, PERF-21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aegis_tui.domain.merge.merged_file import MergedFile


@dataclass(frozen=True, slots=True)
class PiecePart:
    """The change that one merge brings in: what turns the commit `base` into the commit `head`."""

    name: str
    """Whose change it is; several parts may have the same name."""
    base: str
    """An ancestor of `head`."""
    head: str


@dataclass(frozen=True, slots=True)
class Composition:
    """A tree composed of parts, and the parts that it could not take in."""

    tree: str
    refused: Mapping[str, tuple[str, ...]]
    """Name of a part -> the paths that conflict with the parts before it. Nothing of these parts is in the tree."""
    merged_files: int
    """How many parts changed what others changed too, so that files had to be merged."""
    files: Mapping[str, tuple[MergedFile, ...]] = field(default_factory=dict)
    """Name of a part -> the files that both it and what was composed before had changed, with what merged them."""


class Composing(Protocol):
    """Composes parts without a worktree; no ref moves unless a method says so.

    The methods raise only `GitError`, `GitUnavailable`, `Refused` and `Conflict`.
    """

    async def compose_all(self, onto: str, parts: Sequence[PiecePart]) -> Composition:
        """Apply the changes of parts, in order, to a commit, and return the tree, which is written.

        The tree is the one that merging the parts one after the other gives. A part that conflicts is refused, and so
        is each later part of the same name.

        Args:
            onto: The commit to begin with.
            parts: The changes.

        Raises:
            GitError: A commit does not exist.
        """
        ...

    async def merges(self, base: str, tip: str) -> list[PiecePart]:
        """Return the changes that were merged into a line of commits, oldest first, with empty names.

        Args:
            base: The commit at which the line begins.
            tip: The last commit of the line, which is followed by first parents. Commits that merge nothing are
                skipped.

        Raises:
            GitError: One of the two does not exist.
        """
        ...

    async def with_files(self, tree: str, files: Mapping[str, bytes]) -> str:
        """Return the id of a tree in which files have other contents; their modes stay, and the tree is written.

        Args:
            tree: A tree or a commit.
            files: Path -> its new content.

        Raises:
            GitError: There is no such tree, or no regular file at one of the paths.
        """
        ...

    async def commit(self, tree: str, parents: Sequence[str], *, message: str, at: int) -> str:
        """Write a commit in the person's name and return its id; equal arguments give the same commit.

        Args:
            tree: The tree to commit.
            parents: Its parents, in order.
            message: The commit message.
            at: The date of the commit, in seconds since 1970.

        Raises:
            Refused: git knows no name or no email address of the person.
            GitError: The tree or a parent does not exist.
        """
        ...
