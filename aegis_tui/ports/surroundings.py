"""The environment in which QA runs: what a project's commands need beside the tree under test (FLOW-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aegis_tui.domain.qa.obstacle import Obstacle


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is put around the worktree while QA runs there. Paths are absolute."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of every command; replaces what has the same name, PATH included."""
    read_only: tuple[Path, ...] = ()
    """Shown to the commands, not writable: a virtual environment, `node_modules`."""
    links: tuple[tuple[Path, Path], ...] = ()
    """Pairs of a target and a place where a sandbox shows a link to it: the checkout's own places, led to the tree."""
    obstacles: tuple[Obstacle, ...] = ()
    """Known before anything ran. A command that one concerns is not run."""


class QaEnvironment(Protocol):
    """Makes the surroundings of the checks, and says afterwards whether the checks saw the right tree."""

    async def prepare(
        self, worktree: Path, home: Path, commands: Sequence[str], *, confined: bool, committed: bool = False
    ) -> Surroundings:
        """Make everything ready in a fresh worktree. Starts nothing of the repository.

        Args:
            worktree: The tree under test. What is written here is part of it: git must ignore it.
            home: The HOME of the commands, empty; removed with the worktree.
            commands: The QA commands that will run there, one after the other.
            confined: Whether a sandbox shows `links` and hides the checkout; without one more can lead astray.
            committed: Whether somebody commits what is in the worktree: only what git ignores is put there then.
        """
        ...

    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        """What is known after one command has run: an import or a link that led to another checkout."""
        ...

    async def stamp(self) -> str:
        """A text that changes when something is installed in what `prepare` makes ready, removed or replaced."""
        ...
