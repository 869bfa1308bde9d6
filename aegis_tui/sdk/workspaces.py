"""Which repositories of this machine have a workspace of this user, known by a file of their hubs and dashboards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aegis_tui.sdk.discovery import WorkspacePaths, workspace_paths
from aegis_tui.sdk.private_file import load_record, write_private

_RECORD = "repository.json"
_KEY = re.compile(r"[0-9a-f]{12}\Z")


class KnownWorkspace(NamedTuple):
    """A workspace whose state folder exists."""

    paths: WorkspacePaths
    root: Path | None
    """The repository of the workspace, which may be gone: that from which its hub was last started, or, if no hub ever
    was, that whose dashboard was opened first. None if neither is recorded."""


def remember_repository(paths: WorkspacePaths, root: Path) -> None:
    """Record in a workspace's state folder, which must exist, from which repository its hub was started.

    Raises:
        OSError: The record cannot be written.
    """
    record = {"root": str(root.resolve())}
    path = paths.state_dir / _RECORD
    if load_record(path) != record:
        write_private(path, json.dumps(record) + "\n")


def known_workspaces(environ: Mapping[str, str]) -> list[KnownWorkspace]:
    """Return every workspace of this user with a state folder, the one whose log was written last first.

    Empty if there are none.

    Args:
        environ: The environment, whose XDG variables and HOME say where they are.

    Raises:
        OSError: The folder of all workspaces cannot be read.
    """
    home = workspace_paths("0" * 12, environ).state_dir.parent
    names = [entry.name for entry in home.iterdir() if _KEY.match(entry.name)] if home.is_dir() else []
    known = [_known(workspace_paths(name, environ)) for name in names]
    return sorted(known, key=lambda item: last_used(item.paths), reverse=True)


def remember_first(paths: WorkspacePaths, root: Path) -> None:
    """Record a workspace's repository as `remember_repository` does, unless one is recorded already.

    Raises:
        OSError: The record cannot be written.
    """
    if "root" not in load_record(paths.state_dir / _RECORD):
        remember_repository(paths, root)


def last_used(paths: WorkspacePaths) -> float:
    """Return when the log of a workspace was last written, in seconds since the epoch; 0.0 if it has none."""
    times = []
    for path in (paths.log_db, paths.log_db.with_name(f"{paths.log_db.name}-wal")):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def _known(paths: WorkspacePaths) -> KnownWorkspace:
    root = load_record(paths.state_dir / _RECORD).get("root")
    return KnownWorkspace(paths, Path(root) if isinstance(root, str) and root else None)
