"""The sandbox that keeps an agent inside its worktree (SEC-1): values, and the port that wraps programs in it.

A sandbox never decides who may write what; the caller does, and the kernel enforces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from aegis_tui.config import Limits

SandboxMode = Literal["auto", "strict", "off"]
"""What a person asked for (contract 4): `auto` uses bubblewrap if it works, `strict` requires it, `off` uses none."""


class SandboxLevel(StrEnum):
    """How an instance is confined; the report records it as `boundary.level`."""

    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


@dataclass(frozen=True)
class SandboxSpec:
    """The boundary of one program. Paths are absolute; of two nested paths the deeper one decides.

    Only what is named here, and what programs need to run (the system, toolchains on PATH), exists inside. Paths here
    that do not exist are left out.
    """

    worktree: Path
    """The instance's worktree."""
    cwd: Path
    """The program's working directory; inside a visible path."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All environment variables inside. The process list shows them: only paths and settings, never a secret."""
    read_write: tuple[Path, ...] = ()
    """Visible and writable: the instance's home, the parts of the common `.git` that a commit touches."""
    read_only: tuple[Path, ...] = ()
    """Visible, not writable; a unix socket listed here can be connected to. Wins when a path is in both lists."""
    shown_as: tuple[tuple[Path, Path], ...] = ()
    """Pairs: a folder, and the path at which it appears instead of what is there; writable."""
    links: tuple[tuple[Path, Path], ...] = ()
    """Pairs: a target, and the path of a symbolic link to it that exists only inside; left out if the path is taken."""
    hidden: tuple[Path, ...] = ()
    """Folders that look empty and cannot be written, except for paths named below them: the person's checkout."""
    share_network: bool = False
    """Use the host's network, abstract sockets included; true only when a person opened the boundary (SEC-4)."""
    worktree_writable: bool = True
    """False for reviewers and scouts."""
    keep_environment: bool = False
    """True when the caller starts the program with exactly the environment that it should have, secrets included."""
    limits: Limits | None = None
    """How much the program may use; None for the sandbox's own default limits."""
    serves_names: bool = False
    """The program may answer the name lookups of its sandbox: it may listen on port 53 of the loopback address there,
    if the system permits that. Without it, or while nobody listens, each lookup fails at once."""
    second_layer: bool = False
    """Writes are refused by Landlock too, where the kernel offers it; the program can then change no mounts."""
    own_session: bool = False
    """True for commands without a terminal (QA, set-up): they get a new session, so that they reach no terminal."""


@dataclass(frozen=True)
class SandboxReport:
    """The result of a probe: for each layer what enforces it, or why nothing does."""

    level: SandboxLevel
    layers: dict[str, str]
    """Keys `filesystem`, `network`, `names`, `landlock`, `processes`, `terminal`, `limits`."""
    remedy: str = ""
    """What a person can do so that the sandbox works, if it does not; else empty."""


class Sandbox(Protocol):
    """Starts programs behind a boundary."""

    async def probe(self) -> SandboxReport:
        """Return what a sandbox can enforce on this machine, found by really trying to get out of one.

        Only the first call does this; later calls return the same report. If no sandbox works, the report has the level
        `none` and says why; that is no error.

        Raises:
            SandboxUnavailable: It cannot be tried now, for example because no temporary file can be written.
        """
        ...

    def choose(self, mode: SandboxMode, report: SandboxReport) -> SandboxLevel:
        """Return the level for new instances: `none` for the mode `off`, else the level in the report.

        Raises:
            SandboxUnavailable: The mode is `strict`, and the probe found that no sandbox works.
        """
        ...

    def wrap(self, argv: Sequence[str], spec: SandboxSpec, level: SandboxLevel) -> list[str]:
        """Return the argv that runs `argv` inside the sandbox; for level `none`, `argv` unchanged. Does no IO.

        The thread that starts it must live as long as the program, which ends with it.

        Raises:
            Refused: The name of a variable in the environment of `spec` looks like that of a secret; never for `none`.
        """
        ...
