"""What may keep a run from working in a repository, as it is found before any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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

    closed_to_hub: tuple[Path, ...] = ()
    """Folders of the git folder that this process cannot write."""
    closed_to_agents: tuple[Path, ...] = ()
    """Folders of the object store that a process without root's privilege over files cannot write."""
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
