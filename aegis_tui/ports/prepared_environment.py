"""Environments that a set-up command made: values, and the port that keeps them (GIT-1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aegis_tui.domain.environment.needs import PackageNeed
from aegis_tui.ports.repository import Worktree


@dataclass(frozen=True, slots=True)
class MadeEnvironment:
    """An environment that the set-up command made."""

    name: str
    """The key of its set-up and the first digits of the tree that it was made for."""
    command: str
    network: bool
    duration_s: float
    finished_unix: int
    left_out: tuple[str, ...] = ()
    """What it made and git does not ignore: worktrees do not get it, because agents would commit it."""
    made: tuple[str, ...] = ()
    """What it made outside of `.venv` and `node_modules`: paths that git ignores, copied into each worktree."""

    @property
    def is_for_every_tree(self) -> bool:
        """Whether it holds nothing that may have been built from the sources of one tree."""
        return not self.made


@dataclass(frozen=True, slots=True)
class SetupPlace:
    """Where a set-up command runs. Paths are absolute."""

    name: str
    """The name that its environment will have."""
    worktree: Worktree
    """A fresh worktree of the base."""
    home: Path
    """Its HOME, empty."""
    log: Path
    """The file for its output, in a folder that exists."""


class PreparedEnvironments(Protocol):
    """Keeps the environments of one workspace."""

    async def find(self, key: str, tree_oid: str) -> MadeEnvironment | None:
        """Return the environment of a set-up that can be used for a tree; None if there is none."""
        ...

    async def begin(self, key: str, oid: str) -> SetupPlace:
        """Create the place for a set-up command; what is left of an earlier attempt is removed.

        Args:
            key: The key of the set-up.
            oid: The base commit.

        Raises:
            AegisError: The worktree cannot be created.
            OSError: A folder cannot be created.
        """
        ...

    async def finish(self, place: SetupPlace, command: str, *, network: bool, duration_s: float) -> MadeEnvironment:
        """Keep what the set-up command made, and return it; its worktree ends, its folder stays.

        What could lead a reader out of it is removed: links to places that no sandbox shows, pipes, sockets.

        Raises:
            AegisError: git fails.
            OSError: A file cannot be moved or deleted.
        """
        ...

    async def abandon(self, place: SetupPlace) -> None:
        """Remove the place of a set-up command that failed, all but its log.

        Raises:
            AegisError: The worktree cannot be removed.
            OSError: A folder cannot be removed.
        """
        ...

    async def prune(self, keep: int, used: str) -> None:
        """Remove all environments but the newest, and those that are not complete.

        Args:
            keep: How many to keep.
            used: The name of one that is kept in any case; empty for none.

        Raises:
            AegisError: A worktree cannot be removed.
            OSError: A folder cannot be removed.
        """
        ...


class EnvironmentSurvey(Protocol):
    """Tells what the person's checkout provides for worktrees; starts nothing of the repository."""

    async def included(self, base_oid: str) -> tuple[str, ...]:
        """Return what `.worktreeinclude` names: paths relative to the checkout; whole folders end in a slash.

        Raises:
            Refused: The files are larger than may be copied.
            GitError: git fails.
            OSError: A file cannot be read.
        """
        ...

    def places(self) -> tuple[str, ...]:
        """Return the environments of the checkout, such as `.venv`, relative to it; blocking."""
        ...

    def missing(self, need: PackageNeed) -> str:
        """Return what of a need is not installed, as a sentence with what to do; empty if all is, or it is not known.

        Blocking.
        """
        ...
