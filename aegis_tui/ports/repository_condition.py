"""Conditions of a repository that may make a run fail; they are looked for before any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aegis_tui.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class MissingFilter:
    """A required filter (gitattributes(5)) whose program is not installed."""

    name: str
    program: str
    example: str
    """A tracked file that the filter applies to."""


@dataclass(frozen=True, slots=True)
class PartialClone:
    """A clone that lacks objects of HEAD, which only its remote has."""

    remote: str
    missing: int
    """How many objects of HEAD the clone lacks."""
    problem: str
    """The error of the remote when it was asked; empty when it answers."""


@dataclass(frozen=True, slots=True)
class RepositoryCondition:
    """The conditions found in one repository that may make a run fail."""

    closed: tuple[Path, ...] = ()
    """Folders inside the git folder that a run must write to and cannot."""
    lost_alternates: tuple[Path, ...] = ()
    """Object stores (alternates) that the repository refers to and that do not exist."""
    missing_filters: tuple[MissingFilter, ...] = ()
    partial: PartialClone | None = None
    submodules: tuple[str, ...] = ()
    """Paths of the submodules of HEAD."""
    lfs_file: str = ""
    """A tracked file whose content Git LFS keeps; empty if there is none."""
    is_sparse: bool = False
    """The opened checkout holds only a part of the tree (sparse checkout)."""
    signs_commits: bool = False
    """`commit.gpgSign` is set."""


class InspectedRepository(Repository, Protocol):
    """A repository whose condition can be inspected before a run."""

    async def condition(self) -> RepositoryCondition:
        """Return the conditions that may make a run fail; changes nothing. May ask the remote of a partial clone.

        Raises:
            GitError: The repository has no commit, or git fails.
        """
        ...

    async def checkout_bytes(self) -> int:
        """Return how many bytes the files of one checkout of HEAD have.

        0 in a partial clone, where asking would fetch objects.

        Raises:
            GitError: The repository has no commit, or git fails.
        """
        ...

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """Return the path of every file and submodule in a commit or tree, relative to its root, in git's order.

        Raises:
            GitError: There is no such commit or tree.
        """
        ...
