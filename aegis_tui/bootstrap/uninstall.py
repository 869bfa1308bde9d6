"""Connects `uninstall` to its adapters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from aegis_tui.adapters.git.own_refs import OwnRefs
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.application.uninstall import Uninstall
from aegis_tui.bootstrap.checkout import leftovers_of, make_setup, worktree_size
from aegis_tui.hub.record import only_hub
from aegis_tui.sdk.discovery import WorkspacePaths


@contextlib.contextmanager
def without_hub(paths: WorkspacePaths) -> Iterator[None]:
    """Let no hub of a workspace start while the context is open.

    Raises:
        HubUnavailable: One runs or starts, or the state folder cannot be written.
    """
    with only_hub(paths) if paths.state_dir.is_dir() else contextlib.nullcontext():
        yield


async def make_uninstall(root: Path, paths: WorkspacePaths) -> Uninstall:
    """Return the `Uninstall` of the repository at `root`, whose workspace has these folders; nothing is removed yet.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        OSError: A role file of the program cannot be read.
    """
    repository = await open_repository(root)
    return Uninstall(
        leftovers=leftovers_of(repository, paths),
        refs=OwnRefs(repository.common_dir),
        setup=await make_setup(root),
        common_dir=repository.common_dir,
        folders=(paths.state_dir, paths.runtime_dir),
        measure=worktree_size,
    )
