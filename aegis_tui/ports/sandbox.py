"""What keeps an agent inside its worktree (SEC-1): values, and the port that starts programs there.

A sandbox never decides who may write what; it is told, and the kernel holds the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from aegis_tui.config import Limits

SandboxMode = Literal["auto", "strict", "off"]
"""What a person asked for (contract 4): the best there is, bubblewrap or nothing starts, or none."""


class SandboxLevel(StrEnum):
    """How an instance is held; recorded in the report as `boundary.level`."""

    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


@dataclass(frozen=True)
class SandboxSpec:
    """One program's boundary. Paths are absolute; of two nested paths the deeper one decides.

    Everything that is not named here or needed to run programs (system, toolchains on PATH) is absent inside.
    A path that does not exist is left out.
    """

    worktree: Path
    """The instance's worktree."""
    cwd: Path
    """Where the program starts; inside a visible path."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The whole environment inside. Visible in the process list: paths and settings only, never a secret."""
    read_write: tuple[Path, ...] = ()
    """Visible and writable: the instance's home, the parts of the common `.git` that a commit touches."""
    read_only: tuple[Path, ...] = ()
    """Visible, not writable; a unix socket listed here can be connected to. Wins where a path is in both."""
    shown_as: tuple[tuple[Path, Path], ...] = ()
    """Pairs of a folder and the place it is shown at instead of what is there; writable."""
    links: tuple[tuple[Path, Path], ...] = ()
    """Pairs of a target and the place of a link to it, inside only; one whose place is shown already is left out."""
    hidden: tuple[Path, ...] = ()
    """Folders that look empty and cannot be written, apart from what is named below them: the person's checkout."""
    share_network: bool = False
    """True only for a boundary that a person opened (SEC-4): the host's network, abstract sockets included."""
    worktree_writable: bool = True
    """False for reviewers and scouts."""
    keep_environment: bool = False
    """True when the caller starts the program with exactly the environment it should have, secrets included."""
    limits: Limits | None = None
    """How much it may use; None: as much as there is."""
    own_session: bool = False
    """True for commands without a terminal (QA, set-up): a new session, so that no terminal can be reached at all."""


@dataclass(frozen=True)
class SandboxReport:
    """What a probe found by trying it. Each layer says what holds it, or why nothing does."""

    level: SandboxLevel
    layers: dict[str, str]
    """Keys `filesystem`, `network`, `processes`, `terminal`, `limits`."""
    remedy: str = ""
    """What would make it hold, where nothing does."""


class Sandbox(Protocol):
    """Starts programs behind a boundary."""

    async def probe(self) -> SandboxReport:
        """Say what this machine can hold, after really trying to get out. Asked once per process, then remembered."""
        ...

    def choose(self, mode: SandboxMode, report: SandboxReport) -> SandboxLevel:
        """The level for new instances.

        Raises:
            SandboxUnavailable: `strict` was asked for and the probe failed.
        """
        ...

    def wrap(self, argv: Sequence[str], spec: SandboxSpec, level: SandboxLevel) -> list[str]:
        """The argv that runs `argv` behind the boundary; no IO. Level `none` returns it unchanged.

        Raises:
            Refused: The environment holds something that looks like a secret.
        """
        ...
