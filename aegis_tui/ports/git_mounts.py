"""Which parts of a git folder a sandbox mounts, and how (SEC-1). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GitMounts:
    """The mounts of a git folder that let an instance commit and change nothing else."""

    common_dir: Path
    """To be mounted read-only."""
    read_write: tuple[Path, ...]
    """Folders inside it to be mounted writable over that; they exist."""
    read_only: tuple[Path, ...]
    """To be mounted read-only over those: the parts of them that must not change, and the hooks."""
    branches: tuple[Path, ...] = ()
    """The folders of the run's branches and of their logs: the instance sees private copies in their place."""
    shown_as: tuple[tuple[Path, Path], ...] = ()
    """Pairs: a private folder or file of the instance, and where it appears; writable unless in `read_only`."""
