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
        """Return the complete environment that a set-up command made and that fits a tree; None if there is none.

        It was made for this very tree, or else holds nothing outside of `.venv` and `node_modules` (see
        `is_for_every_tree`).

        Args:
            key: The key of the set-up: of its command and of the lock files' content.
            tree_oid: The id of the git tree of a base commit.
        """
        ...

    async def begin(self, key: str, oid: str) -> SetupPlace:
        """Create a worktree of the base and an empty HOME for a set-up command, and return where they are.

        What is left of an earlier attempt of the same name is removed first. Call `finish` or `abandon` afterwards.

        Args:
            key: The key of the set-up.
            oid: The base commit.

        Raises:
            AegisError: The worktree cannot be created.
            OSError: A folder cannot be created.
        """
        ...

    async def finish(self, place: SetupPlace, command: str, *, network: bool, duration_s: float) -> MadeEnvironment:
        """Keep what the set-up command made, record it as complete, and return its facts.

        The worktree ends, its folder stays at its path, without the tracked files. What could lead a reader out of it
        is deleted: links to places that no sandbox shows, pipes, sockets. So is what the command left in its HOME, all
        but the downloaded packages of Rust and Go.

        Args:
            place: As `begin` returned it; the command has ended.
            command: The command.
            network: Whether it had the network.
            duration_s: How long it ran.

        Raises:
            AegisError: git fails.
            OSError: A file cannot be moved, deleted or written.
        """
        ...

    async def abandon(self, place: SetupPlace) -> None:
        """Remove the worktree and HOME of a set-up command that failed; its log stays.

        Raises:
            AegisError: The worktree cannot be removed.
            OSError: A folder cannot be removed.
        """
        ...

    async def prune(self, keep: int, used: str) -> None:
        """Remove all environments, with their logs, but the newest complete ones; those that are not complete go too.

        Args:
            keep: How many complete ones to keep; at least 1.
            used: The name of the complete one that is in use: it is kept in any case, and counts.

        Raises:
            AegisError: A worktree cannot be removed.
            OSError: A folder or log cannot be removed.
        """
        ...


class EnvironmentSurvey(Protocol):
    """Tells what the person's checkout provides for worktrees; starts nothing of the repository."""

    async def included(self, base_oid: str) -> tuple[str, ...]:
        """Return the files of the checkout that `.worktreeinclude` names and worktrees get as copies; empty if none.

        Paths are relative to the checkout; whole folders end in a slash.

        Args:
            base_oid: The commit that the worktrees are made of.

        Raises:
            Refused: They are together larger than the settings allow.
            GitError: git fails.
            OSError: A file cannot be read.
            UsageError: The settings cannot be read.
        """
        ...

    def places(self) -> tuple[str, ...]:
        """Return the environment folders of the checkout, such as `.venv`, relative to it; empty if none. Blocking."""
        ...

    def missing(self, need: PackageNeed) -> str:
        """Return a sentence on the needed packages that the checkout does not provide, and what to do. Blocking.

        Empty if all are installed, or it cannot be known. Nothing is started to find out. A folder of installed
        packages that cannot be listed counts as empty.

        Raises:
            OSError: A folder around the packages cannot be searched, or a package's name is too long for a file.
        """
        ...
