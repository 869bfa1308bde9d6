"""Folders beside a manifest that the project's tools fill and need: `vendor` and `target` (GIT-1).

They are copied, because tools write in them, and only where git ignores them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aegis_tui.adapters.environment.node_modules import package_folders

BUILD_FOLDERS = {"go.mod": "vendor", "composer.json": "vendor", "Gemfile": "vendor", "Cargo.toml": "target"}
"""Manifest -> the folder beside it."""

MOST_MB = 256
"""A folder that is larger is not copied by itself; `.worktreeinclude` can name it."""


def find_build_folders(worktree: Path, source: Path) -> Iterator[str]:
    """Yield the `vendor` and `target` folders that a checkout has beside the manifests of a worktree, each once.

    They are relative to the worktree and end in a slash; `BUILD_FOLDERS` says which manifest has which. Links are left
    out. Blocking.

    Args:
        worktree: The worktree, whose manifests count.
        source: The person's checkout, whose folders count.
    """
    for folder in package_folders(worktree, tuple(BUILD_FOLDERS)):
        names = dict.fromkeys(name for manifest, name in BUILD_FOLDERS.items() if (folder / manifest).is_file())
        for name in names:
            relative = f"{(folder / name).relative_to(worktree)}/"
            theirs = source / relative
            if theirs.is_dir() and not theirs.is_symlink():
                yield relative
