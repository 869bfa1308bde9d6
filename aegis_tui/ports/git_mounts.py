"""What a sandbox has to show of a git folder (SEC-1). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GitMounts:
    """What a sandbox has to show of the git folder so that commits work and nothing else can be changed."""

    common_dir: Path
    """To be mounted read-only."""
    read_write: tuple[Path, ...]
    """Folders inside it to be mounted writable over that; they exist."""
    read_only: tuple[Path, ...]
    """To be mounted read-only after those: what inside them must not change, and the hooks."""
    branches: tuple[Path, ...] = ()
    """The run's folder of branches and that of their logs: an instance is shown copies of its own there."""
    shown_as: tuple[tuple[Path, Path], ...] = ()
    """Pairs of a folder or file of the instance's own and the place it is shown at; writable unless in `read_only`."""
