"""What may keep a run from working in a repository, as it is found before any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aegis_tui.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class MissingFilter:
    """A required filter (gitattributes(5)) whose program is not there."""

    name: str
    program: str
    example: str
    """A tracked file that goes through it."""


@dataclass(frozen=True, slots=True)
class PartialClone:
    """A clone that lacks objects of HEAD, which only its remote has."""

    remote: str
    missing: int
    """Objects of HEAD that are not here."""
    problem: str
    """What the remote says when asked; empty when it answers."""


@dataclass(frozen=True, slots=True)
class RepositoryCondition:
    """What was found of a repository that may keep a run from working."""

    closed: tuple[Path, ...] = ()
    """Folders of the git folder that have to be written and cannot be."""
    lost_alternates: tuple[Path, ...] = ()
    """Object stores that it borrows from and that are not there."""
    missing_filters: tuple[MissingFilter, ...] = ()
    partial: PartialClone | None = None
    submodules: tuple[str, ...] = ()
    """Paths of the submodules of HEAD."""
    is_sparse: bool = False
    """The checkout that was opened shows a part of the tree."""
    signs_commits: bool = False
    """`commit.gpgSign` is set."""


class InspectedRepository(Repository, Protocol):
    """A repository that can be looked at as a whole."""

    async def condition(self) -> RepositoryCondition:
        """What may keep a run from working; looked at without changing anything."""
        ...

    async def checkout_bytes(self) -> int:
        """How much one checkout of HEAD takes on the disk; 0 where asking would fetch from a remote."""
        ...

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """Every path in the tree of a commit or tree, sorted as git does."""
        ...
