"""The surroundings of QA: what a project's commands need besides the tree under test (FLOW-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aegis_tui.domain.qa.obstacle import Obstacle


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What QA commands get besides the worktree that they run in. Paths are absolute."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for every command; they replace those of the same name, PATH included."""
    read_only: tuple[Path, ...] = ()
    """Folders that the commands can read but not write: a virtual environment, `node_modules`."""
    links: tuple[tuple[Path, Path], ...] = ()
    """Pairs: a target, and where a sandbox shows a link to it. They lead paths of the checkout to the tested tree."""
    obstacles: tuple[Obstacle, ...] = ()
    """Obstacles that are known before any command ran. A command that one concerns is not run."""
    places: tuple[str, ...] = ()
    """Folders of the worktree that stand for environments, such as `.venv`, relative to it."""
    copied: int = 0
    """How many files were copied into the worktree."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Path below the checkout -> why it was not copied."""


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """From what the environment of a run's worktrees is made, besides the person's checkout."""

    base_oid: str = ""
    """The base of the run, whose `.worktreeinclude` counts; nothing is copied if it is empty."""
    prepared: str = ""
    """The name of the environment that the set-up command made; empty if there is none."""


NO_SOURCE = EnvironmentSource()


class QaEnvironment(Protocol):
    """Prepares the surroundings of QA commands, and finds out afterwards whether they tested the right tree."""

    async def prepare(
        self,
        worktree: Path,
        home: Path,
        commands: Sequence[str],
        *,
        confined: bool,
        committed: bool = False,
        source: EnvironmentSource = NO_SOURCE,
    ) -> Surroundings:
        """Prepare a new worktree for QA commands and return their surroundings. Runs no code of the repository.

        Args:
            worktree: The tree under test. New folders, such as a virtual environment, may be created in it.
            home: The HOME of the commands, empty; removed with the worktree.
            commands: The QA commands that will run there, one after the other.
            confined: True if a sandbox hides the checkout and shows the `links` of the result. Without one, the result
                has no links, but may have `obstacles`: what would lead a command to the checkout.
            committed: True if the content of the worktree will be committed. Then only folders that git ignores are
                created in it.
            source: From what the environment is made, besides the person's checkout.

        Raises:
            Refused: More would be copied into the worktree than is allowed.
            GitError: git fails in the worktree.
            OSError: A file or folder cannot be read or created.
        """
        ...

    async def reads_tree(self, source: EnvironmentSource = NO_SOURCE) -> bool:
        """Return whether `prepare` reads more of a worktree than the names in its top folder, so needs all its files.

        Args:
            source: As for `prepare`.

        Raises:
            GitError: git fails.
            OSError: A file cannot be read.
        """
        ...

    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        """Return the obstacles found after a command has run, such as an import that led to another checkout.

        Args:
            worktree: The tree under test, as given to `prepare`.
            home: The HOME of the command, as given to `prepare`.
            command: The command that has run.

        Returns:
            Empty if the command tested the right tree, as far as is known.
        """
        ...

    async def stamp(self, source: EnvironmentSource = NO_SOURCE) -> str:
        """Return a text that changes when what `prepare` makes available is installed, removed or replaced.

        Only comparing two such texts makes sense. Files that cannot be read count as absent.
        """
        ...
